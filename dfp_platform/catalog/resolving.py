"""The ids that a catalog gives to schemas, specs and sort orders, as Iceberg's Java library gives them.

A client numbers what it adds as it pleases, or asks for "the last added one" by -1. The catalog reuses the id of an
equal schema, spec or order, else takes the next free one. pyiceberg takes ids as they come, so updates pass here first.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER_ID, SortOrder
from pyiceberg.table.update import (
    AddPartitionSpecUpdate,
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AddSortOrderUpdate,
    RemovePropertiesUpdate,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetDefaultSortOrderUpdate,
    SetDefaultSpecUpdate,
    TableUpdate,
)

LAST_ADDED = -1
"""Instead of an id: the schema, spec or order that the same commit added last."""

UNASSIGNED = -1
"""Field id of a partition field that the catalog shall number."""


def resolved(updates: Sequence[TableUpdate], base: TableMetadata) -> tuple[TableUpdate, ...]:
    """The updates with the ids they get on top of `base`; additions of what is there already are left out.

    Raises:
        ValueError: "the last added" of something that nothing was added of.
        CommitFailedException: a snapshot that another writer's has overtaken.
    """
    ids = _Ids(base)
    found = (ids.resolve(update) for update in updates)
    return tuple(update for update in found if update is not None)


class _Ids:
    """What is numbered in a table, while updates add to it one by one."""

    def __init__(self, base: TableMetadata) -> None:
        self._base = base
        self._schemas = list(base.schemas)
        self._specs = list(base.partition_specs)
        self._orders = list(base.sort_orders)
        self._last_partition_id = base.last_partition_id or PARTITION_FIELD_ID_START - 1
        self._properties = set(base.properties)
        self._added: dict[str, int] = {}

    def resolve(self, update: TableUpdate) -> TableUpdate | None:
        match update:
            case AddSchemaUpdate():
                return self._add_schema(update.schema_)
            case AddPartitionSpecUpdate():
                return self._add_spec(update.spec)
            case AddSortOrderUpdate():
                return self._add_order(update.sort_order)
            case SetCurrentSchemaUpdate():
                return SetCurrentSchemaUpdate(schema_id=self._chosen("schema", update.schema_id))
            case SetDefaultSpecUpdate():
                return SetDefaultSpecUpdate(spec_id=self._chosen("partition spec", update.spec_id))
            case SetDefaultSortOrderUpdate():
                return SetDefaultSortOrderUpdate(sort_order_id=self._chosen("sort order", update.sort_order_id))
            case AddSnapshotUpdate():
                self._refuse_overtaken(update)
            case RemovePropertiesUpdate():
                return RemovePropertiesUpdate(removals=[name for name in update.removals if name in self._properties])
            case RemoveSnapshotsUpdate():  # another writer may have expired them first
                known = {snapshot.snapshot_id for snapshot in self._base.snapshots}
                return RemoveSnapshotsUpdate(snapshot_ids=[id_ for id_ in update.snapshot_ids if id_ in known])
        if update.action == "set-properties":
            self._properties |= set(update.updates)
        return update

    def _add_schema(self, schema: Schema) -> AddSchemaUpdate | None:
        same = next((known for known in self._schemas if _same_schema(known, schema)), None)
        if same is not None:
            self._added["schema"] = same.schema_id
            return None
        young = schema.model_copy(update={"schema_id": _next([known.schema_id for known in self._schemas], first=0)})
        self._schemas.append(young)
        self._added["schema"] = young.schema_id
        return AddSchemaUpdate(schema_=young)

    def _add_spec(self, spec: PartitionSpec) -> AddPartitionSpecUpdate | None:
        same = next((known for known in self._specs if spec.compatible_with(known)), None)
        if same is not None:
            self._added["partition spec"] = same.spec_id
            return None
        fields = [self._numbered(field) for field in spec.fields]
        young = PartitionSpec(*fields, spec_id=_next([known.spec_id for known in self._specs], first=0))
        self._specs.append(young)
        self._added["partition spec"] = young.spec_id
        return AddPartitionSpecUpdate(spec=young)

    def _numbered(self, field: PartitionField) -> PartitionField:
        if field.field_id == UNASSIGNED:
            field = field.model_copy(update={"field_id": self._last_partition_id + 1})
        self._last_partition_id = max(self._last_partition_id, field.field_id)
        return field

    def _add_order(self, order: SortOrder) -> AddSortOrderUpdate | None:
        same = next((known for known in self._orders if known.fields == order.fields), None)
        if same is not None:
            self._added["sort order"] = same.order_id
            return None
        free = _next([known.order_id for known in self._orders], first=UNSORTED_SORT_ORDER_ID + 1)
        young = order.model_copy(update={"order_id": UNSORTED_SORT_ORDER_ID if order.is_unsorted else free})
        self._orders.append(young)
        self._added["sort order"] = young.order_id
        return AddSortOrderUpdate(sort_order=young)

    def _chosen(self, what: str, wanted: int) -> int:
        if wanted != LAST_ADDED:
            return wanted
        if what not in self._added:
            raise ValueError(f"Cannot set last added {what}: no {what} has been added")
        return self._added[what]

    def _refuse_overtaken(self, update: AddSnapshotUpdate) -> None:
        """A sequence number or row ids that another commit took first: the writer has to try again on what is there."""
        snapshot, base = update.snapshot, self._base
        if base.format_version == 1:
            return
        number = snapshot.sequence_number
        if snapshot.parent_snapshot_id is not None and number is not None and number <= base.last_sequence_number:
            raise CommitFailedException(
                f"Cannot add snapshot with sequence number {number} "
                f"older than last sequence number {base.last_sequence_number}"
            )
        next_row = getattr(base, "next_row_id", None)
        if next_row is not None and snapshot.first_row_id is not None and snapshot.first_row_id < next_row:
            raise CommitFailedException(
                f"Cannot add a snapshot, first-row-id is behind table next-row-id: {snapshot.first_row_id} < {next_row}"
            )


def _same_schema(one: Schema, other: Schema) -> bool:
    return one.as_struct() == other.as_struct() and set(one.identifier_field_ids) == set(other.identifier_field_ids)


def _next(taken: Sequence[int], *, first: int) -> int:
    return max(max(taken, default=first - 1) + 1, first)
