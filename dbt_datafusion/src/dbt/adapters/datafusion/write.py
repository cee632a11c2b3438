"""Query results into Iceberg tables: parquet under a name nobody else has, then one snapshot."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from dbt.adapters.datafusion import layout
from dbt.adapters.datafusion.evolve import change_columns, iceberg_schema
from dbt.adapters.datafusion.scan import arrow_schema
from dbt.adapters.datafusion.sqltypes import storable_schema
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionKey
from pyiceberg.table.locations import load_location_provider
from pyiceberg.typedef import Record

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata

    from datafusion import DataFrame

Identifier = tuple[str, str]

VIEW_QUERY = "dbt-datafusion.view-query"
"""Table property that makes a table without rows a view; its value is the SELECT."""

INTENT = "lake.intent"
"""Property of a snapshot that says what it changed, `rows`, whole `partitions` or the whole `table`: a catalog that
merges goes by it."""

_ROWS_PER_GROUP = 65_536
"""Rows of a row group: wide tables stay readable in small pieces, narrow ones have few groups."""

_BYTES_PER_FILE = 512 * 2**20
"""Size after which a new file is begun, unless the table's `write.target-file-size-bytes` says otherwise."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What is said of a table besides its rows.

    Attributes:
        required: columns that may not be NULL.
        partitioned_by: None: an existing table keeps its partitioning, a new one has none.
        sorted_by: None: an existing table keeps its order, a new one has none.
    """

    required: Collection[str] = ()
    partitioned_by: Sequence[layout.Term] | None = None
    sorted_by: Sequence[layout.Term] | None = None


def replace(catalog: Catalog, identifier: Identifier, rows: DataFrame, definition: Definition | None = None) -> int:
    """Make a table hold exactly `rows`, by one commit; create it if it is not there.

    If `rows` fail while they are computed, nothing is committed and the files written so far are removed.

    Returns:
        The number of rows.

    Raises:
        ValueError: NULL in a column that is required, or a column to partition or sort by that is not there.
    """
    definition = definition or Definition()
    target = storable_schema(rows.schema())
    table = load_if_exists(catalog, identifier)
    if table is None:
        return commit(_creation(catalog, identifier, target, definition), rows, [], intent="table")
    transaction = table.transaction()
    lasting = [field.name for field in arrow_schema(table) if field in target]
    layout.drop_layout(transaction, definition.partitioned_by, definition.sorted_by, lasting=lasting)
    change_columns(transaction, target, definition.required)
    layout.add_layout(transaction, definition.partitioned_by, definition.sorted_by)
    if VIEW_QUERY in table.properties:
        transaction.remove_properties(VIEW_QUERY)
    old = data_files(table)
    layout.check_old_files(transaction.table_metadata, {file.spec_id for file in old})
    return commit(transaction, rows, old, intent="table")


def _creation(catalog: Catalog, identifier: Identifier, target: pa.Schema, definition: Definition) -> Transaction:
    schema = iceberg_schema(target, definition.required)
    return catalog.create_table_transaction(
        identifier,
        schema=schema,
        partition_spec=layout.partition_spec(definition.partitioned_by or (), schema),
        sort_order=layout.sort_order(definition.sorted_by or (), schema),
    )


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
        layout.drop_layout(transaction, (), ())
        change_columns(transaction, target)
        transaction.set_properties({VIEW_QUERY: query})
        commit(transaction, None, data_files(table), intent="table")


def overwrite_partitions(transaction: Transaction, rows: DataFrame) -> int:
    """Put `rows` in place of the partitions they fall in, by one commit; of an unpartitioned table, in place of all.

    Returns:
        The number of rows written.

    Raises:
        ValueError: the table has files of an older partitioning, of which nobody can say what they have in common.
    """
    metadata = transaction.table_metadata
    old = data_files(transaction._table)
    if any(file.spec_id != metadata.default_spec_id for file in old):
        raise ValueError("the table has files of an older partitioning: build it anew with --full-refresh")
    if metadata.spec().is_unpartitioned():
        return commit(transaction, rows, old, intent="table")
    files = _write(transaction, rows)
    filled = {file.partition for file in files}
    return _commit_files(transaction, files, [file for file in old if file.partition in filled], intent="partitions")


def load_if_exists(catalog: Catalog, identifier: Identifier) -> Table | None:
    """The table, or None if the catalog has none of that name."""
    try:
        return catalog.load_table(identifier)
    except NoSuchTableError:
        return None


def data_files(table: Table) -> list[DataFile]:
    """The data files of the current snapshot."""
    return [task.file for task in table.scan().plan_files()]


def commit(
    transaction: Transaction,
    rows: DataFrame | None,
    old: Sequence[DataFile],
    *,
    intent: str,
    checked: bool = False,
) -> int:
    """Commit `transaction` with the files of `rows` in place of `old`. Returns the number of rows written.

    Args:
        checked: the rows were computed from the table as it was, so rows that came meanwhile are a conflict.
    """
    files = [] if rows is None else _write(transaction, rows)
    return _commit_files(transaction, files, old, intent=intent, checked=checked)


def _commit_files(
    transaction: Transaction,
    files: Sequence[DataFile],
    old: Sequence[DataFile],
    *,
    intent: str,
    checked: bool = False,
) -> int:
    snapshot_id = _stage(transaction, files, old, intent=intent, checked=checked) if old or files else None
    # A commit that fails removes nothing: its outcome may be unknown.
    after = transaction.commit_transaction().metadata
    if snapshot_id and snapshot_id not in {snapshot.snapshot_id for snapshot in after.snapshots}:
        # The catalog found the rows equal to those it had and kept its table as it was.
        _remove(transaction, [file.file_path for file in files])
    return sum(file.record_count for file in files)


def _stage(
    transaction: Transaction, files: Sequence[DataFile], old: Sequence[DataFile], *, intent: str, checked: bool
) -> int:
    """Put one snapshot into `transaction` that has `files` instead of `old`; return its id."""
    update = transaction.update_snapshot(snapshot_properties={INTENT: intent})
    with update.overwrite() if old or checked else update.fast_append() as snapshot:
        if old or checked:
            # all rows are meant: what another writer adds meanwhile is a conflict, not kept beside ours
            snapshot.delete_by_predicate(AlwaysTrue())
        for file in old:
            snapshot.delete_data_file(file)
        for file in files:
            snapshot.append_data_file(file)
    return snapshot.snapshot_id


def _write(transaction: Transaction, rows: DataFrame) -> list[DataFile]:
    """Data files that hold `rows`, in their order; none for no rows. If anything fails they are removed again."""
    metadata = transaction.table_metadata
    locations: list[str] = []
    try:
        source = layout.arranged(rows, metadata) if layout.is_arranged(metadata) else rows
        return list(_write_parquet(transaction, stream(source), locations))
    except BaseException:
        _remove(transaction, locations)
        raise


def stream(rows: DataFrame) -> Iterator[pa.RecordBatch]:
    """The rows as they are computed."""
    for batch in rows.execute_stream():
        yield batch.to_pyarrow()


def _remove(transaction: Transaction, locations: Iterable[str]) -> None:
    for location in locations:
        with suppress(OSError):
            transaction._table.io.delete(location)


def _write_parquet(
    transaction: Transaction, batches: Iterable[pa.RecordBatch], locations: list[str]
) -> Iterator[DataFile]:
    """Stream `batches` into a file for each partition, more if it grows too big; one is open at a time.

    `locations` grows with each file that is begun.
    """
    metadata, io = transaction.table_metadata, transaction._table.io
    provider = load_location_provider(metadata.location, metadata.properties)
    schema = schema_to_pyarrow(metadata.schema(), include_field_ids=True)
    limit = int(metadata.properties.get("write.target-file-size-bytes", _BYTES_PER_FILE))
    write_id = uuid.uuid4()
    filled = (batch for batch in batches if batch.num_rows)
    parts = ((key, _as_stored(part, schema)) for batch in filled for key, part in layout.runs(batch, metadata))
    pending = next(parts, None)
    while pending is not None:
        partition, first = pending
        name = f"{write_id}-{len(locations):05d}.parquet"
        locations.append(provider.new_data_location(name, _partition_key(partition, metadata)))
        with (
            io.new_output(locations[-1]).create() as sink,
            _parquet_writer(sink, schema, metadata.properties) as writer,
        ):
            writer.write_batch(first, row_group_size=_ROWS_PER_GROUP)
            while (pending := next(parts, None)) and pending[0] == partition and sink.tell() < limit:
                writer.write_batch(pending[1], row_group_size=_ROWS_PER_GROUP)
        yield _data_file(transaction, locations[-1], partition)


class _Partition(PartitionKey):
    """A partition whose values are known already: pyiceberg's own class wants those of the source columns."""

    def __init__(self, record: Record, metadata: TableMetadata) -> None:
        super().__init__([], metadata.spec(), metadata.schema())
        self.__dict__["partition"] = record


