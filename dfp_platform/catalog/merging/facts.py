"""What a decision about two sides rests on: rows taken out, partitions replaced, rows brought back, ids given twice."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pyiceberg.manifest import DataFileContent, FileFormat, ManifestContent, ManifestEntryStatus
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Snapshot
from pyroaring import BitMap64

from dfp_platform.catalog.committing import INTENT
from dfp_platform.catalog.merging.compactions import Compaction, moved_files
from dfp_platform.catalog.merging.difference import MERGED_SNAPSHOTS, Files, Side, TableReader
from dfp_platform.catalog.merging.manifests import TableFile

REPLACED_PARTITIONS = "lake.replaced-partitions"
"""Property of a merged snapshot: the partitions that the branch it brought had replaced, as a JSON list."""

EVERY_PARTITION = "*"
"""Stands for all partitions, those to come too."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One side, read as far as the decision needs it.

    Attributes:
        side: its net change.
        deleted: positions of rows that its delete files take out, by data file.
        replaced: partitions it replaced as a whole.
        brought_back: data files in which rows that were deleted are there again.
        unreadable: delete files that cannot be merged by row: equality deletes, and deletes in Avro or ORC files.
        renumbered: it rewrote rows that it had given birth to, so their ids are its own.
    """

    side: Side
    deleted: Mapping[str, BitMap64]
    replaced: frozenset[str] = frozenset()
    brought_back: tuple[TableFile, ...] = ()
    unreadable: tuple[TableFile, ...] = ()
    renumbered: bool = False

    @property
    def touched(self) -> set[str]:
        """Data files it removed, or took rows out of."""
        return {*self.side.removed, *self.deleted}


def unreadable(side: Side) -> tuple[TableFile, ...]:
    """Delete files of a side whose rows cannot be told."""
    files = (*side.added_deletes.values(), *side.removed_deletes.values())
    return tuple(
        file
        for file in files
        if file.file.content == DataFileContent.EQUALITY_DELETES
        or file.file.file_format not in (FileFormat.PARQUET, FileFormat.PUFFIN)
    )


def brought_back(reader: TableReader, side: Side) -> tuple[TableFile, ...]:
    """Delete files of the base that went although the rows they took out of a living file are not taken out anew."""
    if not side.removed_deletes:
        return ()
    still = reader.deletes.all_positions(side.added_deletes.values())
    return tuple(
        file
        for file in side.removed_deletes.values()
        for path, positions in reader.deletes.positions(file).items()
        if path not in side.removed and not positions.issubset(still.get(path, BitMap64()))
    )


def replaced_partitions(
    reader: TableReader, base: TableMetadata, side: Side, found: Sequence[Compaction], among: Collection[str]
) -> frozenset[str]:
    """The partitions that a side replaced: as its snapshots say, or as far as all base files of one went.

    Args:
        found: its compactions.
        among: partitions that matter, because the other side added to them.
    """
    said: set[str] = set()
    silent = False
    for snapshot in side.snapshots:
        stated = _stated(reader, snapshot)
        silent = silent or stated is None or MERGED_SNAPSHOTS in _properties(snapshot)
        said |= stated or set()
    if silent:
        said |= _emptied(reader, base, side, moved_files(found, side), among)
    return frozenset(said)


def _stated(reader: TableReader, snapshot: Snapshot) -> set[str] | None:
    """The partitions a snapshot replaced by its own word; None if it says nothing about that."""
    properties = _properties(snapshot)
    if REPLACED_PARTITIONS in properties:
        return set(json.loads(properties[REPLACED_PARTITIONS]))
    intent = properties.get(INTENT)
    if intent in ("table", "files"):
        return {EVERY_PARTITION}
    if intent == "partitions" or properties.get("replace-partitions") == "true":
        return {file.partition for file in reader.written_by(snapshot)}
    return set() if intent == "rows" or _only_adds(snapshot) else None


def _properties(snapshot: Snapshot) -> Mapping[str, str]:
    return snapshot.summary.additional_properties if snapshot.summary else {}


def _only_adds(snapshot: Snapshot) -> bool:
    return snapshot.summary is not None and snapshot.summary.operation in (Operation.APPEND, Operation.REPLACE)


def _emptied(
    reader: TableReader, base: TableMetadata, side: Side, moved: Collection[str], among: Collection[str]
) -> set[str]:
    """Partitions in which the base had files, all of which went."""
    gone = {file.partition for key, file in side.removed.items() if key not in moved}
    candidates = gone & set(among)
    if not candidates:
        return set()
    manifests = reader.manifests(base.current_snapshot())
    data = reader.live(m for m in manifests if m.content == ManifestContent.DATA)
    left = {file.partition for file in data if file.key not in side.removed or file.key in moved}
    return candidates - left


def renumbered(reader: TableReader, side: Side) -> bool:
    """Whether a side wrote rows anew that were born on it: their files may hold ids of its own (format version 3)."""
    born: set[str] = set()
    for snapshot in side.snapshots:
        came: Files = {}
        went: Files = {}
        for file in reader.written_by(snapshot):
            if file.is_data:
                (came if file.entry.status == ManifestEntryStatus.ADDED else went)[file.key] = file
        if came and not born.isdisjoint(went):
            return True
        born |= came.keys()
    return False
