"""The table of cases: whether two changes of one table go together, and if not, which files and rows say so. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from dfp_platform.catalog.merging.compactions import Compaction
from dfp_platform.catalog.merging.difference import Files
from dfp_platform.catalog.merging.facts import EVERY_PARTITION, Facts
from dfp_platform.catalog.merging.lineage import ids_apart
from dfp_platform.catalog.merging.manifests import TableFile
from dfp_platform.schemas import Conflict


def row_conflicts(path: str, ours: Facts, theirs: Facts) -> list[Conflict]:
    """Why the changes of rows and files on both sides do not go together; empty: they do.

    Args:
        path: lake path of the table's pointer.
    """
    pairs = ((ours, theirs), (theirs, ours))
    found = [
        *_named(path, "equality-delete", chain(ours.unreadable, theirs.unreadable), "has deletes not known by row"),
        *_named(path, "rows-restored", chain(ours.brought_back, theirs.brought_back), "deleted rows came back"),
        *_named(path, "file-both", _both(ours.side.removed, theirs.side.removed), "rewritten or removed on both sides"),
        *_named(path, "same-path", _both(_came(ours), _came(theirs)), "the same file was added on both sides"),
        *(conflict for one, other in pairs for conflict in _deletes_against_rewrites(path, one, other)),
        *_same_rows(path, ours, theirs),
        *(conflict for one, other in pairs for conflict in _replaced_partitions(path, one, other)),
        *_row_ids(path, ours, theirs),
    ]
    return list(dict.fromkeys(found))


def stuck_conflicts(path: str, stuck: Iterable[Compaction]) -> list[Conflict]:
    """Compactions that stand against a change of their inputs and cannot be undone."""
    files = (file for compaction in stuck for file in compaction.inputs.values())
    return list(
        _named(path, "compaction", files, "compacted on one side, changed on the other, and its output changed")
    )


def _deletes_against_rewrites(path: str, one: Facts, other: Facts) -> Iterator[Conflict]:
    files = (file for key, file in one.side.removed.items() if key in other.deleted)
    detail = f"rewritten or removed on {one.side.name}, rows deleted from it on {other.side.name}"
    yield from _named(path, "delete-vs-rewrite", files, detail)


def _same_rows(path: str, ours: Facts, theirs: Facts) -> Iterator[Conflict]:
    for data_file in sorted(ours.deleted.keys() & theirs.deleted.keys()):
        if same := ours.deleted[data_file] & theirs.deleted[data_file]:
            detail = f"{len(same)} rows were deleted or updated on both sides, the first at position {same[0]}"
            yield Conflict(path, detail, kind="row-both", files=(data_file,))


def _replaced_partitions(path: str, one: Facts, other: Facts) -> Iterator[Conflict]:
    detail = f"partition replaced on {one.side.name}, added to on {other.side.name}"
    every = EVERY_PARTITION in one.replaced
    files = (file for file in other.side.added.values() if every or file.partition in one.replaced)
    yield from _named(path, "partition-replaced", files, detail)


def _row_ids(path: str, ours: Facts, theirs: Facts) -> Iterator[Conflict]:
    """Format version 3: ids of rows that the source wrote anew must mean the same rows on the target."""
    if ours.side.metadata.format_version < 3 or not theirs.side.added:
        return
    numbered = {key: found for key, file in theirs.side.removed.items() if (found := ours.side.located(file))}
    other_ids = [
        file
        for key, file in theirs.side.removed.items()
        if key in numbered and numbered[key].first_row_id != file.first_row_id
    ]
    detail = "rows were written anew whose ids are given to other rows on the other side"
    yield from _named(path, "row-lineage", other_ids, detail)
    if theirs.renumbered and not ids_apart(ours.side, theirs.side):
        yield Conflict(path, detail, kind="row-lineage", files=tuple(sorted(theirs.side.added))[:10])


def _came(facts: Facts) -> Files:
    return {**facts.side.added, **facts.side.added_deletes}


def _both(ours: Files, theirs: Files) -> Iterable[TableFile]:
    return (file for key, file in ours.items() if key in theirs)


def _named(path: str, kind: str, files: Iterable[TableFile], detail: str) -> Iterator[Conflict]:
    """One conflict a partition, that names its files."""
    by_partition: dict[str, list[str]] = defaultdict(list)
    for file in files:
        by_partition[file.partition].append(file.path)
    for partition, paths in by_partition.items():
        yield Conflict(path, detail, kind=kind, partition=partition, files=tuple(sorted(set(paths))))
