"""What a catalog of tables answers when it is asked for views."""

from __future__ import annotations

from typing import Any, NoReturn

from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.exceptions import NoSuchViewError
from pyiceberg.typedef import Identifier
from pyiceberg.view import View

from dfp_platform.errors import PermanentError


class WithoutViews(MetastoreCatalog):
    """The part of the catalog that says: there are no views here, only tables."""

    def list_views(self, namespace: str | Identifier) -> list[Identifier]:
        return []

    def view_exists(self, identifier: str | Identifier) -> bool:
        return False

    def load_view(self, identifier: str | Identifier) -> View:
        raise NoSuchViewError(f"View does not exist: {identifier}")

    def drop_view(self, identifier: str | Identifier) -> None:
        raise NoSuchViewError(f"View does not exist: {identifier}")

    def register_view(self, identifier: str | Identifier, metadata_location: str) -> View:
        _refuse(identifier)

    def create_view(self, identifier: str | Identifier, *args: Any, **kwargs: Any) -> View:
        _refuse(identifier)


def _refuse(identifier: str | Identifier) -> NoReturn:
    raise PermanentError(f"a lake keeps tables, no views: {identifier}", hint="materialise it as a table")
