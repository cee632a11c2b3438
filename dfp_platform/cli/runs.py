"""`dfp run`, `demo`, `publish` and their shorter relatives: everything that starts a run of the main line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from dfp_platform.cli import code_location
from dfp_platform.cli.narration import Narrator
from dfp_platform.cli.screen import Json, err, only_answers_on_stdout, out, print_json
from dfp_platform.cli.selection import chosen, upstream
from dfp_platform.errors import HeldBackError

if TYPE_CHECKING:
    from dfp_platform.models.configs import Configuration
    from dfp_platform.publishing.launch import RunOutcome
    from dfp_platform.resources.dagster_partitions import Span

Branch = Annotated[str | None, typer.Option(help="Publish to this branch instead of the configured one.")]
Base = Annotated[
    str | None, typer.Option(help="Read this old ref; without --branch the run then publishes nowhere (a replay).")
]
Source = Annotated[str | None, typer.Option(help="auto, sample, archives, kaggle, or the path of a CSV or zip.")]
Append = Annotated[
    bool, typer.Option("--append", help="Put the rows beside those that landed before, as one more load.")
]
Engine = Annotated[str | None, typer.Option(help="SQL engine that builds the tables.")]
Select = Annotated[
    list[str] | None, typer.Option("--select", "-s", help="A room, an asset or a glob; may be repeated.")
]
From = Annotated[str | None, typer.Option("--from", help="Only these assets and what is made from them.")]
To = Annotated[str | None, typer.Option("--to", help="Only these assets and what they are made from.")]
QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
"""Config of Dagster's loggers that leaves the telling to `Narrator`; the whole log is in the UI."""

SOURCE_SETTINGS = {
    "name": "source",
    **{name: name for name in ("sample_rows", "seed", "write_disposition", "new_syscalls")},
}
"""Fields of `SourceResource`, and the settings that fill them."""

RUN_SETTINGS = ("engine", "source", "sample_rows", "seed", "lake")
"""Settings that a run takes as choices, ``engine=spark``, beside those of its training."""

Choices = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="What is trained and how: model=vae, data=emulator, split=hash, training=quick, training.epochs=3 "
        "(files in presets/, and their keys); or engine=spark, seed=9.",
    ),
]

JUDGED = ("models/champions", "models/evaluation", "reports/leaderboard", "reports/model_cards")
"""What says how good models are: made again after each training."""

HELD = "not published:"
"""In the failure of a step that did its work and only stands for what the gate held back."""


def run(
    choices: Choices = None,
    select: Select = None,
    start: From = None,
    end: To = None,
    branch: Branch = None,
    base: Base = None,
    source: Source = None,
    append: Append = False,
    engine: Engine = None,
    as_json: Json = False,
) -> None:
    """Make assets on a branch of their own, and publish them if every check passes. `dfp plan` says beforehand what."""
    told, _, keys = asked_for(choices, select, start, end, source=source, append=append, engine=engine)
    report(launched(keys, told, branch=branch, base=base), as_json=as_json)


def asked_for(
    choices: list[str] | None,
    select: list[str] | None,
    start: str | None,
    end: str | None,
    *,
    source: str | None,
    append: bool,
    engine: str | None,
) -> tuple[Configuration, dict[str, tuple[str, ...]], list[str] | None]:
    """The training that is asked for, the assets one can choose from, and those that are chosen (None: all of them).

    Raises:
        ConfigurationError, NotFoundError: a choice or pattern that cannot be; the nearest is named.
    """
    from dfp_platform.settings import choose

    choose(source=source, engine=engine, write_disposition="append" if append else None)
    told = told_by(choices)
    dependencies = _dependencies(told, *(select or []), *(name for name in (start, end) if name))
    return told, dependencies, chosen(dependencies, select=select or [], start=start, end=end)


