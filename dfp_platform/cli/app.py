"""The tree of commands. Nothing heavy is imported here, so that `dfp --help` answers at once."""

from __future__ import annotations

from typing import Annotated

import typer

from dfp_platform import __version__
from dfp_platform.cli import (
    alert,
    backfill,
    catalog,
    demo,
    device,
    doctor,
    features,
    lake,
    lake_care,
    lake_history,
    lake_setup,
    lake_writes,
    lineage,
    metrics,
    models,
    pages,
    plan,
    questions,
    replaying,
    runs,
    serve,
    spark,
    studies,
    tracing,
)

app = typer.Typer(
    name="dfp",
    help="Raw apps to a measured model: every artifact on the branches of one lake.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dfp {__version__}")
        raise typer.Exit


@app.callback()
def dfp(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = (
        False
    ),
) -> None:
    """Raw apps to a measured model: every artifact on the branches of one lake."""


demo.register(app)
runs.register(app)
plan.register(app)
doctor.register(app)
studies.register(app)
backfill.register(app)
questions.register(app)
serve.register(app)
alert.register(app)
lineage.register(app)
tracing.register(app)
replaying.register(app)
for family in (lake_history, lake_writes, lake_care, lake_setup):
    family.register(lake.app)
pages.register(lake.app, app)
app.add_typer(lake.app, name="lake")
app.add_typer(catalog.app, name="catalog")
app.add_typer(models.app, name="models")
app.add_typer(metrics.app, name="metrics")
app.add_typer(features.app, name="features")
app.add_typer(spark.app, name="spark")
app.add_typer(device.app, name="device")
