"""The next state of a table: requirements hold, ids are resolved, updates are applied, for format versions 1 to 3.

pyiceberg applies updates; what it lacks as a server is here, beside it: ids (see `resolving`), the way to version 3,
fields of a first state, the history of `main` free of what a commit only passed through.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import (
    TableMetadata,
    TableMetadataUtil,
    TableMetadataV1,
    TableMetadataV3,
    new_table_metadata,
)
from pyiceberg.table.sorting import SortOrder
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    SetPropertiesUpdate,
    TableRequirement,
    TableUpdate,
    UpgradeFormatVersionUpdate,
    _apply_table_update,
    _TableMetadataUpdateContext,
    _update_table_metadata_log,
)
from pyiceberg.typedef import EMPTY_DICT, Properties, TableVersion
from pyiceberg.types import IcebergType, ListType, MapType, NestedField, StructType

from dfp_platform.catalog.committing import FORCED_PROPERTIES
from dfp_platform.catalog.requirements import check_requirements
from dfp_platform.catalog.resolving import resolved

NEWEST_FORMAT = 3


def first_metadata(
    schema: Schema,
    *,
    partition_spec: PartitionSpec,
    sort_order: SortOrder,
    location: str,
    properties: Properties = EMPTY_DICT,
    table_uuid: uuid.UUID,
) -> TableMetadata:
    """The state of a table that is made, with fresh field ids; the property `format-version` is 1, 2 (else) or 3.

    Raises:
        ValidationError: no such version, or a type that this version does not know. ValueError: wrong spec or order.
    """
    made = new_table_metadata(schema, partition_spec, sort_order, location, dict(properties), table_uuid)
    young = _with_defaults(made.schema(), schema)
    _check_schema(young, made.format_version)
    found = made.model_copy(update={"schemas": [young]})
    return found.model_copy(update={"next_row_id": 0}) if isinstance(found, TableMetadataV3) else found


def next_metadata(
    base: TableMetadata | None,
    requirements: Sequence[TableRequirement],
    updates: Sequence[TableUpdate],
    *,
    base_location: str | None = None,
) -> TableMetadata:
    """What a table becomes; the same object where nothing changes.

    Args:
        base: the table as it is; None: it is made by these updates.
        base_location: the metadata file of `base`, for the metadata log.
    Raises:
        CommitFailedException: a requirement does not hold, or a snapshot was overtaken.
        ValueError, ValidationError: updates that make no table.
    """
    check_requirements(requirements, base)
    start = base if base is not None else _nothing(updates)
    young = _applied(start, resolved(updates, start), base_location)
    for update in updates:
        if isinstance(update, AddSchemaUpdate):
            _check_schema(update.schema_, young.format_version)
    if base is None:
        return TableMetadataUtil.parse_obj(young.model_dump())
    return base if young == base else _numbered_on(_without_passed_through(young, updates), updates)


def _applied(start: TableMetadata, updates: Sequence[TableUpdate], base_location: str | None) -> TableMetadata:
    """The upgrade first, which pyiceberg refuses for version 3 and which hinders none of the others."""
    versions = [update.format_version for update in updates if isinstance(update, UpgradeFormatVersionUpdate)]
    rest = tuple(update for update in updates if not isinstance(update, UpgradeFormatVersionUpdate))
    found = start
    for version in versions:
        found = _upgraded(found, version)
    if found is not start and not rest:
        rest = (SetPropertiesUpdate(updates=FORCED_PROPERTIES),)  # an upgrade alone is a change, to be dated and logged
    return updated(found, rest, base_location=base_location)


def updated(base: TableMetadata, updates: Sequence[TableUpdate], *, base_location: str | None = None) -> TableMetadata:
    """What pyiceberg's `update_table_metadata` makes of a state, which is not changed, nor copied.

    pyiceberg copies every snapshot, and asks for the state some twenty times an append: with hundreds of snapshots that
    is where its time goes. May go when pyiceberg copies no more.
    """
    context, young = _TableMetadataUpdateContext(), base
    for update in updates:
        young = _apply_table_update(update, young, context)
    if context.has_changes():
        if base_location:
            young = _update_table_metadata_log(young, base_location, base.last_updated_ms)
        if young.last_updated_ms == base.last_updated_ms:
            young = young.model_copy(update={"last_updated_ms": int(time.time() * 1000)})
    young.spec().check_compatible(young.schema())
    young.sort_order().check_compatible(young.schema())
    return young


def _upgraded(metadata: TableMetadata, version: int) -> TableMetadata:
    if version > NEWEST_FORMAT:
        raise ValueError(
            f"Cannot upgrade table to unsupported format version: v{version} (supported: v{NEWEST_FORMAT})"
        )
    if version < metadata.format_version:
        raise ValueError(f"Cannot downgrade v{metadata.format_version} table to v{version}")
    if version == metadata.format_version:
        return metadata
    changes: dict[str, Any] = {"format_version": version}
    if version == NEWEST_FORMAT:
        changes["next_row_id"] = 0
    if metadata.format_version == 1:
        changes["last_sequence_number"] = 0
    # the fields of another version need another class; they were checked when they came in
    return TableMetadataUtil._construct_without_validation(metadata.model_copy(update=changes))


def _nothing(updates: Sequence[TableUpdate]) -> TableMetadata:
    """The state before a table's first: what its first updates are applied to."""
    upgraded = any(isinstance(update, UpgradeFormatVersionUpdate) for update in updates)
    empty = TableMetadataV1.model_construct(last_column_id=0, current_schema_id=-1, default_spec_id=-1, schema=Schema())
    return empty if upgraded else _upgraded(empty, 2)


