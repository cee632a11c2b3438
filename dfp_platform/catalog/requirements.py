"""What a commit may require of a table or view, checked with the words that Iceberg's own clients know."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import (
    AssertCreate,
    AssertCurrentSchemaId,
    AssertDefaultSortOrderId,
    AssertDefaultSpecId,
    AssertLastAssignedFieldId,
    AssertLastAssignedPartitionId,
    AssertRefSnapshotId,
    AssertTableUUID,
    TableRequirement,
)


def check_requirements(requirements: Iterable[TableRequirement], base: TableMetadata | None) -> None:
    """Hold every requirement against the table as it is; None: it is not there.

    Raises:
        CommitFailedException: the first that does not hold, worded as Iceberg's Java library words it.
    """
    for requirement in requirements:
        _check(requirement, base)


def check_uuid(expected: UUID | str, actual: UUID | str) -> None:
    """Raises CommitFailedException: the table or view was dropped, and another stands in its place."""
    if UUID(str(expected)) != UUID(str(actual)):
        raise _failed(f"UUID does not match: expected {actual} != {expected}")


def _check(requirement: TableRequirement, base: TableMetadata | None) -> None:
    if isinstance(requirement, AssertCreate):
        if base is not None:
            raise _failed("table already exists")
    elif base is None:
        raise _failed("current table metadata is missing")
    elif isinstance(requirement, AssertTableUUID):
        check_uuid(requirement.uuid, base.table_uuid)
    elif isinstance(requirement, AssertRefSnapshotId):
        _check_ref(requirement, base)
    else:
        what, expected, actual = _counted(requirement, base)
        if expected != actual:
            raise _failed(f"{what} changed: expected id {expected} != {actual}")


def _counted(requirement: TableRequirement, base: TableMetadata) -> tuple[str, int | None, int | None]:
    """What is compared, the number that is required and the one that is there."""
    match requirement:
        case AssertLastAssignedFieldId():
            return "last assigned field id", requirement.last_assigned_field_id, base.last_column_id
        case AssertCurrentSchemaId():
            return "current schema", requirement.current_schema_id, base.current_schema_id
        case AssertLastAssignedPartitionId():
            return "last assigned partition id", requirement.last_assigned_partition_id, base.last_partition_id
        case AssertDefaultSpecId():
            return "default partition spec", requirement.default_spec_id, base.default_spec_id
        case AssertDefaultSortOrderId():
            return "default sort order", requirement.default_sort_order_id, base.default_sort_order_id
    raise CommitFailedException(f"unknown requirement: {requirement}")


def _check_ref(requirement: AssertRefSnapshotId, base: TableMetadata) -> None:
    ref = base.refs.get(requirement.ref)
    if ref is None:
        if requirement.snapshot_id is not None:
            raise _failed(f"branch or tag {requirement.ref} is missing, expected {requirement.snapshot_id}")
    elif requirement.snapshot_id is None:
        raise _failed(f"{ref.snapshot_ref_type.value} {requirement.ref} was created concurrently")
    elif requirement.snapshot_id != ref.snapshot_id:
        raise _failed(
            f"{ref.snapshot_ref_type.value} {requirement.ref} has changed: "
            f"expected id {requirement.snapshot_id} != {ref.snapshot_id}"
        )


def _failed(reason: str) -> CommitFailedException:
    return CommitFailedException(f"Requirement failed: {reason}")
