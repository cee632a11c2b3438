"""One table that two branches changed: three states go in, one merged state comes out, or the conflicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation

from dfp_platform.catalog.merging.compactions import Compaction, Undone, compactions, undo
from dfp_platform.catalog.merging.decision import row_conflicts, stuck_conflicts
from dfp_platform.catalog.merging.definition import definition_conflicts, merged_definition
from dfp_platform.catalog.merging.deletes import said_reference, write_vectors
from dfp_platform.catalog.merging.difference import (
    MERGED_SNAPSHOTS,
    Files,
    Side,
    TableReader,
    history,
    net_difference,
)
from dfp_platform.catalog.merging.facts import (
    REPLACED_PARTITIONS,
    Facts,
    brought_back,
    renumbered,
    replaced_partitions,
    unreadable,
)
from dfp_platform.catalog.merging.lineage import ROW_IDS, given_ids, ids_apart
from dfp_platform.catalog.merging.manifests import TableFile
from dfp_platform.catalog.merging.snapshot import Change, SnapshotWriter, last_sequence_number, with_snapshot
from dfp_platform.schemas import Conflict

MERGE_BASE = "lake.merge-base"
"""Property of a merged snapshot: the snapshot both sides came from."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A table on one branch: the branch's name, for people, and the table's metadata there."""

    name: str
    metadata: TableMetadata


@dataclass(frozen=True, slots=True)
class MergedTable:
    """A merged state that nothing names yet.

    Attributes:
        metadata: the target's, with what the source changed; the target's own object where that is nothing.
        written: addresses of the files that were written for it.
    """

    metadata: TableMetadata
    written: tuple[str, ...] = ()


def merge_table(
    io: FileIO, base: TableMetadata, ours: Branch, theirs: Branch, *, path: str = "", same_rows: bool = False
) -> MergedTable | list[Conflict]:
    """Base, minus rows removed on either side, plus rows added on either side, as one snapshot on top of `ours`.

    Args:
        base: the table as both branches had it.
        ours: the target.
        theirs: the source.
        path: lake path of the table's pointer, for conflicts.
        same_rows: both sides came to equal rows; where they clash in how, those of the target stand.
    """
    found = definition_conflicts(path, base, ours.metadata, theirs.metadata)
    if found:
        return _in_words(found, base)
    reader = TableReader(io)
    mine = net_difference(reader, ours.name, base, ours.metadata)
    yours = net_difference(reader, theirs.name, base, theirs.metadata)
    if refused := [file for side in (mine, yours) for file in unreadable(side)]:
        facts = (Facts(mine, {}, unreadable=tuple(refused)), Facts(yours, {}))
        return _in_words(row_conflicts(path, *facts), base)
    settled = _settle(reader, base, mine, yours)
    conflicts = [
        *_crossed(path, base, ours.metadata, theirs.metadata),
        *stuck_conflicts(path, settled.stuck),
        *row_conflicts(path, settled.ours, settled.theirs),
        *_key_conflicts(path, io, settled),
    ]
    if conflicts and same_rows:
        return MergedTable(merged_definition(base, ours.metadata, theirs.metadata))
    if conflicts:
        return _in_words(conflicts, base)
    return _written(io, reader, base, ours.metadata, settled)


@dataclass(frozen=True, slots=True)
class _Settled:
    """Both sides without the compactions that had to give way."""

    ours: Facts
    theirs: Facts
    outputs: Files
    restored: Files
    stuck: tuple[Compaction, ...]


def _settle(reader: TableReader, base: TableMetadata, mine: Side, yours: Side) -> _Settled:
    meet = mine.takes_away and yours.takes_away
    ours, theirs = _facts(reader, mine, meet), _facts(reader, yours, meet)
    my_compactions, your_compactions = compactions(reader, mine), compactions(reader, yours)
    undone_theirs = undo(reader, yours, your_compactions, ours.touched)
    if undone_theirs.side is not yours:
        theirs = _facts(reader, undone_theirs.side, meet)
    undone_ours = undo(reader, mine, my_compactions, theirs.touched)
    if undone_ours.side is not mine:
        ours = _facts(reader, undone_ours.side, meet)
    return _Settled(
        ours=_told(reader, base, ours, my_compactions, theirs.side),
        theirs=_source(reader, _told(reader, base, theirs, your_compactions, ours.side)),
        outputs=undone_ours.outputs,
        restored=undone_ours.restored,
        stuck=_stuck(undone_ours, undone_theirs),
    )


def _stuck(*undone: Undone) -> tuple[Compaction, ...]:
    return tuple(compaction for one in undone for compaction in one.stuck)


def _facts(reader: TableReader, side: Side, meet: bool) -> Facts:
    return Facts(side, side.deleted_rows(reader) if meet else {})


def _told(reader: TableReader, base: TableMetadata, facts: Facts, found: list[Compaction], other: Side) -> Facts:
    """The facts with what takes more reading: partitions replaced, rows brought back."""
    partitions = {file.partition for file in other.added.values()}
    replaced = replaced_partitions(reader, base, facts.side, found, partitions)
    return replace(facts, replaced=replaced, brought_back=brought_back(reader, facts.side))


def _source(reader: TableReader, facts: Facts) -> Facts:
    """The source's facts with whether it gave row ids twice; one snapshot alone cannot."""
    lineage = facts.side.metadata.format_version >= 3 and len(facts.side.snapshots) > 1
    return replace(facts, renumbered=lineage and renumbered(reader, facts.side))


