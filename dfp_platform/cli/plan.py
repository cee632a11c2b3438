"""`dfp plan`: what `dfp run` with the same words would make again, why, how many rows, and how long it takes."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from dfp_platform.cli import code_location
from dfp_platform.cli.lake import opened
from dfp_platform.cli.runs import Append, Base, Branch, Choices, Engine, From, Select, Source, To, asked_for, run_config
from dfp_platform.cli.screen import Json, err, out, print_json, print_table, working
from dfp_platform.cli.selection import options_for
from dfp_platform.errors import NotFoundError

if TYPE_CHECKING:
    from dfp_platform.lake import Lake
    from dfp_platform.models.configs import Configuration
    from dfp_platform.publishing.planning import Asked, Plan, Planned

SIGNS = {"stale": ("~", "yellow"), "follows": ("↳", "cyan"), "fresh": ("✓", "green")}

STALE = 2
"""Exit code with --exit-code if something is stale, as that of `terraform plan -detailed-exitcode`."""


def plan(
    choices: Choices = None,
    select: Select = None,
    start: From = None,
    end: To = None,
    branch: Branch = None,
    base: Base = None,
    source: Source = None,
    append: Append = False,
    engine: Engine = None,
    everything: Annotated[bool, typer.Option("--all", help="Name what would come out as it is, too.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 2 if something is stale.")] = False,
    as_json: Json = False,
) -> None:
    """Say what `dfp run` with the same words would make again, why, and how long that takes. Nothing is changed."""
    from dfp_platform.settings import settings

    began = time.monotonic()
    with working("loading the code location"):
        told, dependencies, keys = asked_for(choices, select, start, end, source=source, append=append, engine=engine)
    loaded = time.monotonic()
    with working("reading the lake's record"):
        made = _planned(keys if keys is not None else sorted(dependencies), told, base or branch or settings().branch)
    seconds = {"code location": loaded - began, "plan": time.monotonic() - loaded}
    words = {"--branch": branch, "--base": base, "--source": source, "--engine": engine}
    command = _command(made, dependencies, choices, words, append=append)
    if as_json:
        print_json(_told(made, command, seconds))
    else:
        _show(made, command, seconds, everything=everything)
    if exit_code and made.stale:
        raise typer.Exit(STALE)


def _planned(keys: Sequence[str], told: Configuration, ref: str) -> Plan:
    from dfp_platform.publishing.planning import planned, rows_at
    from dfp_platform.resources.dagster_history import Estimate, estimate

    graph, steps, lake = code_location.graph(), code_location.steps(), _lake()

    def estimated(assets: Sequence[str]) -> Estimate:
        with code_location.instance() as instance:
            return estimate(instance, {step for asset in assets for step in steps.get(asset, ())})

    def rows_of(asset: str) -> int | None:
        return rows_at(lake, ref, asset) if lake is not None else None

    return planned(
        lake, ref, graph, set(keys), _asked(lake, ref, keys, told, steps), rows_of=rows_of, estimated=estimated
    )


def _lake() -> Lake | None:
    try:
        return opened()
    except NotFoundError:
        return None


def _asked(
    lake: Lake | None, ref: str, keys: Sequence[str], told: Configuration, steps: dict[str, tuple[str, ...]]
) -> Asked:
    """What the run would be told: configuration of trainings, and the rows of its source."""
    from dfp_platform.ingest.asked import differences
    from dfp_platform.publishing.planning import Asked
    from dfp_platform.settings import settings

    ops = {op: said["config"] for op, said in run_config(told, list(keys))["ops"].items()}
    config = {asset: ops[found[0]] for asset, found in steps.items() if found and found[0] in ops}
    at = settings()
    landed = {}
    if lake is not None and any(key.startswith("raw/") for key in keys):
        appended = at.write_disposition == "append"
        landed = differences(lake, ref, at.source, rows=at.sample_rows, seed=at.seed, append=appended)
    return Asked(config, landed)


def _command(
    made: Plan,
    dependencies: dict[str, tuple[str, ...]],
    choices: list[str] | None,
    words: dict[str, str | None],
    *,
    append: bool,
) -> str:
    """What would make all of it; empty where nothing is stale."""
    if not made.rebuilt:
        return ""
    said = [word for name, value in words.items() if value for word in (name, value)]
    options = options_for(made.rebuilt, dependencies)
    return shlex.join(["dfp", "run", *(choices or []), *options, *said, *(["--append"] if append else [])])


def _told(made: Plan, command: str, seconds: dict[str, float]) -> dict[str, Any]:
    rows = [each.rows for each in made.assets if each.state != "fresh" and each.rows is not None]
    return {
        **asdict(made),
        "stale": made.stale,
        "rebuilt": made.rebuilt,
        "rows": sum(rows),
        "command": command,
        "took": {what: round(taken, 3) for what, taken in seconds.items()},
    }


# -- for people -------------------------------------------------------------------------------------------------


def _show(made: Plan, command: str, seconds: dict[str, float], *, everything: bool) -> None:
    at = f"{made.ref} at {made.commit[:12]}" if made.commit else f"{made.ref}, to which nothing was published yet"
    err().print(Text(f"compared with {at} in {seconds['plan']:.1f} s", style="dim"))
    shown = [each for each in made.assets if everything or each.state != "fresh"]
    if shown:
        print_table(["", "asset", "why", "rows", "partitions"], [_row(each) for each in shown])
    for asset in made.left_out:
        err().print(f"{asset} is stale and not chosen: what is made from it reads it as it is", style="yellow")
    fresh = len(made.assets) - len(made.rebuilt)
    if not made.rebuilt:
        out().print(Text.assemble(("nothing is stale: ", "bold green"), f"all {fresh} would come out as they are"))
        return
    follow = len(made.rebuilt) - len(made.stale)
    out().print(
        f"{len(made.stale)} stale, {follow} that follow, {fresh} that would come out as they are; {_time(made)}"
    )
    out().print(Text(command, style="bold"))


def _row(each: Planned) -> tuple[Any, ...]:
    sign, style = SIGNS[each.state]
    why = "; ".join(cause.sentence for cause in each.causes)
    if each.after:
        why = f"{_listed(each.after)} will be rebuilt"
    rows = "" if each.rows is None else Text(f"{each.rows:,}", justify="right")
    return Text(sign, style=style), each.asset, why, rows, _parts(each)


def _parts(each: Planned) -> str:
    found = each.partitions
    if found is None or each.state == "fresh":
        return ""
    if found.stale in (0, found.all):
        return f"all {found.all:,}"
    return f"{found.stale:,} of {found.all:,}, {found.first} to {found.last}"


def _listed(names: Sequence[str], most: int = 2) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _time(made: Plan) -> str:
    found = made.estimate
    if found.seconds is None:
        return "no history says how long it takes"
    unknown = f"; no history of {_listed(found.unknown)}" if found.unknown else ""
    return f"about {_duration(found.seconds)} by {found.runs} earlier {'run' if found.runs == 1 else 'runs'}{unknown}"


def _duration(seconds: float) -> str:
    """For people: 0.4 s, 38 s, 2 min 5 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(plan)
