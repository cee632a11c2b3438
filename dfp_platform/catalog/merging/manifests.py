"""Manifests and manifest lists of every format version, read and written whole.

pyiceberg 0.12 reads them by the fields of version 2, so that row ids and what a vector refers to would be lost, and
writes neither version 3 nor manifests of delete files. Its Avro reader, writer and records serve here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

from pyiceberg.avro.file import AVRO_CODEC_KEY, AvroFile, AvroOutputFile
from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    MANIFEST_ENTRY_SCHEMAS,
    MANIFEST_LIST_FILE_SCHEMAS,
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    PartitionFieldSummary,
    construct_partition_summaries,
    data_file_with_partition,
    manifest_entry_schema_with_data_file,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import TableProperties
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import TableVersion

BLOCK_ENTRIES = 1_000
"""Entries to an Avro block: one each, as pyiceberg writes them, is slow to write and to read."""

_FIRST_ROW_ID, _REFERENCED, _OFFSET, _SIZE = 16, 17, 18, 19
_MANIFEST_FIRST_ROW_ID = 15


@dataclass(frozen=True, slots=True, eq=False)
class TableFile:
    """A data or delete file as a manifest names it.

    Attributes:
        entry: the manifest's entry; sequence numbers and row ids that it inherits are filled in.
        manifest: path of that manifest.
    """

    entry: ManifestEntry
    manifest: str

    @property
    def file(self) -> DataFile:
        """The file's record: path, counts, bounds."""
        return self.entry.data_file

    @property
    def path(self) -> str:
        """Address of the file."""
        return self.file.file_path

    @property
    def key(self) -> str:
        """What tells it from every other: its path, for one vector of several in a file with its offset."""
        offset = self.file[_OFFSET]
        return self.path if offset is None else f"{self.path}#{offset}"

    @property
    def partition(self) -> str:
        """Its partition, as text that is equal for equal values."""
        return json.dumps([self.file.spec_id, *self.file.partition._data], default=str)

    @property
    def is_data(self) -> bool:
        """Whether it holds rows, not deletes."""
        return self.file.content == DataFileContent.DATA

    @property
    def is_vector(self) -> bool:
        """Whether it is a deletion vector (format version 3)."""
        return self.file.file_format == FileFormat.PUFFIN

    @property
    def first_row_id(self) -> int | None:
        """Row id of the first row; None before version 3."""
        return self.file[_FIRST_ROW_ID]

    @property
    def referenced(self) -> str | None:
        """The one data file that a delete file is about, if it says so."""
        return self.file[_REFERENCED]

    @property
    def span(self) -> tuple[int, int] | None:
        """Offset and bytes of a vector in its file."""
        return None if self.file[_OFFSET] is None else (self.file[_OFFSET], self.file[_SIZE])


def read_manifest_list(io: FileIO, location: str) -> list[ManifestFile]:
    """The manifests of a snapshot. Not from pyiceberg's cache, which drops row ids."""
    with AvroFile[ManifestFile](
        io.new_input(location),
        MANIFEST_LIST_FILE_SCHEMAS[3],
        read_types={-1: ManifestFile, 508: PartitionFieldSummary},
        read_enums={517: ManifestContent},
    ) as reader:
        return list(reader)


def read_manifest(io: FileIO, manifest: ManifestFile) -> list[TableFile]:
    """The entries of a manifest, deleted ones too, with what they inherit from it."""
    with AvroFile[ManifestEntry](
        io.new_input(manifest.manifest_path),
        MANIFEST_ENTRY_SCHEMAS[3],
        read_types={-1: ManifestEntry, 2: DataFile},
        read_enums={0: ManifestEntryStatus, 101: FileFormat, 134: DataFileContent},
    ) as reader:
        entries = list(reader)
    row_id = manifest[_MANIFEST_FIRST_ROW_ID]
    for entry in entries:
        _inherit(entry, manifest)
        alive = entry.status != ManifestEntryStatus.DELETED
        if row_id is not None and alive and entry.data_file[_FIRST_ROW_ID] is None:
            entry.data_file[_FIRST_ROW_ID] = row_id
            row_id += entry.data_file.record_count
    return [TableFile(entry, manifest.manifest_path) for entry in entries]


