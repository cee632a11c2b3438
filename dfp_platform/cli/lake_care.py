"""`dfp lake gc`, `verify`, `expire`, `compact`: what keeps a lake small and whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.progress import counting
from dfp_platform.cli.screen import Json, err, out, print_json, print_table, size
from dfp_platform.errors import CorruptLakeError
from dfp_platform.schemas import MAIN

if TYPE_CHECKING:
    from dfp_platform.catalog.collection import Collected
    from dfp_platform.catalog.maintenance import Maintained

Tables = Annotated[list[str] | None, typer.Argument(help="namespace.table; every table unless given.")]
Branch = Annotated[str, typer.Option(help="The branch on which it is done.")]


def gc(
    delete: Annotated[bool, typer.Option("--delete", help="Remove it; without this, it is only counted.")] = False,
    grace: Annotated[
        float, typer.Option(min=0, help="Hours since the last write, within which nothing is garbage.")
    ] = 24.0,
    history: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Days of history whose files are kept, at least the grace. Older commits stay in the log; only "
            "branches, tags and what merges of them need keep their files. Unless given, all history keeps its files.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find files that no branch or tag reaches any more, and with --delete remove them. Safe to interrupt."""
    from dfp_platform.catalog.collection import collect_garbage

    with counting() as tell:
        found = collect_garbage(opened(), delete=delete, grace_hours=grace, history_days=history, progress=tell)
    if as_json:
        return print_json({**asdict(found), "total": found.total})
    return _print_collected(found)


def _print_collected(found: Collected) -> None:
    rows = [(kind, amount.files, size(amount.bytes)) for kind, amount in found.found.items()]
    print_table(["garbage", "files", "size"], [*rows, ("total", found.total.files, size(found.total.bytes))])
    err().print(f"{found.commits:,} commits keep {found.kept_files:,} table files")
    if found.total.files and not found.deleted:
        err().print("nothing was removed: --delete does that")


def verify(as_json: Json = False) -> None:
    """Read again everything that any ref reaches: objects against their digest, table files against their manifests."""
    from dfp_platform.catalog.verification import table_damages

    lake = opened()
    with counting() as tell:
        tell("verifying objects", 0, 0)
        problems = [*lake.verify(), *table_damages(lake, progress=tell)]
    if as_json:
        print_json({"lake": lake.uri, "problems": problems})
    elif not problems:
        out().print("the lake is whole")
    if problems:
        raise CorruptLakeError(
            "\n".join(["the lake is damaged:", *problems]), hint="restore the named objects from a copy of the lake"
        )


def expire(
    tables: Tables = None,
    branch: Branch = MAIN,
    days: Annotated[float, typer.Option(min=0, help="Snapshots older than this go.")] = 30.0,
    keep: Annotated[int, typer.Option(min=1, help="Newest snapshots of each table that stay in any case.")] = 1,
    as_json: Json = False,
) -> None:
    """Drop old snapshots from tables of a branch. Files stay until `dfp lake gc` finds that nothing reaches them."""
    from dfp_platform.catalog.maintenance import expire_snapshots

    catalog = _catalog(branch)
    names = tables or [".".join(name) for name in catalog.all_tables()]
    done = [expire_snapshots(catalog, name, older_than_days=days, keep_last=keep) for name in names]
    _print_maintained(done, "snapshots", as_json=as_json)


def compact(
    tables: Tables = None,
    branch: Branch = MAIN,
    target_mb: Annotated[float, typer.Option(min=0.001, help="Size to aim at for a data file, in MB.")] = 128.0,
    engine: Annotated[str, typer.Option(help="Who rewrites: pyiceberg, in this process, or spark.")] = "pyiceberg",
    as_json: Json = False,
) -> None:
    """Rewrite small data files of tables into big ones; the rows stay what they are."""
    from dfp_platform.resources.compaction import compaction

    names = tables or [".".join(name) for name in _catalog(branch).all_tables()]
    with counting() as tell, compaction(engine, opened(), branch) as compact_table:
        done = []
        for number, name in enumerate(names):
            tell("compacting tables", number, len(names))
            done.append(compact_table(name, target_bytes=int(target_mb * 1e6)))
    _print_maintained(done, "files", as_json=as_json)


def _catalog(branch: str) -> Any:
    from dfp_platform.catalog import open_catalog

    return open_catalog(opened(), branch)


def _print_maintained(done: list[Maintained], what: str, *, as_json: bool) -> None:
    if as_json:
        return print_json(
            [{"table": ".".join(each.identifier), "before": each.before, "after": each.after} for each in done]
        )
    return print_table(
        ["table", f"{what} before", "after"], [(".".join(each.identifier), each.before, each.after) for each in done]
    )


def register(lake: typer.Typer) -> None:
    """Add these commands to `dfp lake`."""
    for command in (gc, verify, expire, compact):
        lake.command()(command)
