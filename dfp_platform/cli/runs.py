"""`dfp run`, `demo`, `publish` and their shorter relatives: everything that starts a run of the main line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from dfp_platform.cli import code_location
from dfp_platform.cli.narration import Narrator
from dfp_platform.cli.screen import Json, err, only_answers_on_stdout, out, print_json
from dfp_platform.cli.selection import chosen
from dfp_platform.errors import HeldBackError

if TYPE_CHECKING:
    from dfp_platform.publishing.launch import RunOutcome
    from dfp_platform.resources.dagster_partitions import Span

Branch = Annotated[str | None, typer.Option(help="Publish to this branch instead of the configured one.")]
Base = Annotated[
    str | None, typer.Option(help="Read this old ref; without --branch the run then publishes nowhere (a replay).")
]
Source = Annotated[str | None, typer.Option(help="auto, sample, archives, kaggle, or the path of a CSV or zip.")]
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
"""Config of Dagster's loggers that leaves the telling to `Narrator`; the whole log is in the UI."""

SOURCE_SETTINGS = {
    "name": "source",
    **{name: name for name in ("sample_rows", "seed", "write_disposition", "new_syscalls")},
}
"""Fields of `SourceResource`, and the settings that fill them."""

HELD = "not published:"
"""In the failure of a step that did its work and only stands for what the gate held back."""


def run(
    select: Annotated[
        list[str] | None, typer.Option("--select", "-s", help="A room, an asset or a glob; may be repeated.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Only these assets and what is made from them.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only these assets and what they are made from.")] = None,
    branch: Branch = None,
    base: Base = None,
    source: Source = None,
    append: Annotated[
        bool, typer.Option("--append", help="Land the rows beside those that landed before, as one more load.")
    ] = False,
    engine: Annotated[str | None, typer.Option(help="SQL engine that builds the tables.")] = None,
    as_json: Json = False,
) -> None:
    """Make assets on a branch of their own, and publish them if every check passes."""
    from dfp_platform.settings import choose

    choose(source=source, engine=engine, write_disposition="append" if append else None)
    keys = chosen(_dependencies(), select=select or [], start=start, end=end)
    outcome = launched(keys, branch=branch, base=base)
    report(outcome, as_json=as_json)


def publish(
    run_id: Annotated[str, typer.Argument(help="Id of a run that was held back.", metavar="RUN")],
    as_json: Json = False,
) -> None:
    """Try to publish a run again: the same gate, on what stands on its branch now."""
    from dfp_platform.publishing.launch import publish_run

    with code_location.instance() as instance:
        outcome = publish_run(run_id.removeprefix("run-"), instance=instance, graph=code_location.graph())
    if as_json:
        print_json(outcome)
    if outcome.reasons:
        raise _held_back(outcome.run_id, outcome.branch, [r.sentence for r in outcome.reasons], again="rerun")
    if not as_json:
        out().print(f"run {outcome.run_id} is published: {outcome.commit}")


def rerun(
    run_id: Annotated[str, typer.Argument(help="Id of a run that failed.", metavar="RUN")], as_json: Json = False
) -> None:
    """Run again what failed in a run, and what follows from it; what had succeeded is kept."""
    from dfp_platform.publishing import launch

    with Narrator(err()).speaking() as narrator, only_answers_on_stdout():
        outcome = launch.rerun(run_id.removeprefix("run-"), progress=narrator)
    report(outcome, as_json=as_json)


def train(
    choices: Annotated[
        list[str] | None, typer.Argument(help="model=autoencoder or model=xgboost; without: all.")
    ] = None,
    branch: Branch = None,
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Train models from the features that are published, and evaluate them."""
    models = [_value_of(choice, "model") for choice in choices or []]
    keys = chosen(_dependencies(), select=[f"models/{model}" for model in models] or ["models"])
    evaluation = [key for key in _dependencies() if key == "models/evaluation"]
    report(launched(sorted({*(keys or []), *evaluation}), branch=branch, base=base), as_json=as_json)


def export(branch: Branch = None, base: Base = None, as_json: Json = False) -> None:
    """Turn the published weights into artifacts for phones, each held against its original."""
    report(launched(chosen(_dependencies(), select=["mobile"]), branch=branch, base=base), as_json=as_json)


def features(branch: Branch = None, base: Base = None, as_json: Json = False) -> None:
    """Apply the feature registry and load the online store from the published tables."""
    report(launched(chosen(_dependencies(), select=["features"]), branch=branch, base=base), as_json=as_json)


def launched(
    keys: list[str] | None, *, branch: str | None = None, base: str | None = None, partitions: Span | None = None
) -> RunOutcome:
    """Run the assets here and tell about it on stderr."""
    from dfp_platform.publishing.launch import run_job

    with Narrator(err()).speaking() as narrator, only_answers_on_stdout():
        return run_job(
            selection=keys,
            branch=branch,
            base=base,
            partitions=partitions,
            run_config=run_config(),
            progress=narrator,
        )


def run_config() -> dict[str, Any]:
    """Run config that names the rows asked for: whoever executes the run again, here or in the UI, gets the same."""
    from dfp_platform.settings import settings

    source = {name: getattr(settings(), setting) for name, setting in SOURCE_SETTINGS.items()}
    return {"loggers": QUIET, "resources": {"source": {"config": source}}}


def report(outcome: RunOutcome, *, as_json: bool) -> None:
    """Print how a run ended. Raises HeldBackError: it was not published."""
    if as_json:
        print_json(outcome)
    elif outcome.success:
        out().print(Text("published ", style="bold green") + Text(_where(outcome)))
    if not outcome.success:
        failed = [f"{step}: {message}" for step, message in outcome.failed.items()]
        again = "publish" if all(HELD in message for message in outcome.failed.values()) else "rerun"
        raise _held_back(outcome.run_id, outcome.branch, [*outcome.reasons] or failed, again=again)


def _held_back(run_id: str, branch: str, reasons: list[str], *, again: str) -> HeldBackError:
    return HeldBackError(
        "\n".join([f"run {run_id} was not published", *(f"  {reason}" for reason in reasons)]),
        hint=f"see what it left: dfp lake diff main..{branch}; mend the cause, then: dfp {again} {run_id}",
        run_id=run_id,
        branch=branch,
        reasons=reasons,
    )


def _where(outcome: RunOutcome) -> str:
    if outcome.published_commit is None:
        return f"nowhere, as asked: the results of run {outcome.run_id} are on {outcome.branch}"
    return f"run {outcome.run_id} as {outcome.published_commit[:12]} in {outcome.seconds:.1f} s"


def _dependencies() -> dict[str, tuple[str, ...]]:
    """What each asset of the code location is made from."""
    return dict(code_location.graph().dependencies)


def _value_of(choice: str, name: str) -> str:
    key, _, value = choice.partition("=")
    if key != name or not value:
        raise typer.BadParameter(f"{choice!r} is not a choice; write {name}=<name>")
    return value


def register(app: Any) -> None:
    """Add these commands to `dfp`."""
    for command in (run, rerun, publish, train, export, features):
        app.command()(command)
