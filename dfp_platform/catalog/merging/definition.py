"""What a table is beside its rows, merged three ways: schema, sort order and properties. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH

from dfp_platform.catalog.merging.difference import descends
from dfp_platform.schemas import Conflict

_UNMERGED: Mapping[str, tuple[str, Callable[[TableMetadata], Any]]] = {
    "uuid": ("it is another table on each side", lambda table: table.table_uuid),
    "location": ("its location changed", lambda table: table.location),
    "format-version": ("its format version changed", lambda table: table.format_version),
    "spec": ("its partitioning changed", lambda table: (table.partition_specs, table.default_spec_id)),
    "refs": ("its own Iceberg branches or tags changed", lambda table: _own_refs(table)),
}
"""What may not change on either side, by the kind of conflict."""


def definition_conflicts(path: str, base: TableMetadata, ours: TableMetadata, theirs: TableMetadata) -> list[Conflict]:
    """Why the definitions on both sides do not go together; empty: they do."""
    found = [
        Conflict(path, detail, kind=kind)
        for kind, (detail, part) in _UNMERGED.items()
        if not part(base) == part(ours) == part(theirs)
    ]
    if not found and not (descends(ours, base) and descends(theirs, base)):
        found.append(Conflict(path, "the history of one side does not contain what both came from", kind="history"))
    return found or list(_schema_conflicts(path, base, ours, theirs)) + list(
        _property_conflicts(path, base, ours, theirs)
    )


def merged_definition(base: TableMetadata, ours: TableMetadata, theirs: TableMetadata) -> TableMetadata:
    """`ours` with what `theirs` changed in schema, sort order and properties. For definitions that do not conflict."""
    change: dict[str, Any] = {"properties": _merged_properties(base, ours, theirs)}
    if _schema(ours) == _schema(base) != _schema(theirs):
        change |= _with_schema(ours, theirs.schema())
        change["last_column_id"] = max(ours.last_column_id, theirs.last_column_id)
    if _sort(ours) == _sort(base) != _sort(theirs):
        change |= {"sort_orders": theirs.sort_orders, "default_sort_order_id": theirs.default_sort_order_id}
    if all(getattr(ours, name) == value for name, value in change.items()):
        return ours
    return ours.model_copy(update=change)


def _with_schema(ours: TableMetadata, schema: Schema) -> dict[str, Any]:
    known = next((old for old in ours.schemas if old == schema and _key(old) == _key(schema)), None)
    current = known or schema.model_copy(update={"schema_id": 1 + max(old.schema_id for old in ours.schemas)})
    change: dict[str, Any] = {"current_schema_id": current.schema_id}
    if known is None:
        change["schemas"] = [*ours.schemas, current]
    if ours.format_version == 1:
        change["schema_"] = current
    return change


def _schema_conflicts(path: str, base: TableMetadata, ours: TableMetadata, theirs: TableMetadata) -> Iterator[Conflict]:
    if _changed_apart(_schema, base, ours, theirs):
        yield Conflict(path, "its columns changed differently on both sides", kind="schema")
    elif _schema(ours) != _schema(theirs) and min(ours.last_column_id, theirs.last_column_id) > base.last_column_id:
        yield Conflict(path, "both sides gave the same field id to another column", kind="schema")
    elif _requires_more(base.schema(), ours.schema()) or _requires_more(base.schema(), theirs.schema()):
        yield Conflict(path, "a column became required, which rows of the other side need not fill", kind="schema")
    if _changed_apart(_sort, base, ours, theirs):
        yield Conflict(path, "its sort order changed differently on both sides", kind="sort-order")


def _property_conflicts(
    path: str, base: TableMetadata, ours: TableMetadata, theirs: TableMetadata
) -> Iterator[Conflict]:
    for key in sorted({*base.properties, *ours.properties, *theirs.properties}):
        if _changed_apart(lambda table, key=key: table.properties.get(key), base, ours, theirs):
            yield Conflict(path, f"its property {key} was set differently on both sides", kind="property")


def _changed_apart(
    part: Callable[[TableMetadata], Any], base: TableMetadata, ours: TableMetadata, theirs: TableMetadata
) -> bool:
    before, mine, yours = part(base), part(ours), part(theirs)
    return mine != before and yours != before and mine != yours


def _merged_properties(base: TableMetadata, ours: TableMetadata, theirs: TableMetadata) -> dict[str, str]:
    merged = dict(ours.properties)
    for key in base.properties.keys() | theirs.properties.keys():
        after = theirs.properties.get(key)
        if after == base.properties.get(key):
            continue
        if after is None:
            merged.pop(key, None)
        else:
            merged[key] = after
    return merged


def _requires_more(before: Schema, after: Schema) -> bool:
    old = {field.field_id: field.required for field in before.fields}
    return any(field.required and not old.get(field.field_id, False) for field in after.fields)


def _schema(table: TableMetadata) -> tuple[Any, ...]:
    return table.schema().as_struct(), _key(table.schema())


def _key(schema: Schema) -> tuple[int, ...]:
    return tuple(sorted(schema.identifier_field_ids))


def _sort(table: TableMetadata) -> tuple[Any, ...]:
    return tuple(table.sort_order().fields)


def _own_refs(table: TableMetadata) -> dict[str, Any]:
    return {name: ref for name, ref in table.refs.items() if name != MAIN_BRANCH}
