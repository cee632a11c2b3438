"""Whole tables in one snapshot: `overwrite` with rows, `register_files` over parquet files that lie there already.

Equal rows make no commit, so building a table again from equal inputs changes nothing, not even a pointer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import _dataframe_to_data_files, parquet_files_to_data_files, schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table import Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.transforms import IdentityTransform

from dfp_platform.catalog.content import table_content
from dfp_platform.catalog.evolution import evolved, iceberg_schema, map_names, set_schema, storable
from dfp_platform.catalog.lake_catalog import LakeCatalog
from dfp_platform.catalog.names import Identifier, engine_address
from dfp_platform.catalog.pointers import Pointer
from dfp_platform.catalog.replacing import replacement
from dfp_platform.catalog.rows import RowSum, sum_rows
from dfp_platform.catalog.table_sums import REMEMBERED, column_names, live_files, schema_hash
from dfp_platform.errors import InputError, StaleHeadError, UnknownOutcomeError

Write = TypeVar("Write", bound=Callable[..., "WriteResult"])


def _under_lease(write: Write) -> Write:
    """Files lie there before a branch names them: meanwhile garbage collection waits for this writer."""

    @wraps(write)
    def leased(catalog: LakeCatalog, identifier: str | Identifier, *rest: Any, **options: Any) -> WriteResult:
        with catalog.lake.lease(f"write {identifier}"):
            return write(catalog, identifier, *rest, **options)

    return leased  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write left behind.

    Attributes:
        identifier: namespace levels and table name.
        rows: rows of the table now.
        content: content id of the table now; what `content_of` says of its pointer.
        changed: whether a commit was made; False: the table held these rows already.
        snapshot_id: current Iceberg snapshot; None for a table that never had rows.
    """

    identifier: Identifier
    rows: int
    content: str
    changed: bool
    snapshot_id: int | None


