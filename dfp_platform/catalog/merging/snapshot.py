"""One snapshot out of files that go, files that come and files that come back: any format version, one commit."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRef, SnapshotRefType
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotLogEntry,
    Summary,
    UpdateMetrics,
    update_snapshot_summaries,
)

from dfp_platform.catalog.merging.manifests import (
    TableFile,
    entry_of,
    read_manifest,
    read_manifest_list,
    rows_without_ids,
    with_row_ids,
    write_manifest,
    write_manifest_list,
)


@dataclass(frozen=True, slots=True)
class Change:
    """What a snapshot does to the files of its parent.

    Attributes:
        removed: files of the parent that go; each names the parent's manifest it is in.
        added: files that come; they get the snapshot's sequence number and row ids (see `SnapshotWriter`).
        restored: files that were there before and come back with their own sequence number and row ids.
        kept_sequence: an added file keeps its own sequence number up to this one (outputs of a compaction).
    """

    removed: Sequence[TableFile] = ()
    added: Sequence[TableFile] = ()
    restored: Sequence[TableFile] = ()
    kept_sequence: int = -1


@dataclass
class SnapshotWriter:
    """Writes the manifests of one snapshot on top of the current one of `metadata`.

    Args:
        first_row_id: where new row ids begin, if beyond the table's own next one.
        keeps_row_ids: files that come keep the row ids they had elsewhere.
    """

    metadata: TableMetadata
    io: FileIO
    first_row_id: int = 0
    keeps_row_ids: bool = False
    written: list[str] = field(default_factory=list)
    """Every file this writer wrote."""

    def __post_init__(self) -> None:
        self.snapshot_id = self.metadata.new_snapshot_id()
        self.sequence = self.metadata.next_sequence_number()
        self._locations = load_location_provider(self.metadata.location, self.metadata.properties)
        self._name = uuid.uuid4().hex
        self._without_ids: dict[str, int] = {}

    def new_path(self, suffix: str) -> str:
        """An address beside the table's metadata that nobody else uses; it counts as written."""
        path = self._locations.new_metadata_location(f"{self._name}-m{len(self.written)}{suffix}")
        self.written.append(path)
        return path

    def write(self, change: Change, operation: Operation, properties: Mapping[str, str]) -> Snapshot:
        """Write manifests and manifest list; nothing names them yet."""
        parent = self.metadata.current_snapshot()
        manifests = self._new(change)
        for manifest in read_manifest_list(self.io, parent.manifest_list) if parent else []:
            manifests += self._kept(manifest, change.removed)
        lineage: dict[str, Any] = {}
        if self.metadata.format_version >= 3:
            first = max(self.first_row_id, getattr(self.metadata, "next_row_id", None) or 0)
            manifests, following = with_row_ids(manifests, first, self._without_ids)
            lineage = {"first_row_id": first, "added_rows": following - first}
        path = self._locations.new_metadata_location(f"snap-{self.snapshot_id}-0-{self._name}.avro")
        self.written.append(path)
        parent_id = parent.snapshot_id if parent else None
        numbers = {"snapshot_id": self.snapshot_id, "parent": parent_id, "sequence": self.sequence}
        write_manifest_list(self.io, path, self.metadata, manifests, **numbers)
        return Snapshot(
            snapshot_id=self.snapshot_id,
            parent_snapshot_id=parent_id,
            sequence_number=self.sequence,
            timestamp_ms=max(int(time.time() * 1000), self.metadata.last_updated_ms),
            manifest_list=path,
            summary=_summary(change, operation, properties, parent),
            schema_id=self.metadata.current_schema_id,
            **lineage,
        )

    def _new(self, change: Change) -> list[ManifestFile]:
        added = [(file, self._added(file, change.kept_sequence)) for file in change.added]
        restored = [(file, self._existing(file)) for file in change.restored]
        return [manifest for entries in (added, restored) for manifest in self._grouped(entries)]

    def _grouped(self, entries: Iterable[tuple[TableFile, ManifestEntry]]) -> list[ManifestFile]:
        groups: dict[tuple[int, bool], list[ManifestEntry]] = defaultdict(list)
        for file, entry in entries:
            groups[file.file.spec_id, file.is_data].append(entry)
        return [self._write(found, spec_id, is_data=is_data) for (spec_id, is_data), found in groups.items()]

    def _kept(self, manifest: ManifestFile, removed: Sequence[TableFile]) -> list[ManifestFile]:
        """The manifest without the files that go; itself, unread, if it has none of them."""
        gone = {file.key for file in removed if file.manifest == manifest.manifest_path}
        if not gone:
            alive = manifest.has_added_files() or manifest.has_existing_files()
            return [manifest] if alive else []
        found = [file for file in read_manifest(self.io, manifest) if file.entry.status != ManifestEntryStatus.DELETED]
        entries = [self._deleted(file) if file.key in gone else self._existing(file) for file in found]
        is_data = manifest.content == ManifestContent.DATA
        return [self._write(entries, manifest.partition_spec_id, is_data=is_data)]

    def _write(self, entries: Sequence[ManifestEntry], spec_id: int, *, is_data: bool) -> ManifestFile:
        path = self.new_path(".avro")
        self._without_ids[path] = rows_without_ids(entries)
        return write_manifest(
            self.io,
            path,
            self.metadata,
            entries,
            spec=self.metadata.specs()[spec_id],
            content=ManifestContent.DATA if is_data else ManifestContent.DELETES,
            snapshot_id=self.snapshot_id,
            sequence=self.sequence,
        )

    def _added(self, file: TableFile, kept_sequence: int) -> ManifestEntry:
        own = file.entry.sequence_number
        number = own if own is not None and own <= kept_sequence and self.metadata.format_version > 1 else None
        return entry_of(
            file,
            ManifestEntryStatus.ADDED,
            snapshot_id=self.snapshot_id,
            sequence=number,
            first_row_id=file.first_row_id if self.keeps_row_ids else None,
        )

    def _existing(self, file: TableFile) -> ManifestEntry:
        return entry_of(
            file,
            ManifestEntryStatus.EXISTING,
            snapshot_id=file.entry.snapshot_id,
            sequence=file.entry.sequence_number,
            file_sequence=file.entry.file_sequence_number,
            first_row_id=file.first_row_id,
        )

    def _deleted(self, file: TableFile) -> ManifestEntry:
        return entry_of(
            file,
            ManifestEntryStatus.DELETED,
            snapshot_id=self.snapshot_id,
            sequence=file.entry.sequence_number,
            file_sequence=file.entry.file_sequence_number,
            first_row_id=file.first_row_id,
        )


