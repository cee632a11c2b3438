"""The views of a `LakeCatalog`: one pointer object per view on the branch, its metadata file outside, as for tables."""

from __future__ import annotations

import json
import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.exceptions import NoSuchViewError, TableAlreadyExistsError, ViewAlreadyExistsError
from pyiceberg.io import FileIO
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.typedef import EMPTY_DICT, Properties
from pyiceberg.view import View
from pyiceberg.view.metadata import ViewMetadata, ViewVersion

from dfp_platform.catalog.durable import write_file
from dfp_platform.catalog.metadata_json import read_text
from dfp_platform.catalog.names import Identifier, identifier_of, is_view, namespace_prefix, view_path
from dfp_platform.catalog.view_metadata import check_view_requirements, first_view, next_view
from dfp_platform.errors import CorruptLakeError, InvalidNameError, NotFoundError
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.schemas import CommitId

if TYPE_CHECKING:
    import pyarrow as pa

AnyIdentifier = str | Identifier


@dataclass(frozen=True, slots=True)
class ViewPointer:
    """A view at one commit: its current metadata file, unique to each change, and its own id."""

    metadata_location: str
    uuid: str

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal pointers are equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def read_view_pointer(lake: Lake, ref: str, identifier: Identifier) -> ViewPointer | None:
    """The pointer of a view at a ref; None where there is no such view. Raises NotFoundError: no such ref."""
    path = view_path(identifier)
    try:
        data = lake.read(ref, path)
    except NotFoundError:
        lake.resolve(ref)
        return None
    try:
        return ViewPointer(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise CorruptLakeError(
            f"{path} is not a view's pointer", hint="only the catalog writes beneath tables/", path=path
        ) from error


class Views(MetastoreCatalog):
    """The part of the catalog that keeps views. A view and a table of one name exclude each other."""

    ref: str

    @property
    @abstractmethod
    def lake(self) -> Lake:
        """The lake whose views these are."""

    @abstractmethod
    def head(self) -> CommitId:
        """The commit that `ref` names now."""

    @abstractmethod
    def require_namespace(self, commit: CommitId, namespace: Identifier) -> None:
        """Raises NoSuchNamespaceError."""

    @abstractmethod
    def refuse_location(self, location: str) -> None:
        """Raises PermanentError: the catalog may not write there."""

    @abstractmethod
    def _swap(
        self,
        change: Callable[[CommitId], Mapping[str, Content]],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
    ) -> CommitId:
        """Commit what `change` makes of the head."""

    @abstractmethod
    def _find(self, commit: CommitId, identifier: Identifier) -> Any:
        """The pointer of a table, if it is there."""

    @abstractmethod
    def _new_location(self, identifier: Identifier, table_uuid: uuid.UUID) -> str:
        """A folder that nothing else has or had."""

    @abstractmethod
    def _load_file_io(self, properties: Properties = EMPTY_DICT, location: str | None = None) -> FileIO:
        """How files at a location are read and written."""

    # -- reading ------------------------------------------------------------------------------------------------

    def list_views(self, namespace: AnyIdentifier) -> list[Identifier]:
        name, head = self.identifier_to_tuple(namespace), self.head()
        self.require_namespace(head, name)
        return [
            identifier_of(entry.path) for entry in self.lake.list(head, namespace_prefix(name)) if is_view(entry.path)
        ]

    def view_exists(self, identifier: AnyIdentifier) -> bool:
        return self.view_at(self.head(), self.identifier_to_tuple(identifier)) is not None

    def load_view(self, identifier: AnyIdentifier) -> View:
        return self.loaded_view(identifier)[1]

    def loaded_view(self, identifier: AnyIdentifier) -> tuple[ViewPointer, View]:
        """A view and its pointer, of one and the same commit. Raises NoSuchViewError."""
        name = self.identifier_to_tuple(identifier)
        pointer = self._existing_view(self.head(), name)
        return pointer, View(name, self._view(pointer))

    def view_at(self, commit: CommitId, identifier: Identifier) -> ViewPointer | None:
        """The pointer of a view at a commit; None where there is none."""
        try:
            return read_view_pointer(self.lake, commit, identifier)
        except InvalidNameError:
            return None

    def _existing_view(self, commit: CommitId, identifier: Identifier) -> ViewPointer:
        found = self.view_at(commit, identifier)
        if found is None:
            raise NoSuchViewError(f"View does not exist: {'.'.join(identifier)} (at {self.ref})")
        return found

    def _view(self, pointer: ViewPointer) -> ViewMetadata:
        io = self._load_file_io(location=pointer.metadata_location)
        return ViewMetadata.model_validate_json(read_text(io, pointer.metadata_location))

    # -- views come and go --------------------------------------------------------------------------------------

    def create_view(
        self,
        identifier: AnyIdentifier,
        schema: Schema | pa.Schema,
        view_version: ViewVersion,
        location: str | None = None,
        properties: Properties = EMPTY_DICT,
    ) -> View:
        name, view_uuid = self.identifier_to_tuple(identifier), uuid.uuid4()
        self._refuse_taken_view(self.head(), name)
        numbered = (
            schema if isinstance(schema, Schema) else assign_fresh_schema_ids(self._convert_schema_if_needed(schema))
        )
        metadata = first_view(
            numbered,
            view_version,
            location=location or self._new_location(name, view_uuid),
            properties=properties,
            view_uuid=view_uuid,
        )
        self._add_view(name, self._write_view(metadata, 0), message="create view")
        return View(name, metadata)

    def register_view(self, identifier: AnyIdentifier, metadata_location: str) -> View:
        name = self.identifier_to_tuple(identifier)
        self.refuse_location(metadata_location)
        io = self._load_file_io(location=metadata_location)
        metadata = ViewMetadata.model_validate_json(read_text(io, metadata_location))
        self._add_view(name, ViewPointer(metadata_location, metadata.view_uuid), message="register view")
        return View(name, metadata)

    def drop_view(self, identifier: AnyIdentifier) -> None:
        name = self.identifier_to_tuple(identifier)

        def gone(head: CommitId) -> Mapping[str, Content]:
            self._existing_view(head, name)
            return {view_path(name): None}

        self._swap(gone, message=f"drop view {'.'.join(name)}")

    def rename_view(self, from_identifier: AnyIdentifier, to_identifier: AnyIdentifier) -> None:
        """Give a view another name. Raises NoSuchViewError, NoSuchNamespaceError, …AlreadyExistsError."""
        old, new = self.identifier_to_tuple(from_identifier), self.identifier_to_tuple(to_identifier)

        def moved(head: CommitId) -> Mapping[str, Content]:
            pointer = self._existing_view(head, old)
            self.refuse_rename(head, old, new)
            return {view_path(old): None, view_path(new): pointer.to_bytes()}

        self._swap(moved, message=f"rename view {'.'.join(old)} to {'.'.join(new)}")

    def refuse_rename(self, commit: CommitId, old: Identifier, new: Identifier) -> None:
        """Raises …AlreadyExistsError, NoSuchNamespaceError: a table or view cannot be called that."""
        failed = f"Cannot rename {'.'.join(old)} to {'.'.join(new)}"
        self.require_namespace(commit, new[:-1])
        if self._find(commit, new) is not None:
            raise TableAlreadyExistsError(f"{failed}. Table already exists (at {self.ref})")
        if self.view_at(commit, new) is not None:
            raise ViewAlreadyExistsError(f"{failed}. View already exists (at {self.ref})")

    def commit_view(
        self,
        identifier: AnyIdentifier,
        requirements: Sequence[Mapping[str, Any]],
        updates: Sequence[Mapping[str, Any]],
    ) -> tuple[ViewPointer, ViewMetadata]:
        """Apply updates to what a view is at the head, if the requirements hold there.

        Raises:
            NoSuchViewError. CommitFailedException: a requirement does not hold. ValueError: updates that make no view.
        """
        name = self.identifier_to_tuple(identifier)
        base: ViewPointer | None = None
        staged: tuple[ViewPointer, ViewMetadata] | None = None

        def changed(head: CommitId) -> Mapping[str, Content]:
            nonlocal base, staged
            found = self._existing_view(head, name)
            if staged is None or found != base:
                base, staged = found, self._stage_view(found, requirements, updates)
            return {view_path(name): staged[0].to_bytes()}

        self._swap(changed, message=f"replace view {'.'.join(name)}")
        assert staged is not None  # `changed` ran
        return staged

    def _stage_view(
        self, base: ViewPointer, requirements: Sequence[Mapping[str, Any]], updates: Sequence[Mapping[str, Any]]
    ) -> tuple[ViewPointer, ViewMetadata]:
        before = self._view(base)
        check_view_requirements(requirements, before)
        after = next_view(before, updates)
        if after == before:
            return base, before
        return self._write_view(after, self._parse_metadata_version(base.metadata_location) + 1), after

    def _write_view(self, metadata: ViewMetadata, version: int) -> ViewPointer:
        """Write a metadata file that no branch names yet."""
        place = metadata.properties.get("write.metadata.path") or f"{metadata.location}/metadata"
        location = f"{place.rstrip('/')}/{version:05d}-{uuid.uuid4()}.metadata.json"
        self.refuse_location(location)
        write_file(metadata.model_dump_json().encode(), self._load_file_io(location=location), location)
        return ViewPointer(location, metadata.view_uuid)

    def _add_view(self, identifier: Identifier, pointer: ViewPointer, *, message: str) -> None:
        def added(head: CommitId) -> Mapping[str, Content]:
            self._refuse_taken_view(head, identifier)
            return {view_path(identifier): pointer.to_bytes()}

        self._swap(added, message=f"{message} {'.'.join(identifier)}")

    def _refuse_taken_view(self, commit: CommitId, identifier: Identifier) -> None:
        self.require_namespace(commit, identifier[:-1])
        if self._find(commit, identifier) is not None:
            raise TableAlreadyExistsError(
                f"Table with same name already exists: {'.'.join(identifier)} (at {self.ref})"
            )
        if self.view_at(commit, identifier) is not None:
            raise ViewAlreadyExistsError(f"View already exists: {'.'.join(identifier)} (at {self.ref})")
