"""`dfp lake log`, `branches`, `diff`: what happened, where branches stand, and what differs between two refs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli.graph import drawn
from dfp_platform.cli.lake import Ref, opened
from dfp_platform.cli.screen import Json, out, print_json, print_table, size
from dfp_platform.errors import InvalidNameError
from dfp_platform.schemas import MAIN, Commit, CommitId, Difference

if TYPE_CHECKING:
    from dfp_platform.catalog.differences import TableDifference
    from dfp_platform.lake import Lake
    from dfp_platform.lake.rehearsal import Merge


def log(
    ref: Ref = MAIN,
    path: Annotated[str | None, typer.Option(help="Only commits that changed this object.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="Also the commits that merges brought.")] = False,
    graph: Annotated[bool, typer.Option("--graph", help="Draw how branches part and meet; means --all.")] = False,
    as_json: Json = False,
) -> None:
    """What happened on a branch, newest first: on main, one commit a publication."""
    lake = opened()
    history = lake.log(ref, path=path, limit=limit) if everything or graph or path else _own_history(lake, ref)
    commits = list(islice(history, limit))
    if as_json:
        return print_json([asdict(commit) for commit in commits])
    if graph and not path:
        names = _names(lake)
        rows = [(line, *_told(commit, names)) if commit else (line, "", "", "") for line, commit in drawn(commits)]
        return print_table(["", "commit", "time (UTC)", "message"], rows)
    return print_table(["commit", "time (UTC)", "message"], [_told(commit, {}) for commit in commits])


def _told(commit: Commit, names: dict[CommitId, str]) -> tuple[str, str, str]:
    return commit.id[:12], f"{commit.time:%Y-%m-%d %H:%M:%S}", names.get(commit.id, "") + commit.message


def _names(lake: Lake) -> dict[CommitId, str]:
    """The branches and tags at each commit, in brackets."""
    found: dict[CommitId, list[str]] = {}
    for name, commit in [*lake.branches().items(), *lake.tags().items()]:
        found.setdefault(commit, []).append(name)
    return {commit: f"({', '.join(names)}) " for commit, names in found.items()}


def _own_history(lake: Lake, ref: str) -> Iterator[Commit]:
    """Commits made on the branch itself: from each only its first parent is followed."""
    commit = lake.show(ref)
    while commit.parents:
        yield commit
        commit = lake.show(commit.parents[0])
    yield commit


@dataclass(frozen=True, slots=True)
class BranchState:
    """A branch as `dfp lake branches` tells of it: `tables` and `objects` are those changed since it left main."""

    branch: str
    commit: CommitId
    time: datetime
    age_s: float
    message: str
    tables: int
    objects: int
    protected: bool


def branches(as_json: Json = False) -> None:
    """Branches, each with its newest commit, its age, and what was changed on it since it left main."""
    lake = opened()
    now = datetime.now(UTC)
    found = [_branch_state(lake, name, head, now) for name, head in sorted(lake.branches().items())]
    if as_json:
        return print_json([asdict(state) for state in found])
    return print_table(
        ["branch", "commit", "time (UTC)", "age", "changed", "message"],
        [
            (
                s.branch + (" (protected)" if s.protected else ""),
                s.commit[:12],
                f"{s.time:%Y-%m-%d %H:%M:%S}",
                age(s.age_s),
                _amounts(s.tables, s.objects),
                s.message,
            )
            for s in found
        ],
    )


def _branch_state(lake: Lake, name: str, head: CommitId, now: datetime) -> BranchState:
    commit = lake.show(head)
    base = lake.merge_base(MAIN, head)
    paths = [found.path for found in lake.diff(base, head)] if base and name != MAIN else []
    tables = sum(path.startswith("tables/") for path in paths)
    seconds = max(0.0, (now - commit.time).total_seconds())
    protected = name in lake.protected_branches()
    return BranchState(name, head, commit.time, seconds, commit.message, tables, len(paths) - tables, protected)


def _amounts(tables: int, objects: int) -> str:
    told = [(tables, "table"), (objects, "object")]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in told if count)


def age(seconds: float) -> str:
    """Seconds for people, in the largest unit: 3 h."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def diff(
    left: Annotated[str, typer.Argument(help="A ref, or both as LEFT..RIGHT.")],
    right: Annotated[str | None, typer.Argument(help="The other ref.")] = None,
    prefix: Annotated[str, typer.Option(help="Only objects whose path starts so.")] = "",
    rows: Annotated[
        bool, typer.Option("--rows/--no-rows", help="Count rows that came and went, by reading files that differ.")
    ] = True,
    as_json: Json = False,
) -> None:
    """What RIGHT has that LEFT has not, and the reverse: of tables rows and columns, of other objects their size."""
    if right is None:
        left, _, right = left.partition("..")
    if not left or not right:
        raise InvalidNameError("a difference needs two refs", hint="dfp lake diff main..my-branch", name=left)
    lake = opened()
    found = list(lake.diff(left, right, prefix))
    tables = tables_among(lake, left, right, found, count_rows=rows)
    if as_json:
        return print_json([_as_json(difference, tables) for difference in found])
    return print_differences(found, tables)


