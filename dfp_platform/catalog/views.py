"""The views of a `LakeCatalog`: one pointer object per view on the branch, its metadata file outside, as for tables."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyiceberg.io import FileIO
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.typedef import EMPTY_DICT, Properties
from pyiceberg.view import View
from pyiceberg.view.metadata import ViewMetadata, ViewVersion

from dfp_platform.catalog.durable import write_file
from dfp_platform.catalog.metadata_json import read_text
from dfp_platform.catalog.named import Named
from dfp_platform.catalog.names import Identifier, view_path
from dfp_platform.catalog.namespaces import AnyIdentifier
from dfp_platform.catalog.pointers import VIEW, ViewPointer
from dfp_platform.catalog.view_metadata import check_view_requirements, first_view, next_view
from dfp_platform.lake.interface import Content
from dfp_platform.schemas import CommitId

if TYPE_CHECKING:
    import pyarrow as pa


class Views(Named):
    """The part of the catalog that keeps views."""

    @abstractmethod
    def refuse_location(self, location: str) -> None:
        """Raises PermanentError: the catalog may not write there."""

    @abstractmethod
    def _new_location(self, identifier: Identifier, table_uuid: uuid.UUID) -> str:
        """A folder that nothing else has or had."""

    @abstractmethod
    def _load_file_io(self, properties: Properties = EMPTY_DICT, location: str | None = None) -> FileIO:
        """How files at a location are read and written."""

    # -- reading ------------------------------------------------------------------------------------------------

    def list_views(self, namespace: AnyIdentifier) -> list[Identifier]:
        return self._listed(VIEW, namespace)

    def view_exists(self, identifier: AnyIdentifier) -> bool:
        return self.find(VIEW, self.head(), self.identifier_to_tuple(identifier)) is not None

    def load_view(self, identifier: AnyIdentifier) -> View:
        return self.loaded_view(identifier)[1]

    def loaded_view(self, identifier: AnyIdentifier) -> tuple[ViewPointer, View]:
        """A view and its pointer, of one and the same commit. Raises NoSuchViewError."""
        name = self.identifier_to_tuple(identifier)
        pointer = self.existing(VIEW, self.head(), name)
        return pointer, View(name, self._view(pointer))

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
        self.refuse_taken(VIEW, self.head(), name)
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
        self._add(VIEW, name, self._write_view(metadata, 0), verb="create")
        return View(name, metadata)

    def register_view(self, identifier: AnyIdentifier, metadata_location: str) -> View:
        name = self.identifier_to_tuple(identifier)
        self.refuse_location(metadata_location)
        io = self._load_file_io(location=metadata_location)
        metadata = ViewMetadata.model_validate_json(read_text(io, metadata_location))
        self._add(VIEW, name, ViewPointer(metadata_location, metadata.view_uuid), verb="register")
        return View(name, metadata)

    def drop_view(self, identifier: AnyIdentifier) -> None:
        self._drop(VIEW, identifier)

    def rename_view(self, from_identifier: AnyIdentifier, to_identifier: AnyIdentifier) -> None:
        """Give a view another name. Raises NoSuchViewError, NoSuchNamespaceError, …AlreadyExistsError."""
        self._rename(VIEW, from_identifier, to_identifier)

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
            found = self.existing(VIEW, head, name)
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
