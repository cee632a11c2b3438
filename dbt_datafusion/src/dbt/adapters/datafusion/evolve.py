"""Columns that change between two builds of one table, so that its field ids go on meaning what they meant."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from dbt.adapters.datafusion.sqltypes import sql_name, storable_schema
from pyiceberg.io.pyarrow import _pyarrow_to_schema_without_ids, schema_to_pyarrow
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table.update import AddSchemaUpdate, AssertCurrentSchemaId, SetCurrentSchemaUpdate
from pyiceberg.types import DecimalType, DoubleType, FloatType, IcebergType, IntegerType, LongType, NestedField

if TYPE_CHECKING:
    from dbt.adapters.datafusion.statements import ColumnChange, Evolution
    from pyiceberg.table import Transaction


def iceberg_schema(want: pa.Schema, required: Collection[str] = ()) -> Schema:
    """The schema of a new table, its ids counted from 1.

    Raises:
        ValueError: a required column that is not there.
    """
    _check_required(want, required)
    schema = assign_fresh_schema_ids(_pyarrow_to_schema_without_ids(want))
    return Schema(*(_with_required(field, field.name in required) for field in schema.fields))


def change_columns(transaction: Transaction, want: pa.Schema, required: Collection[str] = ()) -> None:
    """Make the table's columns `want`, in that order, as part of `transaction`; do nothing if they are so already.

    A column keeps its field id and its comment by name. One whose type became something Iceberg does not promote to is
    another column of the same name and gets a new id, as does every column that was not there.

    Args:
        want: storable types (see `storable_schema`), in the order of the query.
        required: columns that may not be NULL. Every row is replaced, so a column may become so.
    """
    _check_required(want, required)
    metadata = transaction.table_metadata
    current = metadata.schema()
    have = storable_schema(schema_to_pyarrow(current, include_field_ids=False))
    known = {field.name: field for field in current.fields}
    if have.equals(want) and {field.name for field in current.fields if field.required} == set(required):
        return
    unchanged = {field.name for field in have if field in want}
    ids = itertools.count(metadata.last_column_id + 1)
    fields = [
        _kept(known[field.name], known[field.name].field_type)
        if field.name in unchanged
        else _changed(known.get(field.name), field, ids)
        for field in _pyarrow_to_schema_without_ids(want).fields
    ]
    _set_schema(transaction, [_with_required(field, field.name in required) for field in fields])


def _set_schema(transaction: Transaction, fields: list[NestedField]) -> None:
    metadata = transaction.table_metadata
    schema = Schema(*fields, schema_id=1 + max(schema.schema_id for schema in metadata.schemas))
    # pyiceberg's own UpdateSchema cannot move a column that it also replaces, hence the updates themselves.
    transaction._apply(
        (AddSchemaUpdate(schema=schema), SetCurrentSchemaUpdate(schema_id=-1)),
        (AssertCurrentSchemaId(current_schema_id=metadata.current_schema_id),),
    )


def evolve_columns(transaction: Transaction, new: pa.Schema, evolution: Evolution) -> None:
    """Let the columns of a table, whose other rows stay, follow those of a query, as part of `transaction`.

    Args:
        new: the query's columns in storable types.
        evolution: `evolution` adds columns that are new, `replacement` also drops those that are gone and widens types.

    Raises:
        ValueError: a type changed to one that Iceberg does not promote to: the rows that stay could not be read.
    """
    current = transaction.table_metadata.schema()
    have = storable_schema(schema_to_pyarrow(current, include_field_ids=False))
    if not evolution or (have.equals(new) and evolution == "replacement"):
        return
    kept = [field for field in current.fields if evolution == "evolution" or field.name in new.names]
    if evolution == "replacement":
        kept = [_widened(field, have.field(field.name), new.field(field.name)) for field in kept]
    ids = itertools.count(transaction.table_metadata.last_column_id + 1)
    added = [
        _changed(None, field, ids)
        for field in _pyarrow_to_schema_without_ids(new).fields
        if field.name not in have.names
    ]
    if [*kept, *added] != list(current.fields):
        _set_schema(transaction, [*kept, *added])


def _widened(known: NestedField, have: pa.Field, new: pa.Field) -> NestedField:
    [field] = _pyarrow_to_schema_without_ids(pa.schema([new])).fields
    if have.type == new.type or _promotes(field.field_type, known.field_type):
        return known
    if not _promotes(known.field_type, field.field_type):
        raise ValueError(
            f"column {known.name} is {sql_name(have.type)} in the table and {sql_name(new.type)} in the query, which "
            "Iceberg cannot make of it: build the table anew with --full-refresh"
        )
    return NestedField(known.field_id, known.name, field.field_type, required=known.required, doc=known.doc)


def alter_columns(transaction: Transaction, change: ColumnChange, kind: pa.DataType | None) -> None:
    """Add, drop, rename or widen one column of a table, as part of `transaction`. Field ids are kept.

    Args:
        kind: the storable type, of a column that is added or widened.

    Raises:
        ValueError: no such column, one that is there already, or a type that Iceberg does not promote to.
    """
    fields = {field.name: field for field in transaction.table_metadata.schema().fields}
    wanted = change.new_name if change.action == "rename" else change.name if change.action == "add" else ""
    if wanted in fields:
        raise ValueError(f"there is a column {wanted} already")
    if change.action != "add" and change.name not in fields:
        raise ValueError(f"there is no column {change.name}")
    with transaction.update_schema() as update:
        match change.action:
            case "drop":
                update.delete_column((change.name,))
            case "rename":
                update.rename_column((change.name,), change.new_name)
            case _:
                [field] = _pyarrow_to_schema_without_ids(pa.schema([pa.field(change.name, kind)])).fields
                if change.action == "add":
                    update.add_column((change.name,), field.field_type)
                elif kind is not None and not can_become(fields[change.name].field_type, kind):
                    raise ValueError(
                        f"column {change.name} is {fields[change.name].field_type}, which Iceberg cannot make "
                        f"{field.field_type} beside other changes"
                    )
                else:
                    update.update_column((change.name,), field_type=field.field_type)


def can_become(known: IcebergType, kind: pa.DataType) -> bool:
    """Whether a column may be given a (storable) type while its rows stay as they are."""
    [field] = _pyarrow_to_schema_without_ids(pa.schema([pa.field("it", kind)])).fields
    return known == field.field_type or _promotes(known, field.field_type)


def _check_required(want: pa.Schema, required: Collection[str]) -> None:
    if missing := [name for name in required if name not in want.names]:
        raise ValueError(f"not null is said of {', '.join(missing)}, which the query does not return")


def _with_required(field: NestedField, required: bool) -> NestedField:
    return NestedField(field.field_id, field.name, field.field_type, required=required, doc=field.doc)


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
