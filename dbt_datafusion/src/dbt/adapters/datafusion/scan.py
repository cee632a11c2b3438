"""Iceberg tables as DataFusion frames: columns found by field id, delete files honoured."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from dbt.adapters.datafusion.sqltypes import storable, storable_schema
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow

from datafusion import DataFrame, Expr, SessionContext, col, lit

if TYPE_CHECKING:
    from dbt.adapters.datafusion.staging import Staging
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Table

_FIELD_ID = b"PARQUET:field_id"


def frame(
    session: SessionContext,
    table: Table,
    staging: Staging,
    *,
    only: Collection[str] | None = None,
    file_column: str | None = None,
) -> DataFrame:
    """The rows of the table's current snapshot, under its current schema.

    Local parquet files without deletes, where their addresses say, are read by DataFusion itself, which prunes columns
    and row groups; each file's columns are matched by field id (by the table's name mapping where a file has none).
    Every other file goes through pyiceberg's own scan into a local copy first, once a process.

    Args:
        only: the data files to read; all of them if None.
        file_column: a column of this name says which data file a row came from.

    Raises:
        ValueError: equality deletes, which pyiceberg cannot read.
    """
    tasks = sorted(table.scan().plan_files(), key=lambda task: task.file.file_path)
    frames = []
    for task in tasks:
        if only is None or task.file.file_path in only:
            rows = _file_frame(session, table, task) or _staged_frame(session, table, task, staging)
            if file_column:
                rows = rows.with_column(file_column, lit(task.file.file_path))
            frames.append(rows)
    if frames:
        return reduce(DataFrame.union, frames)
    schema = arrow_schema(table)
    if file_column:
        schema = schema.append(pa.field(file_column, pa.string()))
    return session.create_dataframe([[_empty_batch(schema)]])


def _staged_frame(session: SessionContext, table: Table, task: FileScanTask, staging: Staging) -> DataFrame:
    """The rows of one data file that DataFusion cannot read by itself."""
    schema = arrow_schema(table)
    deletes = sorted(file.file_path for file in task.delete_files)
    key = (task.file.file_path, *deletes, str(table.schema()))
    path = staging.file(key, schema, lambda: _scanned(table, task, schema))
    return session.read_parquet(path.as_uri()).select(*(_expression(field, field) for field in schema))


def _scanned(table: Table, task: FileScanTask, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    batches = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue()).to_record_batches([task])
    return iter(pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in batches)))


def arrow_schema(table: Table) -> pa.Schema:
    """The table's current columns as Arrow types, without field ids."""
    return stored_schema(table.schema())


def stored_schema(schema: Schema) -> pa.Schema:
    """An Iceberg schema's columns as Arrow types, without field ids."""
    return storable_schema(schema_to_pyarrow(schema, include_field_ids=False))


def local_path(location: str) -> Path | None:
    """The path behind a data file's address, if it lies on this machine's disk."""
    if location.startswith("file:"):
        # Iceberg's file URIs are not percent-encoded.
        return Path("/" + location.removeprefix("file:").lstrip("/"))
    return Path(location) if location.startswith("/") else None


def _empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _file_frame(session: SessionContext, table: Table, task: FileScanTask) -> DataFrame | None:
    path = local_path(task.file.file_path)
    if path is None or not path.exists() or task.delete_files or task.file.file_format.name != "PARQUET":
        return None
    stored = _columns_by_id(table, _stored_schema(str(path)))
    wanted = schema_to_pyarrow(table.schema(), include_field_ids=True)
    expressions = []
    for field in wanted:
        found = stored.get(_field_id(field))
        if found is not None and pa.types.is_nested(field.type) and not _same_inside(found, field):
            return None
        expressions.append(_expression(found, field))
    return session.read_parquet(path.as_uri()).select(*expressions)


def _expression(found: pa.Field | None, field: pa.Field) -> Expr:
    if found is None:
        return lit(None).cast(storable(field.type)).alias(field.name)
    column = col('"' + found.name.replace('"', '""') + '"')
    if storable(found.type) != storable(field.type):
        column = column.cast(storable(field.type))
    return column.alias(field.name)


@lru_cache(maxsize=256)
def _stored_schema(path: str) -> pa.Schema:
    # Data files never change, so neither does what was once read of them.
    return pq.read_schema(path)


def _columns_by_id(table: Table, stored: pa.Schema) -> Mapping[int, pa.Field]:
    if any(field.metadata and _FIELD_ID in field.metadata for field in stored):
        return {_field_id(field): field for field in stored}
    mapping = table.name_mapping() or table.schema().name_mapping
    ids = {name: field.field_id for field in mapping for name in field.names if field.field_id is not None}
    return {ids[field.name]: field for field in stored if field.name in ids}


def _field_id(field: pa.Field) -> int:
    return int((field.metadata or {}).get(_FIELD_ID, -1))


def _same_inside(found: pa.Field, field: pa.Field) -> bool:
    return storable(found.type) == storable(field.type) and list(_inner_ids(found)) == list(_inner_ids(field))


def _inner_ids(field: pa.Field) -> Iterator[int]:
    for index in range(field.type.num_fields):
        inner = field.type.field(index)
        yield _field_id(inner)
        yield from _inner_ids(inner)