def _inherit(entry: ManifestEntry, manifest: ManifestFile) -> None:
    """What Iceberg's specification says under sequence number inheritance."""
    if entry.snapshot_id is None and manifest.added_snapshot_id is not None:
        entry.snapshot_id = manifest.added_snapshot_id
    inherits = manifest.sequence_number == 0 or entry.status == ManifestEntryStatus.ADDED
    if entry.sequence_number is None and inherits:
        entry.sequence_number = manifest.sequence_number
    if entry.file_sequence_number is None and inherits:
        entry.file_sequence_number = manifest.sequence_number
    entry.data_file.spec_id = manifest.partition_spec_id


def new_file(file: DataFile, *, spec_id: int) -> TableFile:
    """A file that no manifest names yet; its record gets the fields of version 3, whatever made it."""
    whole = DataFile(*file._data, *[None] * (_SIZE + 1 - len(file)))
    whole.spec_id = spec_id
    entry = ManifestEntry.from_args(_table_format_version=3, status=ManifestEntryStatus.ADDED, data_file=whole)
    return TableFile(entry, "")


def entry_of(
    found: TableFile,
    status: ManifestEntryStatus,
    *,
    snapshot_id: int | None,
    sequence: int | None,
    file_sequence: int | None = None,
    first_row_id: int | None = None,
) -> ManifestEntry:
    """An entry for a file, in its own numbers; the file's record is copied where its row id changes."""
    file = found.file
    if file[_FIRST_ROW_ID] != first_row_id:
        young = DataFile(*file._data)
        young[_FIRST_ROW_ID] = first_row_id
        young.spec_id = file.spec_id
        file = young
    return ManifestEntry.from_args(
        _table_format_version=3,
        status=status,
        snapshot_id=snapshot_id,
        sequence_number=sequence,
        file_sequence_number=file_sequence,
        data_file=file,
    )


def write_manifest(
    io: FileIO,
    path: str,
    metadata: TableMetadata,
    entries: Sequence[ManifestEntry],
    *,
    spec: PartitionSpec,
    content: ManifestContent,
    snapshot_id: int,
    sequence: int,
) -> ManifestFile:
    """Write a manifest of a new snapshot and return it as its manifest list shall name it.

    Args:
        sequence: sequence number of the snapshot, which entries without one inherit.
    """
    version: TableVersion = metadata.format_version
    schema = metadata.schema()
    header = {
        "schema": schema.model_dump_json(),
        "partition-spec": json.dumps([field.model_dump(mode="json", by_alias=True) for field in spec.fields]),
        "partition-spec-id": str(spec.spec_id),
        "format-version": str(version),
        AVRO_CODEC_KEY: _codec(metadata),
        **({"content": "deletes" if content == ManifestContent.DELETES else "data"} if version > 1 else {}),
    }
    output = io.new_output(path)
    with AvroOutputFile[ManifestEntry](
        output_file=output,
        file_schema=_entry_schema(spec, schema, version),
        record_schema=_entry_schema(spec, schema, 3),
        schema_name="manifest_entry",
        metadata=header,
    ) as writer:
        for start in range(0, len(entries), BLOCK_ENTRIES):
            writer.write_block(list(entries[start : start + BLOCK_ENTRIES]))
    return _manifest_file(path, len(output), entries, spec, schema, content, snapshot_id, sequence)