def publish(
    run_id: Annotated[str, typer.Argument(help="Id of a run that was held back, or is a proposal.", metavar="RUN")],
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


def train(choices: Choices = None, branch: Branch = None, base: Base = None, as_json: Json = False) -> None:
    """Train models from the features that are published, the chosen one or all of the main line, and judge them."""
    from dfp_platform.assets.choices import LINE

    told = told_by(choices)
    names = [told.name] if choices or told.name not in LINE else LINE
    keys = [*(f"models/{name}" for name in names), *JUDGED]
    report(launched(sorted(keys), told, branch=branch, base=base), as_json=as_json)


def export(choices: Choices = None, branch: Branch = None, base: Base = None, as_json: Json = False) -> None:
    """Turn the published weights of a network into artifacts for phones, each held against its original."""
    from dfp_platform.assets.choices import LINE

    told = told_by(choices)
    pattern = f"mobile/{told.name}_*" if choices or told.name not in LINE else "mobile"
    keys = chosen(_dependencies(told, pattern), select=[pattern])
    report(launched(keys, told, branch=branch, base=base), as_json=as_json)


def features(branch: Branch = None, base: Base = None, as_json: Json = False) -> None:
    """Apply the feature registry and load the online store from the published tables."""
    told = told_by()
    report(launched(chosen(_dependencies(told), select=["features"]), told, branch=branch, base=base), as_json=as_json)


def told_by(choices: list[str] | None = None) -> Configuration:
    """The training that choices and the environment ask for; choices that are settings are made for this process.

    Raises:
        ConfigurationError: a key or value that cannot be; the nearest is named.
    """
    from dfp_platform.assets.choices import wanted
    from dfp_platform.models.presets import parsed
    from dfp_platform.settings import choose

    said = parsed(choices or [])
    choose(**{name: said.pop(name) for name in RUN_SETTINGS if name in said})
    return wanted(said)


def launched(
    keys: list[str] | None,
    told: Configuration,
    *,
    branch: str | None = None,
    base: str | None = None,
    partitions: Span | None = None,
    ops: Mapping[str, Any] | None = None,
) -> RunOutcome:
    """Run the assets here and tell about it on stderr.

    Args:
        keys: asset key paths; None: the main line, and what belongs to the training that is asked for.
        told: that training.
        partitions: which partitions of partitioned assets to make; None: all.
        ops: config of further ops.
    """
    from dfp_platform.assets.choices import LINE, assets_of, beyond_the_line
    from dfp_platform.publishing.launch import MAIN_JOB, run_job
    from dfp_platform.resources.dagster_internals import ASSET_JOB

    if keys is None and told.name not in LINE:
        keys = sorted({*_dependencies(told), *assets_of(told.name)})
    job = ASSET_JOB if beyond_the_line().intersection(keys or ()) else MAIN_JOB
    config = run_config(told, keys)
    config["ops"].update(ops or {})
    with Narrator(err()).speaking() as narrator, only_answers_on_stdout():
        return run_job(
            job=job,
            selection=keys,
            branch=branch,
            base=base,
            partitions=partitions,
            run_config=config,
            progress=narrator,
        )


def run_config(told: Configuration, keys: list[str] | None) -> dict[str, Any]:
    """Run config that names the rows and the trainings asked for: whoever executes the run again gets the same."""
    from dfp_platform.assets.choices import LINE, every_choice, run_config_of

    names = LINE if keys is None else [name for name in every_choice() if f"models/{name}" in keys]
    return {**source_config(), "ops": run_config_of(names, told)}


def source_config() -> dict[str, Any]:
    """Run config that names the rows asked for."""
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


def _dependencies(told: Configuration, *named: str) -> dict[str, tuple[str, ...]]:
    """What each asset of the main line, of the training asked for and of exactly named assets is made from.

    A pattern of artifacts (``mobile/*``) finds all those of the model that is asked for.
    """
    from dfp_platform.assets.choices import artifacts_of, assets_of, beyond_the_line

    every, beyond = dict(code_location.graph().dependencies), beyond_the_line()
    apart = {asset: [dep for dep in inputs if asset in beyond or dep not in beyond] for asset, inputs in every.items()}
    shown = {*assets_of(told.name), *upstream([name.strip("/") for name in named], apart)}
    if any(name.startswith("mobile/") and "*" in name for name in named):
        shown |= artifacts_of(told.name).keys()
    hidden = beyond - shown
    return {asset: inputs for asset, inputs in every.items() if asset not in hidden}


def register(app: Any) -> None:
    """Add these commands to `dfp`."""
    for command in (run, rerun, publish, train, export, features):
        app.command()(command)
