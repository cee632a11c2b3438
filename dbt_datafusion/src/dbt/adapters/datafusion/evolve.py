"""Columns that change between two builds of one table, so that its field ids go on meaning what they meant."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dbt.adapters.datafusion.sqltypes import storable_schema
from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids, schema_to_pyarrow
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table.update import AddSchemaUpdate, AssertCurrentSchemaId, SetCurrentSchemaUpdate
from pyiceberg.types import DecimalType, DoubleType, FloatType, IcebergType, IntegerType, LongType, NestedField

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Transaction


def change_columns(transaction: Transaction, want: pa.Schema) -> None:
    """Make the table's columns `want`, in that order, as part of `transaction`; do nothing if they are so already.

    A column keeps its field id and its comment by name. One whose type became something Iceberg does not promote to is
    another column of the same name and gets a new id, as does every column that was not there.

    Args:
        want: storable types (see `storable_schema`), in the order of the query.
    """
    metadata = transaction.table_metadata
    current = metadata.schema()
    have = storable_schema(schema_to_pyarrow(current, include_field_ids=False))
    if have.equals(want):
        return
    known = {field.name: field for field in current.fields}
    unchanged = {field.name for field in have if field in want}
    ids = itertools.count(metadata.last_column_id + 1)
    fields = [
        _kept(known[field.name], known[field.name].field_type)
        if field.name in unchanged
        else _changed(known.get(field.name), field, ids)
        for field in _pyarrow_to_schema_without_ids(want).fields
    ]
    schema = Schema(*fields, schema_id=1 + max(schema.schema_id for schema in metadata.schemas))
    # pyiceberg's own UpdateSchema cannot move a column that it also replaces, hence the updates themselves.
    transaction._apply(
        (AddSchemaUpdate(schema=schema), SetCurrentSchemaUpdate(schema_id=-1)),
        (AssertCurrentSchemaId(current_schema_id=metadata.current_schema_id),),
    )


def _kept(known: NestedField, field_type: IcebergType) -> NestedField:
    return NestedField(known.field_id, known.name, field_type, required=False, doc=known.doc)


def _changed(known: NestedField | None, field: NestedField, ids: Iterator[int]) -> NestedField:
    if known and _promotes(known.field_type, field.field_type):
        return _kept(known, field.field_type)
    doc = known.doc if known else None
    unnumbered = Schema(NestedField(0, field.name, field.field_type, required=False, doc=doc))
    return assign_fresh_schema_ids(unnumbered, lambda: next(ids)).fields[0]


def _promotes(known: IcebergType, new: IcebergType) -> bool:
    """Whether format 2 of Iceberg lets a column of type `known` become `new`."""
    if isinstance(known, DecimalType) and isinstance(new, DecimalType):
        return known.scale == new.scale and known.precision <= new.precision
    return (type(known), type(new)) in {(IntegerType, LongType), (FloatType, DoubleType)}
