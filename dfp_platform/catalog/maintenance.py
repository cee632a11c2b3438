"""Keeping tables small: old snapshots leave a table's metadata, small files become big ones.

Each is one commit on a branch, like any other write. No file is deleted: other refs may need it, and what none needs is
the business of garbage collection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files
from pyiceberg.manifest import DataFile, DataFileContent
from pyiceberg.table import DataScan, FileScanTask, Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from dfp_platform.catalog.lake_catalog import LakeCatalog
from dfp_platform.catalog.names import Identifier
from dfp_platform.catalog.replacing import compaction
from dfp_platform.catalog.writing import translated
from dfp_platform.errors import InputError, NotFoundError

TARGET_BYTES = 128 << 20
"""Size that compaction aims at for a data file."""

_SMALL = 0.5
"""Share of the target below which a file is small."""


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one maintenance of a table did.

    Attributes:
        identifier: namespace levels and table name.
        before: snapshots, or data files, before.
        after: the same, after; equal to `before` where there was nothing to do and no commit was made.
    """

    identifier: Identifier
    before: int
    after: int


def expire_snapshots(
    catalog: LakeCatalog, identifier: str | Identifier, *, older_than_days: float, keep_last: int = 1
) -> Maintained:
    """Drop old snapshots from a table's metadata on the catalog's branch, in one commit; none if there are none.

    Other branches, tags and older commits keep theirs, and every file stays until garbage collection finds that
    nothing needs it.

    Args:
        older_than_days: only snapshots of before then go.
        keep_last: newest snapshots in the history of the current one that stay in any case, at least 1. What the
            table's own branches and tags name stays too.
    Raises:
        StaleHeadError: another writer changed the table meanwhile. ReadOnlyError: the catalog is not at a branch.
        InputError: a number that cannot be. NotFoundError: no such table.
    """
    if keep_last < 1 or older_than_days < 0:
        raise InputError("at least one snapshot stays, and days are not negative", hint="keep_last=1", file="")
    table = writable(catalog, identifier)
    before = len(table.metadata.snapshots)
    moment = (time.time() - older_than_days * 86_400.0) * 1_000
    gone = [snapshot.snapshot_id for snapshot in _expired(table.metadata, moment, keep_last)]
    if gone:
        with translated(table.name()):
            table.maintenance.expire_snapshots().by_ids(gone).commit()
    return Maintained(table.name(), before, before - len(gone))


def compact(catalog: LakeCatalog, identifier: str | Identifier, *, target_bytes: int = TARGET_BYTES) -> Maintained:
    """Rewrite small data files, and files that delete files take rows out of, into files of about `target_bytes`.

    One commit of one REPLACE snapshot with the same rows; none if no partition has two small files. Merges undo it
    where the other side touched its inputs.

    Raises:
        StaleHeadError: another writer changed the table meanwhile. ReadOnlyError: the catalog is not at a branch.
        InputError: the table has equality deletes, or a format version that pyiceberg cannot write. NotFoundError: no
        such table.
    """
    table = writable(catalog, identifier)
    with catalog.lake.lease(f"compact {'.'.join(table.name())}"):
        return _compacted(table, target_bytes)


def writable(catalog: LakeCatalog, identifier: str | Identifier) -> Table:
    """The table, for whoever goes on to change it. Raises ReadOnlyError and NotFoundError as `compact` does."""
    catalog.refuse_read_only()
    try:
        return catalog.load_table(identifier)
    except NoSuchTableError as error:
        name = ".".join(catalog.identifier_to_tuple(identifier))
        raise NotFoundError(
            f"no table {name} at {catalog.ref}", hint=f"`dfp lake show {catalog.ref} tables` lists them", table=name
        ) from error


def _compacted(table: Table, target_bytes: int) -> Maintained:
    tasks = _tasks(table)
    groups = list(_groups(tasks, table.metadata.default_spec_id, target_bytes))
    if not groups:
        return Maintained(table.name(), len(tasks), len(tasks))
    with translated(table.name()):
        transaction = table.transaction()
        written = 0
        with compaction(transaction) as snapshot:
            for group in groups:
                for task in group:
                    snapshot.delete_data_file(task.file)
                for file in _rewritten(table, group):
                    snapshot.append_data_file(file)
                    written += 1
        transaction.commit_transaction()
    return Maintained(table.name(), len(tasks), len(tasks) - sum(map(len, groups)) + written)


def _expired(metadata: TableMetadata, moment: float, keep_last: int) -> Iterator[Snapshot]:
    named = {ref.snapshot_id for ref in metadata.refs.values()}
    line = ancestors_of(metadata.current_snapshot(), metadata)
    kept = named | {snapshot.snapshot_id for _, snapshot in zip(range(keep_last), line, strict=False)}
    return (s for s in metadata.snapshots if s.timestamp_ms < moment and s.snapshot_id not in kept)


def _tasks(table: Table) -> list[FileScanTask]:
    name = ".".join(table.name())
    if table.metadata.format_version > 2:
        raise InputError(
            f"{name} has format version {table.metadata.format_version}, which cannot be written here",
            hint="compact it with Spark: dfp lake compact --engine spark",
            file=name,
        )
    try:
        tasks = list(DataScan(table_metadata=table.metadata, io=table.io).plan_files())
    except ValueError as error:  # pyiceberg on equality deletes
        raise InputError(
            f"{name} cannot be read: {error}", hint="compact it with Spark: dfp lake compact --engine spark", file=name
        ) from error
    if any(file.content == DataFileContent.EQUALITY_DELETES for task in tasks for file in task.delete_files):
        raise InputError(
            f"{name} has equality deletes", hint="compact it with Spark: dfp lake compact --engine spark", file=name
        )
    return tasks


def _groups(tasks: Sequence[FileScanTask], spec_id: int, target_bytes: int) -> Iterator[list[FileScanTask]]:
    """Files to become one: small ones of one partition, in the order they lie in, up to the target."""
    by_partition: dict[tuple[int, str], list[FileScanTask]] = {}
    for task in tasks:
        if task.file.spec_id == spec_id and (task.delete_files or task.file.file_size_in_bytes < _SMALL * target_bytes):
            by_partition.setdefault((task.file.spec_id, repr(task.file.partition)), []).append(task)
    for found in by_partition.values():
        group: list[FileScanTask] = []
        for task in found:
            if group and sum(each.file.file_size_in_bytes for each in (*group, task)) > target_bytes:
                yield from _worthwhile(group)
                group = []
            group.append(task)
        yield from _worthwhile(group)


def _worthwhile(group: list[FileScanTask]) -> Iterator[list[FileScanTask]]:
    if len(group) > 1 or any(task.delete_files for task in group):
        yield group


def _rewritten(table: Table, group: Sequence[FileScanTask]) -> Iterator[DataFile]:
    scan = ArrowScan(table.metadata, table.io, table.metadata.schema(), AlwaysTrue())
    rows: pa.Table = scan.to_table(group)
    if rows.num_rows:
        yield from _dataframe_to_data_files(table.metadata, rows, table.io)
