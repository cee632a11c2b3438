"""What a commit makes of a table: forced properties, its new pointer, and whether anything changed at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pyiceberg.io import FileIO
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update import AddSnapshotUpdate, SetSnapshotRefUpdate, TableRequirement, TableUpdate

from dfp_platform.catalog.content import table_content
from dfp_platform.catalog.pointers import Pointer
from dfp_platform.catalog.rows import RowSum
from dfp_platform.catalog.table_sums import schema_hash, table_sum

FORCED_PROPERTIES = {"gc.enabled": "false", "write.metadata.delete-after-commit.enabled": "false"}
"""On every table, always: engines that clean up after themselves delete files that another branch needs."""

INTENT = "lake.intent"
"""Property of our own snapshots, which a merge of the table goes by: `rows` changed single rows, `partitions` replaced
whole partitions, `table` all rows; `files` chose the files, whatever their rows."""


@dataclass(frozen=True, slots=True)
class Staged:
    """One attempt at a commit: the pointer it is based on (None: a new table) and what shall stand instead."""

    base: Pointer | None
    pointer: Pointer
    metadata: TableMetadata


@dataclass(frozen=True, slots=True)
class TableChange:
    """What a commit asks of one table."""

    identifier: tuple[str, ...]
    requirements: tuple[TableRequirement, ...]
    updates: tuple[TableUpdate, ...]


def operation(updates: tuple[TableUpdate, ...]) -> str:
    """What a commit message calls these updates: the last snapshot's operation, else what was updated."""
    snapshots = [update.snapshot for update in updates if update.action == "add-snapshot"]
    if snapshots and snapshots[-1].summary:
        return snapshots[-1].summary.operation.value
    return updates[-1].action if updates else "touch"


def with_forced_properties(metadata: TableMetadata) -> TableMetadata:
    """The metadata with `FORCED_PROPERTIES`; the same object if it has them."""
    properties = {**metadata.properties, **FORCED_PROPERTIES}
    return metadata if properties == metadata.properties else metadata.model_copy(update={"properties": properties})


def pointer_for(
    metadata: TableMetadata,
    metadata_location: str,
    io: FileIO,
    *,
    before: TableMetadata | None = None,
    base: Pointer | None = None,
    known: RowSum | None = None,
    numbering: str = "",
) -> Pointer:
    """The pointer of a table; with the state `before` and its pointer `base`, only what changed since is read.

    With the sum `known` of its rows nothing is read. `numbering` is the branch that numbers its next rows.
    Rows behind equality deletes cannot be read by pyiceberg, nor those of files that are not there or of another
    format than parquet: such a state is equal to no other.
    """
    base_sum = RowSum.from_text(base.rows, base.rows_hash) if base else None
    try:
        found = known or table_sum(metadata, io, base=before, base_sum=base_sum)
    except (FileNotFoundError, NotImplementedError, ValueError):  # pyiceberg has one of them for each it cannot read
        found = None
    schema = schema_hash(metadata.schema())
    snapshot = metadata.current_snapshot()
    if found is None:
        content = hashlib.sha256(f"dfp unread table 1\n{metadata_location}".encode()).hexdigest()
        rows = int((snapshot.summary or {}).get("total-records") or -1) if snapshot else 0
    else:
        content, rows = table_content(schema=schema, rows=found.rows, rows_hash=found.to_text()), found.rows
    return Pointer(
        metadata_location=metadata_location,
        uuid=str(metadata.table_uuid),
        content=content,
        rows=rows,
        rows_hash=found.to_text() if found else "",
        schema=schema,
        snapshot_id=snapshot.snapshot_id if snapshot else None,
        numbering=numbering if metadata.format_version >= 3 else "",
    )


def repeats(base: Pointer, young: Pointer, updates: tuple[TableUpdate, ...]) -> bool:
    """Whether a commit only replaced rows by equal rows.

    Appends, compactions and changes of schema, properties or refs other than main are always commits of their own.
    """
    if base.content != young.content:
        return False
    added = [update.snapshot for update in updates if isinstance(update, AddSnapshotUpdate)]
    refs = [update for update in updates if isinstance(update, SetSnapshotRefUpdate)]
    if len(added) + len(refs) != len(updates) or any(ref.ref_name != MAIN_BRANCH for ref in refs):
        return False
    summaries = [snapshot.summary for snapshot in added if snapshot.summary]
    if any(summary.additional_properties.get(INTENT) == "files" for summary in summaries):
        return False
    operations = {summary.operation for summary in summaries}
    replacing = {Operation.OVERWRITE, Operation.DELETE}
    return bool(operations & replacing) and operations <= replacing | {Operation.APPEND}