def _written(
    io: FileIO, reader: TableReader, base: TableMetadata, ours: TableMetadata, settled: _Settled
) -> MergedTable:
    definition = merged_definition(base, ours, settled.theirs.side.metadata)
    source = settled.theirs.side
    if not source.changes_files and not settled.outputs:
        return MergedTable(definition)
    theirs_next = getattr(source.metadata, "next_row_id", None) or 0
    keeps_ids = source.metadata.format_version >= 3 and ids_apart(settled.ours.side, source)
    writer = SnapshotWriter(definition, io, first_row_id=theirs_next if keeps_ids else 0, keeps_row_ids=keeps_ids)
    change = _change(io, reader, base, settled, writer)
    snapshot = writer.write(change, _operation(change, source), _properties(base, settled, keeps_ids=keeps_ids))
    return MergedTable(with_snapshot(definition, snapshot), tuple(writer.written))


def _change(io: FileIO, reader: TableReader, base: TableMetadata, settled: _Settled, writer: SnapshotWriter) -> Change:
    mine, yours = settled.ours.side, settled.theirs.side
    restored, removed = dict(settled.restored), {key: mine.live[key] for key in settled.outputs}
    for file in (*yours.removed.values(), *yours.removed_deletes.values()):
        if restored.pop(file.key, None) is None and (there := mine.located(file)) is not None:
            removed[file.key] = there
    added = {**yours.added, **yours.added_deletes}
    vectors, replaced = _joined_vectors(io, reader, mine, yours, writer)
    for file in replaced:
        if added.pop(file.key, None) is None and restored.pop(file.key, None) is None:
            removed[file.key] = file
    kept = min(last_sequence_number(base), last_sequence_number(mine.metadata))
    return Change(
        removed=tuple(removed.values()),
        added=(*added.values(), *vectors),
        restored=tuple(restored.values()),
        kept_sequence=kept,
    )


def _joined_vectors(
    io: FileIO, reader: TableReader, mine: Side, yours: Side, writer: SnapshotWriter
) -> tuple[list[TableFile], list[TableFile]]:
    """One vector for each data file that both sides have a new one for, and the vectors it takes the place of."""
    own, other = _vectors(mine), _vectors(yours)
    both = sorted(own.keys() & other.keys())
    if not both:
        return [], []
    replaced = [side[path] for path in both for side in (own, other)]
    joined = {path: reader.deletes.all_positions((own[path], other[path]))[path] for path in both}
    return write_vectors(io, writer.new_path(".puffin"), joined, {path: own[path] for path in both}), replaced


def _vectors(side: Side) -> Mapping[str, TableFile]:
    return {str(said_reference(file)): file for file in side.added_deletes.values() if file.is_vector}


def _operation(change: Change, source: Side) -> Operation:
    if not change.removed and all(file.is_data for file in (*change.added, *change.restored)):
        return Operation.APPEND
    if all(snapshot.summary and snapshot.summary.operation == Operation.REPLACE for snapshot in source.snapshots):
        return Operation.REPLACE
    return Operation.OVERWRITE


def _properties(base: TableMetadata, settled: _Settled, *, keeps_ids: bool) -> dict[str, str]:
    source = settled.theirs
    new = [str(id_) for id_ in history(source.side.metadata) if id_ not in history(base)]
    stated = {MERGED_SNAPSHOTS: ",".join(reversed(new))}
    if base.current_snapshot_id is not None:
        stated[MERGE_BASE] = str(base.current_snapshot_id)
    if source.replaced:
        stated[REPLACED_PARTITIONS] = json.dumps(sorted(source.replaced))
    if keeps_ids and (kept := given_ids(source.side)):
        stated[ROW_IDS] = json.dumps(kept)
    return stated


def _crossed(path: str, base: TableMetadata, ours: TableMetadata, theirs: TableMetadata) -> list[Conflict]:
    """After branches merged one another: what both have and the base lacks looks added twice, or new in other files."""
    if not (history(ours).keys() & history(theirs).keys()) - history(base).keys():
        return []
    detail = "both sides hold changes of one another that the newest commit they both came from lacks"
    return [Conflict(path, detail, kind="criss-cross")]


def _key_conflicts(path: str, io: FileIO, settled: _Settled) -> list[Conflict]:
    """Rows of one identifier key, added on both sides."""
    mine, yours = settled.ours.side, settled.theirs.side
    if not (mine.added and yours.added and yours.metadata.schema().identifier_field_ids):
        return []
    same = _keys(io, mine) & _keys(io, yours)
    if not same:
        return []
    return [
        Conflict(path, f"rows of the same key were added on both sides: {min(map(str, same))}", kind="identifier-key")
    ]


def _keys(io: FileIO, side: Side) -> set[tuple[object, ...]]:
    """Identifier keys of the rows that a side added, less those that it deleted again."""
    schema = side.metadata.schema()
    columns = schema.select(*schema.identifier_field_names())
    deletes = {file.file for file in side.added_deletes.values()}
    scan = ArrowScan(side.metadata, io, columns, AlwaysTrue())
    rows = scan.to_table([FileScanTask(file.file, deletes) for file in side.added.values()])
    return set(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _in_words(found: Iterable[Conflict], base: TableMetadata) -> list[Conflict]:
    """The conflicts with partitions as people write them."""
    return [replace(conflict, partition=_partition_path(conflict.partition, base)) for conflict in found]


def _partition_path(partition: str, base: TableMetadata) -> str:
    if not partition:
        return ""
    spec_id, *values = json.loads(partition)
    spec = base.specs()[spec_id]
    return "/".join(f"{field.name}={value}" for field, value in zip(spec.fields, values, strict=True))
