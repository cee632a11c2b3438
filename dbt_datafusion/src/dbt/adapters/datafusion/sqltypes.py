"""Types: what Arrow calls them, what SQL calls them, and which of them an Iceberg table can hold."""

from __future__ import annotations

import pyarrow as pa

_SQL_NAMES: tuple[tuple[pa.DataType, str], ...] = (
    (pa.bool_(), "boolean"),
    (pa.int8(), "int"),
    (pa.int16(), "int"),
    (pa.int32(), "int"),
    (pa.int64(), "bigint"),
    (pa.float32(), "real"),
    (pa.float64(), "double"),
    (pa.date32(), "date"),
)


def sql_name(kind: pa.DataType) -> str:
    """The name under which DataFusion's SQL casts to an Arrow type."""
    for known, name in _SQL_NAMES:
        if kind == known:
            return name
    if _is_text(kind):
        return "varchar"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return "bytea"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"{sql_name(kind.value_type)}[]"
    return str(kind)


def cast_name(kind: pa.DataType) -> str | None:
    """The name under which SQL casts to a stored type without losing values; None for nested types.

    `timestamp` alone is one of nanoseconds to DataFusion, which ends in the year 2262.
    """
    if pa.types.is_nested(kind):
        return None
    if pa.types.is_timestamp(kind):
        return "timestamp(6)" if kind.tz is None else "timestamp(6) with time zone"
    return sql_name(kind)


def storable(kind: pa.DataType) -> pa.DataType:
    """The Arrow type in which a value of `kind` is stored in an Iceberg (format 2) table.

    Iceberg has no unsigned or narrow integers, no nanoseconds before format 3, no dictionaries and no type of nothing
    but NULLs: each goes to the narrowest type that holds every value of it.
    """
    if pa.types.is_dictionary(kind):
        return storable(kind.value_type)
    if _is_text(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_integer(kind):
        return pa.int32() if kind.bit_width < 32 or kind == pa.int32() else pa.int64()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return _storable_nested(kind)


def _storable_nested(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", storable(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, storable(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(storable(kind.key_type), storable(kind.item_type))
    return kind


def storable_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` with every type storable, every column optional and no metadata."""
    return pa.schema([pa.field(field.name, storable(field.type)) for field in schema])


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