def _without_passed_through(metadata: TableMetadata, updates: Sequence[TableUpdate]) -> TableMetadata:
    """Snapshots that `main` only passed through within one commit are no part of its history."""
    added = {update.snapshot.snapshot_id for update in updates if isinstance(update, AddSnapshotUpdate)}
    passed = added - {metadata.current_snapshot_id}
    log = [entry for entry in metadata.snapshot_log if entry.snapshot_id not in passed]
    return metadata if log == metadata.snapshot_log else metadata.model_copy(update={"snapshot_log": log})


def _numbered_on(metadata: TableMetadata, updates: Sequence[TableUpdate]) -> TableMetadata:
    """Version 3: the next row id lies behind all ids of a new snapshot, also where that moved ahead of the table's."""
    added = (update.snapshot for update in updates if isinstance(update, AddSnapshotUpdate))
    ends = [
        snapshot.first_row_id + (snapshot.added_rows or 0) for snapshot in added if snapshot.first_row_id is not None
    ]
    behind = max(ends, default=0)
    if not isinstance(metadata, TableMetadataV3) or behind <= (metadata.next_row_id or 0):
        return metadata
    return metadata.model_copy(update={"next_row_id": behind})


def _check_schema(schema: Schema, format_version: TableVersion) -> None:
    """Raises ValueError, ValidationError: something in it needs a newer format version."""
    schema.check_format_version_compatibility(format_version)
    if format_version < NEWEST_FORMAT and _has_defaults(schema.as_struct()):
        raise ValueError(f"Invalid schema for v{format_version}: default values need format version {NEWEST_FORMAT}")


def _has_defaults(kind: IcebergType) -> bool:
    match kind:
        case StructType():
            return any(field.initial_default is not None or _has_defaults(field.field_type) for field in kind.fields)
        case ListType():
            return _has_defaults(kind.element_type)
        case MapType():
            return _has_defaults(kind.value_type)
    return False


def _with_defaults(fresh: Schema, original: Schema) -> Schema:
    """Default values of columns, which are lost when pyiceberg numbers fields anew."""
    struct = _filled(fresh.as_struct(), original.as_struct())
    assert isinstance(struct, StructType)  # a struct stays one
    return Schema(*struct.fields, schema_id=fresh.schema_id, identifier_field_ids=fresh.identifier_field_ids)


def _filled(fresh: IcebergType, original: IcebergType) -> IcebergType:
    match fresh, original:
        case StructType(), StructType():
            return StructType(*map(_filled_field, fresh.fields, original.fields))
        case ListType(), ListType():
            return fresh.model_copy(update={"element_type": _filled(fresh.element_type, original.element_type)})
        case MapType(), MapType():
            return fresh.model_copy(update={"value_type": _filled(fresh.value_type, original.value_type)})
    return fresh


def _filled_field(fresh: NestedField, original: NestedField) -> NestedField:
    return fresh.model_copy(
        update={
            "field_type": _filled(fresh.field_type, original.field_type),
            "initial_default": original.initial_default,
            "write_default": original.write_default,
        }
    )
