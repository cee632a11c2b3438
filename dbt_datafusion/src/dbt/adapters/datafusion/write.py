"""Query results into Iceberg tables: parquet under a name nobody else has, then one snapshot."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from dbt.adapters.datafusion.evolve import change_columns
from dbt.adapters.datafusion.scan import arrow_schema
from dbt.adapters.datafusion.sqltypes import storable_schema
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import parquet_file_to_data_file, schema_to_pyarrow
from pyiceberg.table.locations import load_location_provider

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata

Identifier = tuple[str, str]

VIEW_QUERY = "dbt-datafusion.view-query"
"""Table property that makes a table without rows a view; its value is the SELECT."""

INTENT = "lake.intent"
"""Property of a snapshot that says what it changed, `rows` or the whole `table`: a catalog that merges goes by it."""

_ROWS_PER_GROUP = 65_536
"""Rows of a row group: wide tables stay readable in small pieces, narrow ones have few groups."""

_BYTES_PER_FILE = 512 * 2**20
"""Size after which a new file is begun, unless the table's `write.target-file-size-bytes` says otherwise."""


def replace(catalog: Catalog, identifier: Identifier, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Make a table hold exactly `batches`, by one commit; create it if it is not there.

    If `batches` raises, nothing is committed and the files written so far are removed.

    Args:
        schema: the Arrow schema of `batches`.

    Returns:
        The number of rows.
    """
    target = storable_schema(schema)
    table = load_if_exists(catalog, identifier)
    if table is None:
        return _commit(catalog.create_table_transaction(identifier, schema=target), batches, [], intent="table")
    transaction = table.transaction()
    change_columns(transaction, target)
    if VIEW_QUERY in table.properties:
        transaction.remove_properties(VIEW_QUERY)
    return _commit(transaction, batches, _data_files(table), intent="table")


def declare_view(catalog: Catalog, identifier: Identifier, schema: pa.Schema, query: str) -> None:
    """Keep `query` under a name: a table with the columns of its result, no rows, and the query as a property.

    pyiceberg's embedded catalogs know no views. Another engine that reads such a table sees it empty.
    """
    target = storable_schema(schema)
    table = load_if_exists(catalog, identifier)
    if table is None:
        catalog.create_table(identifier, schema=target, properties={VIEW_QUERY: query})
    elif table.properties.get(VIEW_QUERY) != query or not arrow_schema(table).equals(target):
        transaction = table.transaction()
        change_columns(transaction, target)
        transaction.set_properties({VIEW_QUERY: query})
        _commit(transaction, [], _data_files(table), intent="table")


def append(catalog: Catalog, identifier: Identifier, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Add `batches` to a table by one commit. Columns are matched by name; missing ones are NULL.

    Returns:
        The number of rows added.

    Raises:
        NoSuchTableError: the table is not there.
        ValueError: `batches` have a column that the table lacks.
    """
    table = catalog.load_table(identifier)
    have = arrow_schema(table)
    if unknown := [name for name in schema.names if name not in have.names]:
        raise ValueError(f"{'.'.join(identifier)} has no column {', '.join(unknown)}")
    return _commit(table.transaction(), batches, [], intent="rows")


def load_if_exists(catalog: Catalog, identifier: Identifier) -> Table | None:
    """The table, or None if the catalog has none of that name."""
    try:
        return catalog.load_table(identifier)
    except NoSuchTableError:
        return None


def _data_files(table: Table) -> list[DataFile]:
    return [task.file for task in table.scan().plan_files()]


def _commit(
    transaction: Transaction, batches: Iterable[pa.RecordBatch], old: Sequence[DataFile], *, intent: str
) -> int:
    files = _write(transaction, batches)
    snapshot_id = _stage(transaction, files, old, intent=intent) if old or files else None
    # A commit that fails removes nothing: its outcome may be unknown.
    after = transaction.commit_transaction().metadata
    if snapshot_id and snapshot_id not in {snapshot.snapshot_id for snapshot in after.snapshots}:
        # The catalog found the rows equal to those it had and kept its table as it was.
        _remove(transaction, [file.file_path for file in files])
    return sum(file.record_count for file in files)


def _stage(transaction: Transaction, files: Sequence[DataFile], old: Sequence[DataFile], *, intent: str) -> int:
    """Put one snapshot into `transaction` that has `files` instead of `old`; return its id."""
    update = transaction.update_snapshot(snapshot_properties={INTENT: intent})
    with update.overwrite() if old else update.fast_append() as snapshot:
        if old:
            # all rows are meant: what another writer adds meanwhile is a conflict, not kept beside ours
            snapshot.delete_by_predicate(AlwaysTrue())
        for file in old:
            snapshot.delete_data_file(file)
        for file in files:
            snapshot.append_data_file(file)
    return snapshot.snapshot_id


def _write(transaction: Transaction, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
    """Data files that hold `batches`, in their order; none for no rows. If anything fails they are removed again."""
    metadata, io = transaction.table_metadata, transaction._table.io
    if not metadata.spec().is_unpartitioned():
        raise ValueError(f"{metadata.location} is partitioned; this adapter writes unpartitioned tables only")
    locations: list[str] = []
    try:
        _write_parquet(metadata, io, batches, locations)
        return [parquet_file_to_data_file(io, metadata, location) for location in locations]
    except BaseException:
        _remove(transaction, locations)
        raise


def _remove(transaction: Transaction, locations: Iterable[str]) -> None:
    for location in locations:
        with suppress(OSError):
            transaction._table.io.delete(location)


def _write_parquet(
    metadata: TableMetadata, io: FileIO, batches: Iterable[pa.RecordBatch], locations: list[str]
) -> None:
    """Stream `batches` into as many files as their size asks for; `locations` grows with each file that is begun."""
    provider = load_location_provider(metadata.location, metadata.properties)
    schema = schema_to_pyarrow(metadata.schema(), include_field_ids=True)
    limit = int(metadata.properties.get("write.target-file-size-bytes", _BYTES_PER_FILE))
    stream = (_as_stored(batch, schema) for batch in batches if batch.num_rows)
    write_id = uuid.uuid4()
    for first in stream:
        locations.append(provider.new_data_location(f"{write_id}-{len(locations):05d}.parquet"))
        with (
            io.new_output(locations[-1]).create() as sink,
            _parquet_writer(sink, schema, metadata.properties) as writer,
        ):
            writer.write_batch(first, row_group_size=_ROWS_PER_GROUP)
            while sink.tell() < limit and (batch := next(stream, None)) is not None:
                writer.write_batch(batch, row_group_size=_ROWS_PER_GROUP)


def _parquet_writer(sink: Any, schema: pa.Schema, properties: Mapping[str, str]) -> pq.ParquetWriter:
    codec = properties.get("write.parquet.compression-codec", "zstd")
    return pq.ParquetWriter(sink, schema, compression="none" if codec == "uncompressed" else codec)


def _as_stored(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """`batch` under the table's columns and types. Nanoseconds are cut to microseconds."""
    arrays = [
        batch.column(field.name).cast(field.type, safe=not pa.types.is_timestamp(field.type))
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
