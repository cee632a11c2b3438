"""`LakeCatalog`: Iceberg tables that live on the branches of a lake.

A branch holds one small pointer object per table (see `names` and `pointers`); metadata and data files lie in the
warehouse, outside every branch, and are never changed or deleted here. So a branch of the lake branches every table at
once, a merge moves tables and files in one commit, and dropping a table takes nothing from another branch.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import LOCATION, WAREHOUSE_LOCATION
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NoSuchPropertyException,
)
from pyiceberg.io import PY_IO_IMPL, FileIO, load_file_io
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableResponse, StagedTable, Table, TableProperties
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.table.update import TableRequirement, TableUpdate
from pyiceberg.typedef import EMPTY_DICT, Properties

from dfp_platform.catalog.applying import first_metadata, next_metadata
from dfp_platform.catalog.committing import (
    FORCED_PROPERTIES,
    Staged,
    TableChange,
    operation,
    pointer_for,
    repeats,
    with_forced_properties,
)
from dfp_platform.catalog.durable import sync_snapshots, write_metadata
from dfp_platform.catalog.metadata_json import parse_whole, read_text
from dfp_platform.catalog.moved import io_properties
from dfp_platform.catalog.names import Identifier, engine_address, folder_name, pointer_path
from dfp_platform.catalog.namespaces import AnyIdentifier
from dfp_platform.catalog.pointers import TABLE, Pointer
from dfp_platform.catalog.row_ids import numbered_by
from dfp_platform.catalog.storage import storage_properties
from dfp_platform.catalog.transactions import LakeTable
from dfp_platform.catalog.views import Views
from dfp_platform.errors import ReadOnlyError, StaleHeadError, UnknownOutcomeError
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.schemas import MAIN, CommitId

LAKE = "lake"
REF = "ref"

PY_LOCATION_IMPL = TableProperties.WRITE_PY_LOCATION_PROVIDER_IMPL

TRIES = 200
"""How often a change is put on a head that keeps moving before it is given up."""


class LakeCatalog(Views):
    """The tables of a lake at one ref.

    Properties (all strings): `lake`, the lake's URI; `ref`, a branch, tag or commit (default `main`); `warehouse`,
    where table files go (default: the lake's own). What pyiceberg's FileIO reads (``s3.…``) is passed on, and is what
    `storage_properties` says where it is not given.

    On a branch every operation reads the head once and writes only if that head still stands. On a tag or commit
    everything can be read and nothing written (ReadOnlyError).
    """

    def __init__(self, name: str, **properties: str) -> None:
        super().__init__(name, **{**storage_properties(), **properties})
        if not properties.get(LAKE):
            raise NoSuchPropertyException("the property 'lake' is missing: the lake's URI")
        self.ref = properties.get(REF) or MAIN
        self._lake: Lake | None = None
        self._writable = False

    @property
    def lake(self) -> Lake:
        """The lake, opened at first use."""
        if self._lake is None:
            self._lake = open_lake(self.properties[LAKE])
        return self._lake

    # -- reading ------------------------------------------------------------------------------------------------

    def head(self) -> CommitId:
        """The commit that `ref` names now. Raises NotFoundError."""
        return self.lake.resolve(self.ref)

    def pointer(self, identifier: AnyIdentifier) -> Pointer:
        """What the lake keeps about a table: content id, rows, current snapshot. Raises NoSuchTableError."""
        return self.existing(TABLE, self.head(), self.identifier_to_tuple(identifier))

    def load_table(self, identifier: AnyIdentifier) -> Table:
        return self.loaded(identifier)[1]

    def loaded(self, identifier: AnyIdentifier) -> tuple[Pointer, Table]:
        """A table and its pointer, of one and the same commit. Raises NoSuchTableError."""
        name = self.identifier_to_tuple(identifier)
        pointer = self.existing(TABLE, self.head(), name)
        return pointer, self._table(name, pointer)

    def table_exists(self, identifier: AnyIdentifier) -> bool:
        return self.find(TABLE, self.head(), self.identifier_to_tuple(identifier)) is not None

    def list_tables(self, namespace: AnyIdentifier) -> list[Identifier]:
        return self._listed(TABLE, namespace)

    def _table(self, identifier: Identifier, pointer: Pointer) -> Table:
        metadata = self._numbered(_parsed(self._text(pointer.metadata_location)), pointer)
        return LakeTable(
            identifier=identifier,
            metadata=metadata,
            metadata_location=pointer.metadata_location,
            io=self._load_file_io(metadata.properties, pointer.metadata_location),
            catalog=self,
        )

    def document(self, pointer: Pointer) -> dict[str, Any]:
        """The JSON object of a table's metadata, with fields that pyiceberg would not keep; its next row id as here."""
        text = self._text(pointer.metadata_location)
        document = json.loads(text)
        if document.get("next-row-id") is not None:
            numbered = self._numbered(_parsed(text), pointer)
            document["next-row-id"] = getattr(numbered, "next_row_id", document["next-row-id"])
        return document

    def _numbered(self, metadata: TableMetadata, pointer: Pointer) -> TableMetadata:
        """What is written on a branch numbers its rows in a range of the branch."""
        if metadata.format_version < 3 or not (self._writable or self.ref in self.lake.branches()):
            return metadata
        return numbered_by(self.ref, metadata, last=pointer.numbering)

    def _text(self, metadata_location: str) -> str:
        return read_text(self._load_file_io(location=metadata_location), metadata_location)

    def _load_file_io(self, properties: Properties = EMPTY_DICT, location: str | None = None) -> FileIO:
        """How files are read: what a table says never wins over the catalog, and never names code to run."""
        told = {name: value for name, value in properties.items() if name != PY_IO_IMPL}
        return load_file_io({**told, **self.properties, **self._moved}, location)

    @cached_property
    def _moved(self) -> Properties:
        return io_properties(self.lake)

    # -- tables come and go -------------------------------------------------------------------------------------

    def create_table(
        self,
        identifier: AnyIdentifier,
        schema: Schema | pa.Schema,
        location: str | None = None,
        partition_spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        sort_order: SortOrder = UNSORTED_SORT_ORDER,
        properties: Properties = EMPTY_DICT,
    ) -> Table:
        staged = self._create_staged_table(identifier, schema, location, partition_spec, sort_order, properties)
        with self.lake.lease(f"create {'.'.join(staged.name())}"):
            write_metadata(staged.metadata, staged.io, staged.metadata_location)
            pointer = pointer_for(staged.metadata, staged.metadata_location, staged.io, numbering=self.ref)
            self._add(TABLE, staged.name(), pointer, verb="create")
        return self.load_table(identifier)

    def register_table(self, identifier: AnyIdentifier, metadata_location: str, overwrite: bool = False) -> Table:
        name = self.identifier_to_tuple(identifier)
        self.refuse_read_only()
        self.refuse_location(metadata_location)
        io = self._load_file_io(location=metadata_location)
        metadata = parse_whole(read_text(io, metadata_location))
        forced = with_forced_properties(metadata)
        with self.lake.lease(f"register {'.'.join(name)}"):
            if forced is not metadata:
                version = self._parse_metadata_version(metadata_location) + 1
                metadata, metadata_location = forced, self._new_metadata_location(metadata, version)
                write_metadata(metadata, io, metadata_location)
            sync_snapshots(metadata.snapshots, io)
            pointer = pointer_for(metadata, metadata_location, io)
            self._add(TABLE, name, pointer, verb="register", replace=overwrite)
        return self.load_table(name)

    def drop_table(self, identifier: AnyIdentifier) -> None:
        self._drop(TABLE, identifier)

    def purge_table(self, identifier: AnyIdentifier) -> None:
        """The same as `drop_table`: other refs may need the files, so only the lake's garbage collection deletes."""
        self.drop_table(identifier)

    def rename_table(self, from_identifier: AnyIdentifier, to_identifier: AnyIdentifier) -> Table:
        self._rename(TABLE, from_identifier, to_identifier)
        return self.load_table(to_identifier)

    # -- commits ------------------------------------------------------------------------------------------------

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """Apply updates to what the table is at the head, if the requirements hold there.

        A head that moved while the table stayed is tried again inside. An overwrite whose outcome is the very rows that
        were there makes no commit: the response is then the table as it was.

        Raises:
            CommitFailedException: another writer changed the table. CommitStateUnknownException: the lake cannot tell.
            NoSuchNamespaceError: a table is created in a namespace that is not there. ReadOnlyError: no branch.
        """
        change = TableChange(table.name(), tuple(requirements), tuple(updates))
        return self.commit_tables([change])[0]

    def commit_tables(self, changes: Sequence[TableChange]) -> list[CommitTableResponse]:
        """Change several tables in one commit of the lake: all of them, or none. Raises what `commit_table` does."""
        self.refuse_read_only()
        if len({change.identifier for change in changes}) < len(changes):
            raise ValueError("A transaction can change each table only once")
        staged: dict[Identifier, Staged] = {}

        def changed(head: CommitId) -> Mapping[str, Content]:
            for change in changes:
                base, known = self.find(TABLE, head, change.identifier), staged.get(change.identifier)
                if base is None:
                    self.refuse_taken(TABLE, head, change.identifier)
                if known is None or known.base != base:
                    staged[change.identifier] = self._stage(change, base)
            return {pointer_path(name): stage.pointer.to_bytes() for name, stage in staged.items()}

        names = [".".join(change.identifier) for change in changes]
        message = ", ".join(f"{operation(change.updates)} {name}" for change, name in zip(changes, names, strict=True))
        self._swap(changed, message=message, metadata={"table": ",".join(names)})
        found = [staged[change.identifier] for change in changes]
        return [
            CommitTableResponse(metadata=stage.metadata, metadata_location=stage.pointer.metadata_location)
            for stage in found
        ]

    def _stage(self, change: TableChange, base: Pointer | None) -> Staged:
        """Write the next metadata file of a table, unless nothing changes; no branch names it yet."""
        before = self._whole(base) if base else None
        location = base.metadata_location if base else None
        young = next_metadata(before, change.requirements, change.updates, base_location=location)
        if base is not None and young is before:
            return Staged(base, base, young)
        metadata = with_forced_properties(young)
        version = self._parse_metadata_version(location) + 1 if location else 0
        young_location = self._new_metadata_location(metadata, version)
        io = self._load_file_io(metadata.properties, young_location)
        pointer = pointer_for(metadata, young_location, io, before=before, base=base, numbering=self.ref)
        if base is not None and before is not None and repeats(base, pointer, change.updates):
            return Staged(base, base, before)
        known = {snapshot.snapshot_id for snapshot in before.snapshots} if before else set()
        brought = [snapshot for snapshot in metadata.snapshots if snapshot.snapshot_id not in known]
        write_metadata(metadata, io, young_location, beside=sync_snapshots(brought, io, names=False))
        return Staged(base, pointer, metadata)

    def _whole(self, pointer: Pointer) -> TableMetadata:
        """The metadata that the next commit builds on. Raises PermanentError: it would lose fields of it."""
        return self._numbered(parse_whole(self._text(pointer.metadata_location)), pointer)

    def _swap(
        self,
        change: Callable[[CommitId], Mapping[str, Content]],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
    ) -> CommitId:
        """Commit what `change` makes of the head, when it is our turn, anew if somebody else moves the head first."""
        self.refuse_read_only()
        with self.lake.lease(message), self.lake.turn(self.ref):
            for _ in range(TRIES):
                head = self.head()
                try:
                    return self.lake.commit(self.ref, change(head), message=message, metadata=metadata, expect=head)
                except StaleHeadError:
                    time.sleep(random.uniform(0, 0.01))
                except UnknownOutcomeError as error:
                    raise CommitStateUnknownException(str(error)) from error
                except FileNotFoundError as error:
                    raise CommitFailedException(f"{message}: a file is gone, write the rows again: {error}") from error
        raise CommitFailedException(f"{message}: {self.ref} moved {TRIES} times before the change could be put on it")

    def refuse_read_only(self) -> None:
        """Raises ReadOnlyError: `ref` is a tag or a commit, or names nothing (NotFoundError)."""
        self._writable = self._writable or self.ref in self.lake.branches()
        if not self._writable:
            self.head()
            raise ReadOnlyError(
                f"{self.ref} is no branch: its tables can be read, not written",
                hint="open the catalog at a branch; `dfp lake` makes one from any commit",
                ref=self.ref,
            )

    # -- where files go -----------------------------------------------------------------------------------------

    def _create_staged_table(
        self,
        identifier: AnyIdentifier,
        schema: Schema | pa.Schema,
        location: str | None = None,
        partition_spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        sort_order: SortOrder = UNSORTED_SORT_ORDER,
        properties: Properties = EMPTY_DICT,
    ) -> StagedTable:
        name, own = self.identifier_to_tuple(identifier), {**properties, **FORCED_PROPERTIES}
        self.refuse_read_only()
        self.refuse_taken(TABLE, self.head(), name)
        version = int(own.get("format-version", "2"))
        table_uuid = uuid.uuid4()
        place = (location or self._new_location(name, table_uuid)).rstrip("/")
        metadata = first_metadata(
            self._convert_schema_if_needed(schema, version),  # type: ignore[arg-type]
            partition_spec=partition_spec,
            sort_order=sort_order,
            location=place,
            properties=own,
            table_uuid=table_uuid,
        )
        metadata_location = self._new_metadata_location(metadata, 0)
        io: FileIO = self._load_file_io(metadata.properties, metadata_location)
        return StagedTable(name, metadata, metadata_location, io, self)

    def _new_metadata_location(self, metadata: TableMetadata, version: int) -> str:
        """A metadata file's address, by the table's properties, of which none may name code to run."""
        told = {name: value for name, value in metadata.properties.items() if name != PY_LOCATION_IMPL}
        found = load_location_provider(metadata.location, told).new_table_metadata_file_location(version)
        self.refuse_location(found)
        return found

    def refuse_location(self, location: str) -> None:
        """Raises PermanentError: the catalog may not write or read there. Its own process may, anywhere."""

    def _new_location(self, identifier: Identifier, table_uuid: uuid.UUID) -> str:
        """A folder no other table has or had: dropped and re-created tables share no file."""
        return f"{self.namespace_location(identifier[:-1])}/{folder_name(identifier[-1])}-{table_uuid.hex}"

    def namespace_location(self, namespace: Identifier) -> str:
        """Where tables of a namespace lie that name no place themselves. Raises NoSuchNamespaceError."""
        if own := self.load_namespace_properties(namespace).get(LOCATION):
            return engine_address(own.rstrip("/"))
        warehouse = self.properties.get(WAREHOUSE_LOCATION) or self.lake.warehouse
        return engine_address(f"{warehouse.rstrip('/')}/{folder_name('.'.join(namespace))}")

    @staticmethod
    def _delete_old_metadata(io: FileIO, base: TableMetadata, metadata: TableMetadata) -> None:
        """Nothing: another branch may still point there."""


@lru_cache(maxsize=64)
def _parsed(text: str) -> TableMetadata:
    """Nothing changes a `TableMetadata` once it is made, so that equal texts may share one."""
    return TableMetadataUtil.parse_raw(text)


def open_catalog(lake: Lake, ref: str = MAIN) -> LakeCatalog:
    """The tables of this very lake object at a ref; writes go through it, so a fencing wrapper stays in force."""
    catalog = LakeCatalog("lake", **{LAKE: lake.uri, REF: ref, WAREHOUSE_LOCATION: lake.warehouse})
    catalog._lake = lake
    return catalog
