"""Compactions, found and undone: the same rows in other files are no change, so they give way to whatever is one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table.snapshots import Operation, Snapshot

from dfp_platform.catalog.merging.difference import Files, Side, TableReader
from dfp_platform.catalog.merging.manifests import TableFile


@dataclass
class Compaction:
    """What one REPLACE snapshot did in one partition.

    Attributes:
        inputs: data files it took out.
        outputs: data files that hold the same rows.
        dropped: delete files that it, or a later snapshot of the same branch, took out.
    """

    snapshot: Snapshot
    partition: str
    inputs: Files = field(default_factory=dict)
    outputs: Files = field(default_factory=dict)
    dropped: Files = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Undone:
    """A side as if it had not compacted.

    Attributes:
        side: its net change then.
        outputs: files of its snapshot that have to go.
        restored: files that have to come back.
        stuck: compactions that had to be undone and could not: their outputs were changed again.
    """

    side: Side
    outputs: Files
    restored: Files
    stuck: tuple[Compaction, ...] = ()


def compactions(reader: TableReader, side: Side) -> list[Compaction]:
    """The compactions of a side, oldest first."""
    found: list[Compaction] = []
    for snapshot in side.snapshots:
        if snapshot.summary is None:
            continue
        for file in _dropped_deletes(reader, snapshot):
            for compaction in found:
                if compaction.partition == file.partition:
                    compaction.dropped[file.key] = file
        if snapshot.summary.operation == Operation.REPLACE:
            found += _of_snapshot(reader, snapshot)
    return found


def _dropped_deletes(reader: TableReader, snapshot: Snapshot) -> list[TableFile]:
    properties = snapshot.summary.additional_properties if snapshot.summary else {}
    if properties.get("removed-delete-files", "0") == "0":
        return []
    gone = (file for file in reader.written_by(snapshot) if not file.is_data)
    return [file for file in gone if file.entry.status == ManifestEntryStatus.DELETED]


def _of_snapshot(reader: TableReader, snapshot: Snapshot) -> list[Compaction]:
    groups: dict[str, Compaction] = {}
    for file in reader.written_by(snapshot):
        group = groups.setdefault(file.partition, Compaction(snapshot, file.partition))
        came = file.entry.status == ManifestEntryStatus.ADDED
        if file.is_data:
            (group.outputs if came else group.inputs)[file.key] = file
        elif not came:
            group.dropped[file.key] = file
    return [group for group in groups.values() if group.inputs]


def moved_files(found: Sequence[Compaction], side: Side) -> set[str]:
    """Files of the base that compactions took out and whose rows are still there, in outputs."""
    moved: set[str] = set()
    for compaction in reversed(found):
        if all(key in side.added or key in moved for key in compaction.outputs):
            moved |= compaction.inputs.keys()
    return moved


def undo(reader: TableReader, side: Side, found: Sequence[Compaction], touched: Collection[str]) -> Undone:
    """Undo the compactions whose inputs the other side touched, and those that went on from their outputs."""
    needed = _needed(found, touched)
    if not needed:
        return Undone(side, {}, {})
    young = replace(
        side,
        added=dict(side.added),
        removed=dict(side.removed),
        added_deletes=dict(side.added_deletes),
        removed_deletes=dict(side.removed_deletes),
    )
    outputs: Files = {}
    restored: Files = {}
    stuck: list[Compaction] = []
    for compaction in reversed(needed):
        deleted_from = reader.deletes.all_positions(young.added_deletes.values())
        if any(key not in young.added or key in deleted_from for key in compaction.outputs):
            stuck.append(compaction)
            continue
        for key, file in compaction.outputs.items():
            del young.added[key]
            if restored.pop(key, None) is None:
                outputs[key] = file
        _give_back(compaction.inputs, young.removed, young.added, restored)
        dropped = _still_needed(reader, compaction, young)
        _give_back(dropped, young.removed_deletes, young.added_deletes, restored)
    return Undone(young, outputs, restored, tuple(stuck))


def _needed(found: Iterable[Compaction], touched: Collection[str]) -> list[Compaction]:
    """Compactions of touched files, and those that compacted the outputs of these again."""
    reached, needed = set(touched), []
    for compaction in found:
        if not reached.isdisjoint(compaction.inputs):
            needed.append(compaction)
            reached |= compaction.outputs.keys()
    return needed


def _give_back(files: Files, removed: Files, added: Files, restored: Files) -> None:
    for key, file in files.items():
        of_base = removed.pop(key, None)
        if of_base is None:
            added[key] = file  # born on this side
        restored[key] = of_base if of_base is not None and _same_numbers(of_base, file) else file


def _same_numbers(of_base: TableFile, deleted: TableFile) -> bool:
    """Whether the side numbers a file of the base as the base does; not so where a merge had brought it."""
    same_ids = deleted.first_row_id in (None, of_base.first_row_id)
    return same_ids and of_base.entry.sequence_number == deleted.entry.sequence_number


def _still_needed(reader: TableReader, compaction: Compaction, side: Side) -> Files:
    """Delete files of the inputs to put back; of several vectors of one data file only the last may be there."""
    current = {file.referenced for file in side.added_deletes.values() if file.is_vector}
    chosen: Files = {}
    for key, file in compaction.dropped.items():
        if compaction.inputs.keys().isdisjoint(reader.deletes.positions(file)) or file.referenced in current:
            continue
        chosen[str(file.referenced) if file.is_vector else key] = file
    return {file.key: file for file in chosen.values() if file.key not in side.added_deletes}
