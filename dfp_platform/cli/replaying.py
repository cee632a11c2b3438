"""`dfp replay`: train a model again as it was trained, and compare byte for byte."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli import code_location
from dfp_platform.cli.lake import opened
from dfp_platform.cli.narration import Narrator
from dfp_platform.cli.runs import QUIET
from dfp_platform.cli.screen import Json, err, only_answers_on_stdout, out, print_json

if TYPE_CHECKING:
    from dfp_platform.publishing.launch import RunOutcome
    from dfp_platform.publishing.replaying import Compared, Original, Replay
    from dfp_platform.schemas import CommitId


def replay(
    target: Annotated[
        str,
        typer.Argument(
            help="A model's lake tag (model-autoencoder-v1-data), its name (its newest tag, else what stands on main) "
            "or the id of an MLflow run."
        ),
    ],
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Make the tables again too, from the raw rows on, and compare contents.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the branch with what was made.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model again from the commit that wrote it, as it was told then, and compare every byte and prediction.

    Nothing is published. Equal bytes are promised for the same library versions, CPU capability and threads.
    Where something differs, the first asset that does is named, and why it may. Exit code 0 only if all is equal.
    """
    from dfp_platform.publishing.replaying import original_of, replayed

    lake = opened()
    original = original_of(lake, target)
    config = _told(original)
    done = replayed(
        lake,
        original,
        code_location.graph(),
        lambda base, assets: _launched(base, assets, config),
        upstream=upstream,
        keep=keep,
    )
    if as_json:
        print_json(_plain(done))
    else:
        for line in told(done):
            out().print(line, markup=False)
    if not done.equal:
        raise typer.Exit(1)


def _told(original: Original) -> dict[str, Any]:
    from dfp_platform.assets.choices import run_config_again
    from dfp_platform.models.weights import read_card

    return {
        "loggers": QUIET,
        "ops": run_config_again(read_card(original.files), original.record.get("config", {})),
    }


def _launched(base: CommitId, assets: list[str], config: dict[str, Any]) -> RunOutcome:
    from dfp_platform.publishing.launch import run_job
    from dfp_platform.resources.dagster_internals import ASSET_JOB

    with Narrator(err()).speaking() as narrator, only_answers_on_stdout():
        return run_job(job=ASSET_JOB, selection=assets, base=base, run_config=config, progress=narrator)


def told(done: Replay) -> list[str]:
    """What came of a replay, for a person: what differs first and why, or that nothing does."""
    original, answers = done.original, done.predictions
    lines = [f"{original.asset} of commit {original.commit[:12]}, trained again in {done.seconds:.0f} s"]
    for compared in done.assets:
        lines.append(
            f"  {_same(compared.equal)}  {compared.asset}{_contents(compared)}{'' if compared.made else '  (read)'}"
        )
        lines += [f"    {_same(same)}  {name}" for name, same in compared.files.items()]
    if not answers.apps:
        lines.append("  the split leaves no test app: no predictions to compare")
    elif answers.equal:
        lines.append(f"  {_same(True)}  predictions for {answers.apps:,} test apps, bit for bit")
    else:
        lines.append(
            f"  {_same(False)}  predictions: {answers.differing:,} of {answers.apps:,} test apps, "
            f"scores by up to {answers.largest:.3g}"
        )
    if done.branch:
        lines.append(f"what was made is on {done.branch}")
    if done.first is None:
        return [
            *lines,
            "equal, byte for byte" if done.equal else "equal bytes that answer differently: see predictions",
        ]
    return [*lines, f"first to differ: {done.first.asset}", *(f"  {reason}" for reason in done.first.reasons)]


def _same(equal: bool) -> str:
    return "equal  " if equal else "DIFFERS"


def _contents(compared: Compared) -> str:
    if compared.then == compared.now:
        return ""
    return f"  (content {compared.then[:12] or 'none'} then, {compared.now[:12] or 'none'} now)"


def _plain(done: Replay) -> dict[str, Any]:
    assets = [{**asdict(compared), "equal": compared.equal} for compared in done.assets]
    return {
        "equal": done.equal,
        "asset": done.original.asset,
        "commit": done.original.commit,
        "run": done.run,
        "branch": done.branch,
        "seconds": done.seconds,
        "assets": assets,
        "predictions": {**asdict(done.predictions), "equal": done.predictions.equal},
        "first": done.first.asset if done.first else None,
        "reasons": done.first.reasons if done.first else [],
    }


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(replay)