def _manifest_file(
    path: str,
    length: int,
    entries: Sequence[ManifestEntry],
    spec: PartitionSpec,
    schema: Schema,
    content: ManifestContent,
    snapshot_id: int,
    sequence: int,
) -> ManifestFile:
    def of(status: ManifestEntryStatus) -> tuple[int, int]:
        rows = [entry.data_file.record_count for entry in entries if entry.status == status]
        return len(rows), sum(rows)

    added, existing, deleted = (of(status) for status in _STATUSES)
    alive = [entry for entry in entries if entry.status != ManifestEntryStatus.DELETED]
    numbers = [sequence if entry.sequence_number is None else entry.sequence_number for entry in alive]
    return ManifestFile.from_args(
        _table_format_version=3,
        manifest_path=path,
        manifest_length=length,
        partition_spec_id=spec.spec_id,
        content=content,
        sequence_number=sequence,
        min_sequence_number=min(numbers, default=sequence),
        added_snapshot_id=snapshot_id,
        added_files_count=added[0],
        existing_files_count=existing[0],
        deleted_files_count=deleted[0],
        added_rows_count=added[1],
        existing_rows_count=existing[1],
        deleted_rows_count=deleted[1],
        partitions=construct_partition_summaries(spec, schema, [entry.data_file.partition for entry in entries]),
    )


_STATUSES = (ManifestEntryStatus.ADDED, ManifestEntryStatus.EXISTING, ManifestEntryStatus.DELETED)


def rows_without_ids(entries: Iterable[ManifestEntry]) -> int:
    """How many rows in living files get their ids by the manifest's first one (format version 3)."""
    files = (entry.data_file for entry in entries if entry.status != ManifestEntryStatus.DELETED)
    return sum(file.record_count for file in files if file[_FIRST_ROW_ID] is None)


def with_row_ids(
    manifests: Iterable[ManifestFile], first: int, wanted: Mapping[str, int]
) -> tuple[list[ManifestFile], int]:
    """The manifests, each data manifest with its first row id, and the next free one. For format version 3.

    Args:
        wanted: ids that a manifest uses, by its path, where that is not one for each of its rows.
    """
    numbered = []
    for manifest in manifests:
        if manifest.content == ManifestContent.DATA and manifest[_MANIFEST_FIRST_ROW_ID] is None:
            manifest = copy(manifest)
            manifest._data = list(manifest._data)
            manifest[_MANIFEST_FIRST_ROW_ID] = first
            rows = (manifest.added_rows_count or 0) + (manifest.existing_rows_count or 0)
            first += wanted.get(manifest.manifest_path, rows)
        numbered.append(manifest)
    return numbered, first


def write_manifest_list(
    io: FileIO,
    path: str,
    metadata: TableMetadata,
    manifests: Sequence[ManifestFile],
    *,
    snapshot_id: int,
    parent: int | None,
    sequence: int,
) -> None:
    """Write the manifest list of a snapshot."""
    version = metadata.format_version
    header = {
        "snapshot-id": str(snapshot_id),
        "parent-snapshot-id": "null" if parent is None else str(parent),
        "format-version": str(version),
        AVRO_CODEC_KEY: _codec(metadata),
        **({"sequence-number": str(sequence)} if version > 1 else {}),
    }
    with AvroOutputFile[ManifestFile](
        output_file=io.new_output(path),
        file_schema=MANIFEST_LIST_FILE_SCHEMAS[version],
        record_schema=MANIFEST_LIST_FILE_SCHEMAS[3],
        schema_name="manifest_file",
        metadata=header,
    ) as writer:
        writer.write_block(list(manifests))


def _entry_schema(spec: PartitionSpec, schema: Schema, version: TableVersion) -> Schema:
    files = data_file_with_partition(format_version=version, partition_type=spec.partition_type(schema))
    return manifest_entry_schema_with_data_file(format_version=version, data_file=files)


def _codec(metadata: TableMetadata) -> str:
    name, default = TableProperties.WRITE_AVRO_COMPRESSION, TableProperties.WRITE_AVRO_COMPRESSION_DEFAULT
    return str(metadata.properties.get(name) or default)