def with_snapshot(metadata: TableMetadata, snapshot: Snapshot) -> TableMetadata:
    """The metadata with `snapshot` as its current one."""
    main = metadata.refs.get(MAIN_BRANCH) or SnapshotRef(
        snapshot_id=snapshot.snapshot_id, snapshot_ref_type=SnapshotRefType.BRANCH
    )
    change: dict[str, Any] = {
        "snapshots": [*metadata.snapshots, snapshot],
        "current_snapshot_id": snapshot.snapshot_id,
        "refs": {**metadata.refs, MAIN_BRANCH: main.model_copy(update={"snapshot_id": snapshot.snapshot_id})},
        "snapshot_log": [
            *metadata.snapshot_log,
            SnapshotLogEntry(snapshot_id=snapshot.snapshot_id, timestamp_ms=snapshot.timestamp_ms),
        ],
        "last_updated_ms": snapshot.timestamp_ms,
    }
    if metadata.format_version > 1:
        change["last_sequence_number"] = snapshot.sequence_number
    if metadata.format_version > 2:
        change["next_row_id"] = (snapshot.first_row_id or 0) + (snapshot.added_rows or 0)
    return metadata.model_copy(update=change)


def last_sequence_number(metadata: TableMetadata) -> int:
    """The highest sequence number a table gave; -1 in format version 1, which has none."""
    return getattr(metadata, "last_sequence_number", -1) if metadata.format_version > 1 else -1


def _summary(change: Change, operation: Operation, properties: Mapping[str, str], parent: Snapshot | None) -> Summary:
    """Counts of this snapshot and totals. pyiceberg counts neither files that come back nor a REPLACE."""
    metrics = UpdateMetrics()
    for file in (*change.added, *change.restored):
        metrics.add_file(file.file)
    for file in change.removed:
        metrics.remove_file(file.file)
    summary = Summary(operation=Operation.OVERWRITE, **metrics.to_dict(), **properties)
    before = parent.summary.additional_properties if parent and parent.summary else None
    counted = update_snapshot_summaries(summary, before)
    return Summary(operation=operation, **counted.additional_properties)
