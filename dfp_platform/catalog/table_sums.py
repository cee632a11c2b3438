"""The multiset hash of a whole Iceberg table, from that of its data files.

Data files are immutable, so the sum of one is computed once and remembered by its path. A commit that adds files adds
their sums to the table's; one that takes files away subtracts. Where that would be wrong (delete files, renamed or
dropped columns, defaults), the table is scanned.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile, DataFileContent, ManifestContent, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import DataScan, FileScanTask
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.types import IcebergType, ListType, MapType, NestedField, StructType

from dfp_platform.catalog.rows import BLOCK_ROWS, RowSum, sum_rows

REMEMBERED_FILES = 100_000
"""Sums kept in memory, per process: about 200 bytes each."""


@dataclass(frozen=True, slots=True)
class LiveFiles:
    """What a snapshot is made of: its data files by path, and whether delete files take rows out of them."""

    data: Mapping[str, DataFile]
    has_deletes: bool


class RememberedSums:
    """Sums of data files by path and column names; forgets the ones used longest ago. Safe from many threads."""

    def __init__(self, capacity: int = REMEMBERED_FILES) -> None:
        self._capacity = capacity
        self._sums: OrderedDict[tuple[str, str], RowSum] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str, columns: str) -> RowSum | None:
        with self._lock:
            found = self._sums.get((path, columns))
            if found is not None:
                self._sums.move_to_end((path, columns))
            return found

    def put(self, path: str, columns: str, sum_: RowSum) -> None:
        with self._lock:
            self._sums[path, columns] = sum_
            while len(self._sums) > self._capacity:
                self._sums.popitem(last=False)


REMEMBERED = RememberedSums()
"""The sums this process knows."""


def schema_hash(schema: Schema) -> str:
    """Hash of names, order and types of the columns; field ids, documentation and nullability do not count."""
    columns = [_described(field) for field in schema.fields]
    return hashlib.sha256(json.dumps(columns, separators=(",", ":")).encode()).hexdigest()


def column_names(schema: Schema) -> str:
    """Hash of which field id has which name: a file's sum stays right while no column is renamed or dropped."""
    named = sorted(_names(schema).items())
    return hashlib.sha256(json.dumps(named, separators=(",", ":")).encode()).hexdigest()[:32]


def table_sum(
    metadata: TableMetadata, io: FileIO, *, base: TableMetadata | None = None, base_sum: RowSum | None = None
) -> RowSum | None:
    """The multiset hash of the current rows of a table; None where pyiceberg cannot read them (equality deletes).

    Args:
        base: an earlier state of the same table whose sum is known; only what changed since is read.
        base_sum: the sum of `base`.
    """
    snapshot = metadata.current_snapshot()
    if snapshot is None:
        return RowSum()
    base_snapshot = base.current_snapshot() if base else None
    if base is None or base_snapshot is None or base_sum is None or not sums_stay(base.schema(), metadata.schema()):
        return _sum_all(metadata, io)
    if base_snapshot.snapshot_id == snapshot.snapshot_id:
        return base_sum
    before, after = base_snapshot.manifests(io), snapshot.manifests(io)
    shared = {manifest.manifest_path for manifest in before} & {manifest.manifest_path for manifest in after}
    old, new = _live_files(before, io, skip=shared), _live_files(after, io, skip=shared)
    if old.has_deletes or new.has_deletes:
        return _sum_all(metadata, io)
    removed = [file for path, file in old.data.items() if path not in new.data]
    added = [file for path, file in new.data.items() if path not in old.data]
    if not shared and _rows(removed) >= _rows(new.data.values()) - _rows(added):
        return sum_files(new.data.values(), metadata, io)
    return base_sum - sum_files(removed, metadata, io) + sum_files(added, metadata, io)


def live_files(metadata: TableMetadata, io: FileIO) -> LiveFiles:
    """The files of the current snapshot."""
    snapshot = metadata.current_snapshot()
    return _live_files(snapshot.manifests(io) if snapshot else [], io)


