"""A table's next schema from the columns of new rows: by name, keeping field ids."""

from __future__ import annotations

import itertools

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.io.pyarrow import UnsupportedPyArrowTypeException
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table import TableProperties, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import AddSchemaUpdate, AssertCurrentSchemaId, SetCurrentSchemaUpdate
from pyiceberg.types import (
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
)

from dfp_platform.catalog.table_sums import described_type
from dfp_platform.errors import InputError


def storable(schema: pa.Schema) -> pa.Schema:
    """The columns as Iceberg can store them: all optional, dictionaries unpacked, narrow and unsigned integers widened,
    times in microseconds."""
    return pa.schema([pa.field(field.name, _storable(field.type)) for field in schema])


def iceberg_schema(schema: pa.Schema) -> Schema:
    """The Iceberg columns of an Arrow schema, without field ids yet. Raises InputError: a type Iceberg cannot store."""
    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated or not schema.names:
        what = f"column {repeated[0]!r} occurs twice" if repeated else "there is no column"
        raise InputError(
            what, hint="a table needs columns, each of its own name", column=repeated[0] if repeated else ""
        )
    try:
        return Catalog._convert_schema_if_needed(schema)
    except (TypeError, ValueError, UnsupportedPyArrowTypeException):
        _refuse_unstorable(schema)
        raise


def evolved(current: Schema, wanted: Schema, *, last_column_id: int) -> Schema:
    """`wanted`'s columns in its order; a column keeps the id it has in `current` while its type is the same or wider.

    A narrower type keeps the column as wide as it was; any other type makes a new column of the same name.
    """
    fresh = itertools.count(last_column_id + 1)
    before = {field.name: field for field in current.fields}
    fields = [_evolved_field(before.get(field.name), field, fresh) for field in wanted.fields]
    kept = {field.field_id for field in fields} & set(current.identifier_field_ids)
    return Schema(*fields, identifier_field_ids=sorted(kept))


def set_schema(transaction: Transaction, schema: Schema) -> bool:
    """Stage `schema` as the table's current one, with its name mapping if it keeps one; False if it is that already.

    Raises:
        InputError: a column that the table is partitioned or sorted by is missing.
    """
    metadata = transaction.table_metadata
    if schema.as_struct() == metadata.schema().as_struct():
        return False
    _refuse_missing_sources(metadata, schema)
    requirement = AssertCurrentSchemaId(current_schema_id=metadata.current_schema_id)
    known = next((old for old in metadata.schemas if old.as_struct() == schema.as_struct()), None)
    if known is not None:
        transaction._apply((SetCurrentSchemaUpdate(schema_id=known.schema_id),), (requirement,))
    else:
        next_id = 1 + max(old.schema_id for old in metadata.schemas)
        young = Schema(*schema.fields, schema_id=next_id, identifier_field_ids=schema.identifier_field_ids)
        updates = (AddSchemaUpdate(schema=young), SetCurrentSchemaUpdate(schema_id=-1))
        transaction._apply(updates, (requirement,))
    if metadata.properties.get(TableProperties.DEFAULT_NAME_MAPPING):
        map_names(transaction)
    return True


def map_names(transaction: Transaction) -> None:
    """Stage the name mapping by which files without field ids are read."""
    mapping = transaction.table_metadata.schema().name_mapping.model_dump_json()
    if transaction.table_metadata.properties.get(TableProperties.DEFAULT_NAME_MAPPING) != mapping:
        transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: mapping})


def _refuse_unstorable(schema: pa.Schema) -> None:
    for field in schema:
        try:
            Catalog._convert_schema_if_needed(pa.schema([field]))
        except (TypeError, ValueError, UnsupportedPyArrowTypeException) as error:
            raise InputError(
                f"column {field.name!r} is of type {field.type}, which an Iceberg table cannot store: {error}",
                hint="cast it before writing",
                column=field.name,
            ) from error


def _evolved_field(before: NestedField | None, wanted: NestedField, fresh: itertools.count[int]) -> NestedField:
    kept = _kept_type(before.field_type, wanted.field_type) if before else None
    if before is None or kept is None:
        return assign_fresh_schema_ids(Schema(wanted), fresh.__next__).fields[0]
    return NestedField(before.field_id, before.name, kept, required=before.required, doc=before.doc)


def _kept_type(before: IcebergType, wanted: IcebergType) -> IcebergType | None:
    """The type a column goes on with under its id; None where Iceberg allows no such change."""
    if described_type(before) == described_type(wanted) or _widens(wanted, before):
        return before
    return wanted if _widens(before, wanted) else None


def _widens(narrow: IcebergType, wide: IcebergType) -> bool:
    if isinstance(narrow, DecimalType) and isinstance(wide, DecimalType):
        return narrow.scale == wide.scale and narrow.precision <= wide.precision
    pair = (type(narrow), type(wide))
    return pair in {(IntegerType, LongType), (FloatType, DoubleType)}


def _refuse_missing_sources(metadata: TableMetadata, schema: Schema) -> None:
    used = {field.source_id for field in metadata.spec().fields}
    used |= {field.source_id for field in metadata.sort_order().fields}
    missing = used - set(schema.field_ids)
    if missing:
        names = ", ".join(sorted(str(metadata.schema().find_column_name(source)) for source in missing))
        raise InputError(
            f"the table is partitioned or sorted by {names}, which the new rows lack or have with another type",
            hint="write the column too, or drop the table first",
            column=names,
        )


def _storable(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_dictionary(kind):
        return _storable(kind.value_type)
    if types.is_integer(kind):
        return pa.int64() if kind.bit_width == 64 or kind == pa.uint32() else pa.int32()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if types.is_time(kind):
        return pa.time64("us")
    return pa.date32() if types.is_date(kind) else kind