def tables_among(
    lake: Lake, left: str, right: str, found: list[Difference], *, count_rows: bool
) -> dict[str, TableDifference]:
    """Differences of the tables whose pointers are among the differences, by path."""
    from dfp_platform.catalog.names import identifier_of, is_pointer

    pointers = [difference.path for difference in found if is_pointer(difference.path)]
    if not pointers:
        return {}
    from dfp_platform.catalog.differences import table_difference

    return {path: table_difference(lake, left, right, identifier_of(path), count_rows=count_rows) for path in pointers}


def _as_json(difference: Difference, tables: dict[str, TableDifference]) -> dict[str, Any]:
    found = {"path": difference.path, "kind": difference.kind, "before": difference.before, "after": difference.after}
    return {**found, "table": tables[difference.path]} if difference.path in tables else found


def print_differences(found: list[Difference], tables: dict[str, TableDifference]) -> None:
    """Print differences for a person: one line each."""
    print_table(["", "path", "is", "was"], [_line(difference, tables.get(difference.path)) for difference in found])


def _line(difference: Difference, table: TableDifference | None) -> tuple[str, str, str, str]:
    sign = {"added": "+", "removed": "-", "changed": "~"}[difference.kind]
    if table is None:
        after = size(difference.after.size) if difference.after else ""
        return sign, difference.path, after, size(difference.before.size) if difference.before else ""
    changes = [] if table.rows_added is None else [f"+{table.rows_added:,} -{table.rows_removed:,}"]
    now = f"{table.rows_after:,} rows" if difference.after else ""
    told = "; ".join([now, *changes, *table.schema] if now else changes)
    return sign, table.table, told, f"{table.rows_before:,} rows" if difference.before else ""


def print_rehearsal(lake: Lake, source: str, into: str, merge: Merge, *, as_json: bool) -> None:
    """Print what a merge would change. Raises MergeConflictError: it would not go through, and why."""
    from dfp_platform.lake.rehearsal import rehearsed_merge

    with rehearsed_merge(lake, source, into, merge) as (before, after):
        found = list(lake.diff(before, after))
        tables = tables_among(lake, before, after, found, count_rows=True)
    if as_json:
        return print_json({"branch": into, "commit": before, "changes": [_as_json(d, tables) for d in found]})
    return print_differences(found, tables)


def dataset_card(
    ref: Ref = MAIN,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the page there, not to stdout.")] = None,
    as_json: Json = False,
) -> None:
    """A page about the landed data: source, licence, columns, rows by year and label, loads, versions, defects."""
    from dfp_platform.ingest.dataset_facts import card_facts
    from dfp_platform.lake.durable import write_whole_file
    from dfp_platform.reports.dataset_card import dataset_card as page

    facts = card_facts(opened(), ref)
    if as_json:
        return print_json(facts)
    if output is None:
        return typer.echo(page(facts).decode(), nl=False)
    write_whole_file(output, page(facts))
    return out().print(f"{output} tells of {ref} at {facts.commit[:12]}")


def register(lake: typer.Typer) -> None:
    """Add these commands to `dfp lake`."""
    for command in (log, branches, diff, dataset_card):
        lake.command()(command)