def _live_files(manifests: Iterable[ManifestFile], io: FileIO, skip: Iterable[str] = ()) -> LiveFiles:
    skipped, data, has_deletes = set(skip), {}, False
    for manifest in manifests:
        if manifest.content == ManifestContent.DELETES:
            has_deletes = has_deletes or bool(manifest.has_added_files() or manifest.has_existing_files())
        elif manifest.manifest_path not in skipped:
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                data[entry.data_file.file_path] = entry.data_file
    return LiveFiles(data, has_deletes)


def _sum_all(metadata: TableMetadata, io: FileIO) -> RowSum | None:
    files = live_files(metadata, io)
    if not files.has_deletes:
        return sum_files(files.data.values(), metadata, io)
    if _has_equality_deletes(metadata, io):
        return None
    return sum_rows(DataScan(table_metadata=metadata, io=io).to_arrow_batch_reader())


def _has_equality_deletes(metadata: TableMetadata, io: FileIO) -> bool:
    snapshot = metadata.current_snapshot()
    deletes = [m for m in (snapshot.manifests(io) if snapshot else []) if m.content == ManifestContent.DELETES]
    entries = (entry for manifest in deletes for entry in manifest.fetch_manifest_entry(io, discard_deleted=True))
    return any(entry.data_file.content == DataFileContent.EQUALITY_DELETES for entry in entries)


def sum_files(files: Iterable[DataFile], metadata: TableMetadata, io: FileIO) -> RowSum:
    """The multiset hash of the rows of data files; those that are not `REMEMBERED` are read."""
    columns, total, unknown = column_names(metadata.schema()), RowSum(), list[DataFile]()
    for file in files:
        known = REMEMBERED.get(file.file_path, columns)
        if known is None:
            unknown.append(file)
        else:
            total += known
    for some in _together(unknown):
        batches = _read_files(some, metadata, io)
        for file in some:
            found = sum_rows(_rows_of(file, batches))
            REMEMBERED.put(file.file_path, columns, found)
            total += found
    return total


def _together(files: Iterable[DataFile]) -> Iterator[list[DataFile]]:
    """Files to read at once: small ones several together, as each reading takes milliseconds, large ones alone."""
    some, rows = list[DataFile](), 0
    for file in files:
        if some and rows + file.record_count > BLOCK_ROWS:
            yield some
            some, rows = [], 0
        some.append(file)
        rows += file.record_count
    if some:
        yield some


def _read_files(files: Iterable[DataFile], metadata: TableMetadata, io: FileIO) -> Iterator[pa.RecordBatch]:
    """The rows of data files, one after the other, as the table's current schema sees them, by field id."""
    scan = ArrowScan(metadata, io, metadata.schema(), AlwaysTrue())
    return scan.to_record_batches([FileScanTask(file) for file in files])


def _rows_of(file: DataFile, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The next batches that make up one file: none holds rows of two."""
    missing = file.record_count
    while missing > 0 and (batch := next(batches, None)) is not None:
        missing -= batch.num_rows
        yield batch


def sums_stay(before: Schema, after: Schema) -> bool:
    """Whether rows keep their hash under the new schema: columns may come or widen, not go or be filled."""
    old, new = _names(before), _names(after)
    filled = any(field.initial_default is not None for field in after.fields if field.field_id not in old)
    return not filled and all(new.get(field_id) == name for field_id, name in old.items())


def _names(schema: Schema) -> dict[int, str]:
    return {field_id: schema.find_column_name(field_id) or "" for field_id in schema.field_ids}


def _rows(files: Iterable[DataFile]) -> int:
    return sum(file.record_count for file in files)


def _described(field: NestedField) -> list[object]:
    return [field.name, described_type(field.field_type)]


def described_type(kind: IcebergType) -> object:
    """A type by its names and parts, as JSON would have it: free of field ids and nullability."""
    if isinstance(kind, StructType):
        return ["struct", [_described(field) for field in kind.fields]]
    if isinstance(kind, ListType):
        return ["list", described_type(kind.element_type)]
    if isinstance(kind, MapType):
        return ["map", described_type(kind.key_type), described_type(kind.value_type)]
    return str(kind)