@_under_lease
def overwrite(
    catalog: LakeCatalog,
    identifier: str | Identifier,
    data: pa.Table | pa.RecordBatchReader,
    *,
    partition: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> WriteResult:
    """Make a table hold exactly these rows, in one commit of one snapshot; none if it holds them already.

    Namespace and table are made when absent. Columns follow `data` by name and order: new ones come, missing ones go,
    field ids stay. A reader is streamed to files, never held whole (unless the table is partitioned).

    Args:
        partition: columns by whose values a new table is partitioned; an existing one stays as it is.
        properties: table properties to set.
    Raises:
        InputError: a value or type the table cannot store; the column is named. StaleHeadError: another writer changed
        the table meanwhile. ReadOnlyError: the catalog is not at a branch.
    """
    name, wanted = catalog.identifier_to_tuple(identifier), storable(data.schema)
    draft = _draft(catalog, name, iceberg_schema(wanted), partition=partition, properties=properties)
    target = schema_to_pyarrow(draft.metadata.schema(), include_field_ids=False)
    if isinstance(data, pa.RecordBatchReader) and not draft.metadata.spec().is_unpartitioned():
        data = data.read_all()
    if isinstance(data, pa.Table):
        rows = _cast(data, target)
        found = sum_rows(rows)
        if draft.holds(found):
            return draft.finish(found.rows, draft.content(found))
        return draft.replace_rows(_write(rows, draft.metadata, draft.io), found)
    counted = _Counted(_cast_batches(data, target))
    files = _write(pa.RecordBatchReader.from_batches(target, counted), draft.metadata, draft.io)
    if draft.holds(counted.total):
        for file in files:
            draft.io.delete(file.file_path)
        return draft.finish(counted.total.rows, draft.content(counted.total))
    return draft.replace_rows(files, counted.total)


@_under_lease
def overwrite_partitions(
    catalog: LakeCatalog,
    identifier: str | Identifier,
    data: pa.Table,
    *,
    partition: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> WriteResult:
    """Make every partition that `data` has rows of hold exactly these, in one snapshot; other partitions stay.

    Writers of other partitions on other branches go together with it in a merge. Columns, `partition`, `properties`
    and errors are those of `overwrite`; no commit if the partitions hold these rows already.
    """
    name, wanted = catalog.identifier_to_tuple(identifier), storable(data.schema)
    draft = _draft(catalog, name, iceberg_schema(wanted), partition=partition, properties=properties)
    target = schema_to_pyarrow(draft.metadata.schema(), include_field_ids=False)
    files = _write(_cast(data, target), draft.metadata, draft.io)
    written = {tuple(file.partition._data) for file in files}
    before = live_files(draft.metadata, draft.io).data.values()
    gone = [file for file in before if tuple(file.partition._data) in written]
    return draft.replace_files(files, gone, intent="partitions")


@_under_lease
def register_files(
    catalog: LakeCatalog,
    identifier: str | Identifier,
    files: Sequence[str],
    *,
    properties: Mapping[str, str] | None = None,
) -> WriteResult:
    """Make a table out of parquet files where they lie, without a copy; no commit if it is made of them already.

    Files of an earlier version that are not named any more leave the table. Columns are read by name, through the
    table's name mapping, as the files hold no field ids.

    Args:
        files: addresses an engine can read (`Lake.address`); immutable.
    Raises:
        InputError: no file, or files whose columns do not fit together or cannot be stored. StaleHeadError: another
        writer changed the table meanwhile. ReadOnlyError: the catalog is not at a branch.
    """
    name = catalog.identifier_to_tuple(identifier)
    if not files:
        raise InputError(f"no file to make {'.'.join(name)} of", hint="land the data first", file="")
    wanted = [engine_address(file) for file in files]
    schema = _common_schema(wanted, catalog._load_file_io(location=wanted[0]))
    draft = _draft(catalog, name, iceberg_schema(schema), properties=properties)
    map_names(draft.transaction)
    before = live_files(draft.metadata, draft.io)
    if not draft.changes_schema and not before.has_deletes and set(before.data) == set(wanted) and draft.base:
        return draft.finish(draft.base.rows, draft.base.content)
    fresh = sorted(set(wanted) - set(before.data))
    added = list(parquet_files_to_data_files(draft.io, draft.metadata, iter(fresh)))
    gone = [file for path, file in before.data.items() if path not in set(wanted)]
    return draft.replace_files(added, gone, intent="files")


@dataclass
class _Draft:
    """A transaction on a table, open until `finish` or `replace_…`; None as base: the table is created by it.

    `metadata` is what the transaction makes of the table before any row: pyiceberg computes it anew at each look.
    """

    catalog: LakeCatalog
    name: Identifier
    transaction: Transaction
    metadata: TableMetadata
    base: Pointer | None
    changes_schema: bool

    @property
    def io(self) -> FileIO:
        return self.transaction._table.io

    def content(self, found: RowSum) -> str:
        schema = schema_hash(self.metadata.schema())
        return table_content(schema=schema, rows=found.rows, rows_hash=found.to_text())

    def holds(self, found: RowSum) -> bool:
        """Whether the table is already what would be written, or is new and shall be empty."""
        if self.base is None:
            return found.rows == 0
        return not self.changes_schema and self.base.content == self.content(found)

    def finish(self, rows: int, content: str) -> WriteResult:
        """Commit what is staged beside rows: a new empty table, properties; nothing if nothing is."""
        snapshot = self.metadata.current_snapshot()
        location = self.transaction._table.metadata_location
        with translated(self.name):
            table = self.transaction.commit_transaction()
        changed = self.base is None or table.metadata_location != location
        snapshot_id = snapshot.snapshot_id if snapshot else None
        return WriteResult(self.name, rows, content, changed, snapshot_id)

    def replace_rows(self, files: Sequence[DataFile], found: RowSum) -> WriteResult:
        """Commit `files`, whose rows are `found`, in place of all files the table has."""
        if len(files) == 1:
            REMEMBERED.put(files[0].file_path, column_names(self.metadata.schema()), found)
        return self.replace_files(files, live_files(self.metadata, self.io).data.values(), intent="table")

    def replace_files(self, added: Sequence[DataFile], gone: Iterable[DataFile], *, intent: str) -> WriteResult:
        location = self.transaction._table.metadata_location
        with translated(self.name):
            with replacement(self.transaction, intent=intent) as snapshot:
                for file in gone:
                    snapshot.delete_data_file(file)
                for file in added:
                    snapshot.append_data_file(file)
            table = self.transaction.commit_transaction()
        pointer = self.catalog.pointer(self.name)
        changed = self.base is None or table.metadata_location != location
        return WriteResult(self.name, pointer.rows, pointer.content, changed, pointer.snapshot_id)


def _draft(
    catalog: LakeCatalog,
    name: Identifier,
    wanted: Schema,
    *,
    partition: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> _Draft:
    catalog.refuse_read_only()
    catalog.create_namespace_if_not_exists(name[:-1])
    if not catalog.table_exists(name):
        schema = assign_fresh_schema_ids(wanted)
        spec = _identity_spec(schema, partition)
        with translated(name):
            staged = catalog.create_table_transaction(
                name, schema, partition_spec=spec, properties=dict(properties or {})
            )
        return _Draft(catalog, name, staged, staged.table_metadata, None, changes_schema=False)
    base, table = catalog.loaded(name)
    transaction = table.transaction()
    schema = evolved(table.schema(), wanted, last_column_id=table.metadata.last_column_id)
    changes_schema = set_schema(transaction, schema)
    new = {key: value for key, value in (properties or {}).items() if table.properties.get(key) != value}
    if new:
        transaction.set_properties(new)
    return _Draft(catalog, name, transaction, transaction.table_metadata, base, changes_schema=changes_schema)


def _identity_spec(schema: Schema, columns: Sequence[str]) -> PartitionSpec:
    missing = [column for column in columns if column not in schema.column_names]
    if missing:
        raise InputError(
            f"no column {missing[0]!r} to partition by", hint="name columns of the data", column=missing[0]
        )
    fields = [
        PartitionField(
            schema.find_field(column).field_id, PARTITION_FIELD_ID_START + index, IdentityTransform(), column
        )
        for index, column in enumerate(columns)
    ]
    return PartitionSpec(*fields)


class _Counted:
    """Batches passed on one by one, and the sum of the rows that went by."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.total = RowSum()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self.total += sum_rows(batch)
            yield batch


def _write(data: pa.Table | pa.RecordBatchReader, metadata: TableMetadata, io: FileIO) -> list[DataFile]:
    if isinstance(data, pa.Table) and data.num_rows == 0:
        return []
    return list(_dataframe_to_data_files(metadata, data, io))


def _cast_batches(reader: pa.RecordBatchReader, target: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        yield from _cast(pa.Table.from_batches([batch]), target).to_batches()


def _cast(data: pa.Table, target: pa.Schema) -> pa.Table:
    """The rows in the table's own types and order. Raises InputError: a value does not fit; its column is named."""
    columns = []
    for field in target:
        column = data.column(field.name)
        if not field.nullable and column.null_count:
            raise InputError(f"column {field.name!r} is required and has nulls", hint="fill them", column=field.name)
        try:
            columns.append(column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"column {field.name!r} does not fit the type {field.type}: {error}",
                hint="cast it before writing",
                column=field.name,
            ) from error
    return pa.Table.from_arrays(columns, schema=target)


def _common_schema(files: Sequence[str], io: FileIO) -> pa.Schema:
    schemas = []
    for file in files:
        with io.new_input(file).open() as stream:
            schemas.append(pq.read_metadata(stream).schema.to_arrow_schema().remove_metadata())
    try:
        common = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(
            f"the columns of the files do not fit together: {error}", hint="land them with one schema", file=files[0]
        ) from error
    return pa.schema([pa.field(field.name, field.type) for field in common])


@contextmanager
def translated(name: Identifier) -> Iterator[None]:
    """Errors of pyiceberg's commits as ours: StaleHeadError, UnknownOutcomeError."""
    try:
        yield
    except CommitStateUnknownException as error:
        raise UnknownOutcomeError(
            f"the commit to table {'.'.join(name)} may or may not have landed: {error}",
            hint="look at the table before writing again",
            table=".".join(name),
        ) from error
    except (CommitFailedException, TableAlreadyExistsError, ValidationException) as error:
        raise StaleHeadError(
            f"table {'.'.join(name)} was changed by another writer meanwhile: {error}",
            hint="read it again and write anew",
            table=".".join(name),
        ) from error