def _partition_key(partition: Record, metadata: TableMetadata) -> PartitionKey | None:
    return None if metadata.spec().is_unpartitioned() else _Partition(partition, metadata)


def _data_file(transaction: Transaction, location: str, partition: Record) -> DataFile:
    """What the manifest says of a file: its partition, sort order and statistics."""
    metadata, source = transaction.table_metadata, transaction._table.io.new_input(location)
    with source.open() as opened:
        footer = pq.read_metadata(opened)
    schema = metadata.schema()
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=footer,
        stats_columns=compute_statistics_plan(schema, metadata.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=partition,
        file_size_in_bytes=len(source),
        sort_order_id=None if metadata.sort_order().is_unsorted else metadata.default_sort_order_id,
        spec_id=metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )


def _parquet_writer(sink: Any, schema: pa.Schema, properties: Mapping[str, str]) -> pq.ParquetWriter:
    codec = properties.get("write.parquet.compression-codec", "zstd")
    return pq.ParquetWriter(sink, schema, compression="none" if codec == "uncompressed" else codec)


def _as_stored(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """`batch` under the table's columns and types. Nanoseconds are cut to microseconds.

    Raises:
        ValueError: NULL in a column that is required.
    """
    arrays = [
        batch.column(field.name).cast(field.type, safe=not pa.types.is_timestamp(field.type))
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    for field, array in zip(schema, arrays, strict=True):
        if not field.nullable and array.null_count:
            raise ValueError(f'null value in column "{field.name}" violates not-null constraint')
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
