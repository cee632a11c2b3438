"""What tables and views of a `LakeCatalog` have in common: a name in a namespace, and a pointer on the branch.

A table and a view of one name exclude each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfp_platform.catalog.names import Identifier, identifier_of, namespace_prefix
from dfp_platform.catalog.namespaces import AnyIdentifier, Namespaces
from dfp_platform.catalog.pointers import KINDS, TABLE, Kind, P, ViewPointer, read_named
from dfp_platform.errors import InvalidNameError
from dfp_platform.lake.interface import Content
from dfp_platform.schemas import CommitId


class Named(Namespaces):
    """The part of the catalog that finds, lists, adds, moves and drops pointers."""

    def find(self, kind: Kind[P], commit: CommitId, identifier: Identifier) -> P | None:
        """The pointer of a table or view at a commit; None where there is none."""
        try:
            return read_named(kind, self.lake, commit, identifier)
        except InvalidNameError:
            return None

    def existing(self, kind: Kind[P], commit: CommitId, identifier: Identifier) -> P:
        """The same. Raises NoSuchTableError, NoSuchViewError."""
        found = self.find(kind, commit, identifier)
        if found is None:
            raise kind.missing(f"{kind.word} does not exist: {'.'.join(identifier)} (at {self.ref})")
        return found

    def refuse_taken(
        self, kind: Kind[Any], commit: CommitId, identifier: Identifier, *, replace: bool = False, why: str = ""
    ) -> None:
        """Raises …AlreadyExistsError, NoSuchNamespaceError: nothing new can be called that.

        Args:
            replace: one of the same kind may be there.
            why: what fails by that, as a sentence.
        """
        self.require_namespace(commit, identifier[:-1])
        for other in KINDS:
            if not (replace and other is kind) and self.find(other, commit, identifier) is not None:
                what = other.word if other is kind or why else f"{other.word} with same name"
                raise other.taken(f"{why}{what} already exists: {'.'.join(identifier)} (at {self.ref})")

    def _listed(self, kind: Kind[Any], namespace: AnyIdentifier) -> list[Identifier]:
        name, head = self.identifier_to_tuple(namespace), self.head()
        self.require_namespace(head, name)
        found = self.lake.list(head, namespace_prefix(name))
        return [identifier_of(entry.path) for entry in found if kind.is_at(entry.path)]

    def _add(
        self, kind: Kind[Any], identifier: Identifier, pointer: ViewPointer, *, verb: str, replace: bool = False
    ) -> None:
        def added(head: CommitId) -> Mapping[str, Content]:
            self.refuse_taken(kind, head, identifier, replace=replace)
            return {kind.path(identifier): pointer.to_bytes()}

        self._swap(added, message=f"{verb} {_said(kind, identifier)}")

    def _drop(self, kind: Kind[Any], identifier: AnyIdentifier) -> None:
        name = self.identifier_to_tuple(identifier)

        def gone(head: CommitId) -> Mapping[str, Content]:
            self.existing(kind, head, name)
            return {kind.path(name): None}

        self._swap(gone, message=f"drop {_said(kind, name)}")

    def _rename(self, kind: Kind[Any], from_identifier: AnyIdentifier, to_identifier: AnyIdentifier) -> None:
        old, new = self.identifier_to_tuple(from_identifier), self.identifier_to_tuple(to_identifier)

        def moved(head: CommitId) -> Mapping[str, Content]:
            pointer = self.existing(kind, head, old)
            self.refuse_taken(kind, head, new, why=f"Cannot rename {'.'.join(old)} to {'.'.join(new)}. ")
            return {kind.path(old): None, kind.path(new): pointer.to_bytes()}

        self._swap(moved, message=f"rename {_said(kind, old)} to {'.'.join(new)}")


def _said(kind: Kind[Any], identifier: Identifier) -> str:
    """A name in a commit's message; that of a table goes without saying."""
    return f"{'' if kind is TABLE else 'view '}{'.'.join(identifier)}"
