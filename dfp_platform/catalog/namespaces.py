"""The namespaces of a `LakeCatalog`: one small object each, which may be missing while tables lie within."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping

from pyiceberg.catalog import MetastoreCatalog, PropertiesUpdateSummary
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NamespaceNotEmptyError, NoSuchNamespaceError
from pyiceberg.typedef import EMPTY_DICT, Properties

from dfp_platform.catalog.names import (
    TABLES,
    Identifier,
    identifier_of,
    is_pointer,
    namespace_of,
    namespace_path,
    namespace_prefix,
    nested_prefix,
)
from dfp_platform.errors import InvalidNameError
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.schemas import CommitId

AnyIdentifier = str | Identifier


class Namespaces(MetastoreCatalog):
    """The part of the catalog that keeps namespaces. A namespace exists while anything lies in it or within it."""

    ref: str

    @property
    @abstractmethod
    def lake(self) -> Lake:
        """The lake whose tables these are."""

    @abstractmethod
    def head(self) -> CommitId:
        """The commit that `ref` names now."""

    @abstractmethod
    def _swap(
        self,
        change: Callable[[CommitId], Mapping[str, Content]],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
    ) -> CommitId:
        """Commit what `change` makes of the head."""

    def namespace_exists(self, namespace: AnyIdentifier) -> bool:
        return self._namespace_is_at(self.head(), self.identifier_to_tuple(namespace))

    def require_namespace(self, commit: CommitId, namespace: Identifier) -> None:
        """Raises NoSuchNamespaceError."""
        if not self._namespace_is_at(commit, namespace):
            raise NoSuchNamespaceError(f"Namespace does not exist: {'.'.join(namespace)} (at {self.ref})")

    def create_namespace(self, namespace: AnyIdentifier, properties: Properties = EMPTY_DICT) -> None:
        name = self.identifier_to_tuple(namespace)

        def created(head: CommitId) -> Mapping[str, Content]:
            if self._namespace_is_at(head, name):
                raise NamespaceAlreadyExistsError(f"Namespace already exists: {'.'.join(name)} (at {self.ref})")
            return {namespace_path(name): _to_bytes(properties)}

        self._swap(created, message=f"create namespace {'.'.join(name)}")

    def drop_namespace(self, namespace: AnyIdentifier) -> None:
        name = self.identifier_to_tuple(namespace)

        def dropped(head: CommitId) -> Mapping[str, Content]:
            self.require_namespace(head, name)
            inside = [
                entry.path
                for entry in self.lake.list(head, namespace_prefix(name))
                if entry.path != namespace_path(name)
            ]
            if inside or any(True for _ in self.lake.list(head, nested_prefix(name))):
                raise NamespaceNotEmptyError(
                    f"Namespace {'.'.join(name)} is not empty ({len(inside)} tables and views)"
                )
            return {namespace_path(name): None}

        self._swap(dropped, message=f"drop namespace {'.'.join(name)}")

    def all_tables(self) -> list[Identifier]:
        """Every table at the ref, in every namespace."""
        return [identifier_of(entry.path) for entry in self.lake.list(self.head(), TABLES) if is_pointer(entry.path)]

    def list_namespaces(self, namespace: AnyIdentifier = ()) -> list[Identifier]:
        name, head = self.identifier_to_tuple(namespace) if namespace else (), self.head()
        if name:
            self.require_namespace(head, name)
        found = (namespace_of(entry.path) for entry in self.lake.list(head, nested_prefix(name)))
        return sorted({inner[: len(name) + 1] for inner in found})

    def load_namespace_properties(self, namespace: AnyIdentifier) -> Properties:
        return self._properties_at(self.head(), self.identifier_to_tuple(namespace))

    def update_namespace_properties(
        self, namespace: AnyIdentifier, removals: set[str] | None = None, updates: Properties = EMPTY_DICT
    ) -> PropertiesUpdateSummary:
        name = self.identifier_to_tuple(namespace)
        summary = PropertiesUpdateSummary([], [], [])

        def updated(head: CommitId) -> Mapping[str, Content]:
            nonlocal summary
            before = self._properties_at(head, name)
            summary, after = self._get_updated_props_and_update_summary(before, removals, updates)
            return {namespace_path(name): _to_bytes(after)}

        self._swap(updated, message=f"update namespace {'.'.join(name)}")
        return summary

    def _properties_at(self, commit: CommitId, namespace: Identifier) -> Properties:
        self.require_namespace(commit, namespace)
        path = namespace_path(namespace)
        return json.loads(self.lake.read(commit, path)) if self.lake.exists(commit, path) else {}

    def _namespace_is_at(self, commit: CommitId, namespace: Identifier) -> bool:
        try:
            prefixes = (namespace_prefix(namespace), nested_prefix(namespace))
        except InvalidNameError:
            return False
        return bool(namespace) and any(True for prefix in prefixes for _ in self.lake.list(commit, prefix))


def _to_bytes(properties: Properties) -> bytes:
    return json.dumps(properties, sort_keys=True, separators=(",", ":")).encode() + b"\n"
