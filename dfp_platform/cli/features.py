"""`dfp features`: what is served online, on which branch, of which commit; versions made, switched, taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.progress import counting
from dfp_platform.cli.screen import Json, out, print_json, print_table, size

if TYPE_CHECKING:
    from dfp_platform.features import Current, FeatureKeeper, Materialized

app = typer.Typer(help="Features online: versions, what each branch serves, and the way back.", no_args_is_help=True)

Branch = Annotated[str | None, typer.Option(help="Whose features; the configured branch unless given.")]
Ref = Annotated[str | None, typer.Option("--ref", help="Branch, tag or commit to read; the branch unless given.")]
Switch = Annotated[bool, typer.Option("--switch/--no-switch", help="Whether the branch serves it from then on.")]


@app.command()
def materialize(
    ref: Ref = None,
    branch: Branch = None,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Start from what is served, and write only what differs.")
    ] = False,
    switch: Switch = True,
    as_json: Json = False,
) -> None:
    """Write every app's features at a ref to a version of its own, and serve it.

    Publications do this by themselves. The version is named by its content; one that is there is not written again.
    """
    lake, target = opened(), _branch(branch)
    with _keeper() as keeper, counting() as progress:
        now = keeper.current(target)
        base = now.version if now is not None and incremental else None
        commit = lake.resolve(ref or target)
        written = keeper.materialize(lake, commit, base=base, progress=progress)
        _told(keeper, written, target, commit, switch=switch, as_json=as_json)


@app.command()
def backfill(
    start: Annotated[datetime, typer.Option("--from", help="First event time, in UTC.")],
    end: Annotated[datetime, typer.Option("--to", help="First event time after the window, in UTC.")],
    ref: Ref = None,
    branch: Branch = None,
    switch: Switch = True,
    as_json: Json = False,
) -> None:
    """Take the rows of a window of event time from a ref into what is served, where they are newer."""
    if start >= end:
        raise typer.BadParameter(f"the window ends at {end}, before it begins", param_hint="--to")
    lake, target = opened(), _branch(branch)
    with _keeper() as keeper, counting() as progress:
        commit, window = lake.resolve(ref or target), [moment.replace(tzinfo=UTC) for moment in (start, end)]
        written = keeper.backfill(lake, commit, target, start=window[0], end=window[1], progress=progress)
        _told(keeper, written, target, commit, switch=switch, as_json=as_json)


@app.command()
def status(as_json: Json = False) -> None:
    """What each branch serves, of which commit, and what it would go back to."""
    with _keeper() as keeper:
        branches = keeper.branches()
    if as_json:
        return print_json({branch: asdict(now) for branch, now in branches.items()})
    rows = [
        (branch, now.version, now.commit[:12], now.previous.version if now.previous else "", _state(now))
        for branch, now in branches.items()
    ]
    return print_table(["branch", "version", "commit", "before", "state"], rows)


@app.command()
def versions(as_json: Json = False) -> None:
    """All versions, the newest last: apps, size, commit, and which branches serve them."""
    with _keeper() as keeper:
        found, branches = keeper.versions(), keeper.branches()
    serving = {
        each.version: [branch for branch, now in branches.items() if now.version == each.version] for each in found
    }
    if as_json:
        return print_json([{**_plain(each), "serving": serving[each.version]} for each in found])
    rows = [
        (
            each.version,
            each.rows,
            size(each.bytes),
            each.commit[:12],
            f"{datetime.fromisoformat(each.written):%Y-%m-%d %H:%M}",
            ", ".join(serving[each.version]),
        )
        for each in found
    ]
    return print_table(["version", "apps", "size", "commit", "written (UTC)", "serves"], rows)


@app.command()
def rollback(branch: Branch = None, as_json: Json = False) -> None:
    """Serve what was served before; again goes forward. It stays so until the lake asks for another version."""
    target = _branch(branch)
    with _keeper() as keeper:
        now = keeper.rollback(target)
    if as_json:
        return print_json({"branch": target, **asdict(now)})
    return out().print(f"{target} serves {now.version} of {now.commit[:12]}")


@app.command()
def get(
    keys: Annotated[list[str], typer.Argument(help="SHA-256 digests of apps.", metavar="KEY...")],
    view: Annotated[str, typer.Option(help="Feature view: app_all, app_static or app_dynamic.")] = "app_all",
    features: Annotated[str, typer.Option(help="Names within the view, separated by commas; all unless given.")] = "",
    branch: Branch = None,
    version: Annotated[str | None, typer.Option(help="A version instead of what the branch serves.")] = None,
    as_json: Json = False,
) -> None:
    """What is served for apps: one row a feature, one column an app."""
    wanted = [name.strip() for name in features.split(",") if name.strip()] or None
    with _keeper() as keeper, closing(keeper.reader(_branch(branch), version=version)) as reader:
        served = reader.read(keys, view=view, features=wanted)
    if as_json:
        told = {
            key: dict(zip(served.names, map(_number, row), strict=True)) if found else None
            for key, row, found in zip(keys, served.vectors.tolist(), served.found.tolist(), strict=True)
        }
        return print_json({"version": served.version, "commit": served.commit, "apps": told})
    rows = [(name, *values) for name, values in zip(served.names, served.vectors.T.tolist(), strict=True)]
    return print_table(["feature", *(key[:12] for key in keys)], rows, for_people=True)


@app.command()
def prune(
    days: Annotated[float, typer.Option("--older-than", min=0, help="Days; younger versions stay.")] = 7.0,
    as_json: Json = False,
) -> None:
    """Remove old versions that no branch serves or would go back to, and what killed writers left."""
    with _keeper() as keeper:
        gone = keeper.prune(before=datetime.now(UTC) - timedelta(days=days))
    if as_json:
        return print_json({"removed": gone})
    return out().print("removed: " + (", ".join(gone) or "nothing"))


@contextmanager
def _keeper() -> Iterator[FeatureKeeper]:
    from dfp_platform.features import open_keeper
    from dfp_platform.settings import settings

    with closing(open_keeper(settings())) as keeper:
        yield keeper


def _branch(named: str | None) -> str:
    from dfp_platform.settings import settings

    return named or settings().branch


def _told(
    keeper: FeatureKeeper, written: Materialized, branch: str, commit: str, *, switch: bool, as_json: bool
) -> None:
    """Switch to a version that was written, if wanted, and say so."""
    now = keeper.switch(branch, written.version, commit) if switch else keeper.current(branch)
    if as_json:
        return print_json({**_plain(written), "branch": branch, "serves": now.version if now else None})
    out().print(f"{written.version}: {written.rows:,} apps, {written.changed:,} of them written, {size(written.bytes)}")
    if now is not None:
        out().print(f"{branch} serves {now.version} of {now.commit[:12]}")
    return None


def _state(now: Current) -> str:
    if not now.published:
        return "by hand"
    return "as published" if now.published == now.version else f"by hand; published: {now.published}"


def _plain(version: Materialized) -> Mapping[str, Any]:
    told = asdict(version)
    return {**told, "names": len(version.names)}


def _number(value: float) -> float | None:
    return None if value != value else value  # NaN is no JSON
