"""`dfp lake import`, `protect`: what puts foreign files on a branch, and what keeps a branch from being written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.progress import counting
from dfp_platform.cli.screen import Json, out, print_json, print_table
from dfp_platform.errors import InvalidNameError, MergeConflictError, NotFoundError
from dfp_platform.schemas import MAIN


def import_(
    source: Annotated[
        list[str],
        typer.Argument(
            help="Files or a folder; with --table an Iceberg table's folder or metadata file, or parquet files, "
            "here or at s3://…."
        ),
    ],
    to: Annotated[str | None, typer.Option(help="Lake path of the file, or of the folder.", metavar="PATH")] = None,
    table: Annotated[
        str | None, typer.Option(help="Make it a table of this name instead.", metavar="NAMESPACE.TABLE")
    ] = None,
    branch: Annotated[str, typer.Option(help="The branch that takes it.")] = MAIN,
    message: Annotated[str | None, typer.Option("--message", "-m")] = None,
    as_json: Json = False,
) -> None:
    """Put files or a table that exist already on a branch, without copying their bytes where the disk allows it.

    What is imported must not change any more: files become read-only and are one with the lake's, and a table's
    files are used where they lie.
    """
    if (to is None) == (table is None):
        raise InvalidNameError("say what it becomes", hint="--to raw/apps.csv, or --table raw.apps", name="")
    if table is not None:
        return _import_table(source, table, branch, as_json=as_json)
    files = _named([Path(name) for name in source], str(to).rstrip("/"))
    head = opened().adopt_files(branch, files, message=message or f"import {', '.join(source)}")
    if as_json:
        return print_json({"branch": branch, "commit": head, "paths": sorted(files)})
    return out().print(f"{branch} is at {head[:12]}, with {len(files)} file{'' if len(files) == 1 else 's'}")


def _named(sources: list[Path], to: str) -> dict[str, Path]:
    """The files by the lake path where each shall stand."""
    found: dict[str, Path] = {}
    for source in sources:
        if source.is_dir():
            inside = (file for file in sorted(source.rglob("*")) if file.is_file())
            found |= {f"{to}/{file.relative_to(source).as_posix()}": file for file in inside}
        elif source.is_file():
            found[to if len(sources) == 1 else f"{to}/{source.name}"] = source
        else:
            raise NotFoundError(f"no file {source}", hint="name a file or a folder of this machine", path=str(source))
    return found


def _import_table(sources: list[str], table: str, branch: str, *, as_json: bool) -> None:
    from dfp_platform.catalog.importing import import_table

    rows = import_table(opened(), branch, table, sources)
    if as_json:
        return print_json({"branch": branch, "table": table, "rows": rows})
    return out().print(f"{table} on {branch} has {rows:,} rows, in files where they were")


def protect(
    branch: Annotated[str | None, typer.Argument(help="The branch; unless given, all are listed.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Protect it no longer.")] = False,
    as_json: Json = False,
) -> None:
    """Let only merges (and reverts) change a branch: no direct commit reaches it, and it cannot be deleted."""
    lake = opened()
    if branch is not None:
        lake.unprotect_branch(branch) if remove else lake.protect_branch(branch)
    protected = sorted(lake.protected_branches())
    return print_json(protected) if as_json else print_table(["protected"], [(name,) for name in protected])


def sync(
    source: Annotated[str, typer.Argument(help="The other lake: a folder or an address.")],
    push: Annotated[bool, typer.Option("--push", help="The other way: from this lake to that one.")] = False,
    create: Annotated[bool, typer.Option("--create", help="Make the lake that is written if need be.")] = False,
    as_json: Json = False,
) -> None:
    """Bring branches, tags and history of another lake into this one; what is there already is not brought again."""
    from dfp_platform.catalog.syncing import sync_lakes
    from dfp_platform.lake import open_lake
    from dfp_platform.settings import settings

    here = settings().lake_uri
    origin, goal = (here, source) if push else (source, here)
    with counting() as tell:
        done = sync_lakes(open_lake(origin), open_lake(goal, create=create), progress=tell)
    if as_json:
        print_json(asdict(done))
    else:
        told = f"{done.commits:,} commits, {len(done.branches)} branches and {len(done.tags)} tags"
        out().print(f"{told} are new in {goal}")
    if done.diverged:
        raise MergeConflictError(
            f"left alone, as both lakes went on: {', '.join(done.diverged)}",
            hint="bring it under another name: make a branch from it in the other lake, sync, and merge",
            conflicts=[],
        )


def register(lake: typer.Typer) -> None:
    """Add these commands to `dfp lake`."""
    lake.command("import")(import_)
    lake.command()(protect)
    lake.command()(sync)
