"""`dfp study`: presets tuned by one budget."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dfp_platform.cli.runs import Base, Branch, launched, report, told_by
from dfp_platform.cli.screen import Json

Choices = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE", help="Fixed for all trials: data=emulator, data.features=sys_*, training.epochs=30."
    ),
]


def study(
    choices: Choices = None,
    models: Annotated[str | None, typer.Option(help="Model presets, comma-separated.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials of each preset.")] = 20,
    seconds: Annotated[
        float | None,
        typer.Option(min=1, help="Begin no trial later than this after a preset's first; a clock decides then."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings a trial; its value is their mean.")] = 1,
    branch: Branch = None,
    base: Base = None,
    as_json: Json = False,
) -> None:
    """Tune presets by one budget, on the past alone; publishes models/study: a report, a page, preset files to copy."""
    from dfp_platform.assets.choices import STUDY
    from dfp_platform.assets.studies import PRESETS
    from dfp_platform.models.presets import parsed
    from dfp_platform.models.search_spaces import space_of
    from dfp_platform.settings import settings

    chosen = parsed(choices or [])
    presets = [name.strip() for name in models.split(",")] if models else list(PRESETS)
    for preset in presets:
        space_of(preset, chosen)
    config = {
        "presets": presets,
        "trials": trials,
        "seeds": seeds,
        "seed": settings().seed,
        "choices": chosen,
        **({} if seconds is None else {"seconds": seconds}),
    }
    ops = {STUDY.replace("/", "__"): {"config": config}}
    report(launched([STUDY], told_by(), branch=branch, base=base, ops=ops), as_json=as_json)


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(study)
