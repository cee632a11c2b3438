"""`dfp doctor`: whether everything that this stack needs answers, and what to do where it does not."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from dfp_platform.cli import code_location
from dfp_platform.cli.screen import Json, err, only_answers_on_stdout, out, print_json, working
from dfp_platform.errors import NotFoundError

if TYPE_CHECKING:
    from dfp_platform.probes import Door, Result

SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red"), "not used": ("–", "dim")}


def doctor(
    doors: Annotated[list[str] | None, typer.Argument(help="Only these: lake, redis, …; all unless given.")] = None,
    as_json: Json = False,
) -> None:
    """Try every door of the stack: lake, tables, stores, services, Dagster, room, versions. Exit code 1: one is shut.

    Each is asked within seconds, all at once; what crashed runs left behind is mended on the way.
    """
    from dfp_platform.probes import tried_at_once
    from dfp_platform.settings import settings

    chosen = _chosen(doors or [])
    with working(f"trying {len(chosen)} doors"), only_answers_on_stdout():
        found = tried_at_once(chosen, settings())
    if as_json:
        print_json([asdict(result) for result in found])
    else:
        for result in found:
            _show(result)
        _conclude(found)
    if any(result.status == "failed" for result in found):
        raise typer.Exit(1)


def _chosen(names: list[str]) -> tuple[Door, ...]:
    from dfp_platform.probes import DOORS
    from dfp_platform.publishing.instance_doors import Dagster, instance_doors

    every = (*DOORS, *instance_doors(Dagster(code_location.instance, code_location.loaded_whole)))
    wanted = {name.replace("_", " ").replace("-", " ") for name in names}
    if unknown := wanted - {door.name for door in every}:
        raise NotFoundError(
            f"there is no door called {min(unknown)}", hint=f"choose from: {', '.join(door.name for door in every)}"
        )
    return tuple(door for door in every if not wanted or door.name in wanted)


def _show(result: Result) -> None:
    sign, style = SIGNS[result.status]
    taken = "" if result.ms is None else f"{result.ms:,.0f} ms"
    dim = "dim" if result.status == "not used" else ""
    out().print(Text.assemble((f"  {sign} ", style), f"{result.door:<13}{taken:>10}  ", (result.line, dim)))
    if result.hint and result.status in ("warning", "failed"):
        out().print(Text.assemble((f"{'':27} next: ", "bold"), result.hint))


def _conclude(found: list[Result]) -> None:
    count = {status: sum(result.status == status for result in found) for status in SIGNS}
    told = ", ".join(f"{number} {status}" for status, number in count.items() if number)
    err().print(told, style="red" if count["failed"] else "yellow" if count["warning"] else "green")


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(doctor)
