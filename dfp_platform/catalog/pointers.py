"""The one object that a branch holds per table or view: which metadata file is current, and what its rows are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from pyiceberg.exceptions import NoSuchTableError, NoSuchViewError, TableAlreadyExistsError, ViewAlreadyExistsError

from dfp_platform.catalog.names import Identifier, is_pointer, is_view, pointer_path, view_path
from dfp_platform.errors import CorruptLakeError, NotFoundError
from dfp_platform.lake.interface import Lake


@dataclass(frozen=True, slots=True)
class ViewPointer:
    """A view at one commit.

    Attributes:
        metadata_location: address of the current metadata file; unique to each change.
        uuid: the own id of the view or table; stays through renames.
    """

    metadata_location: str
    uuid: str

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal pointers are equal bytes."""
        told = {name: value for name, value in asdict(self).items() if name != "numbering" or value}
        return json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Pointer(ViewPointer):
    """A table at one commit.

    Attributes:
        content: content id: equal for equal schemas and equal rows, whatever their order or files.
        rows: number of rows.
        rows_hash: sum of the row hashes (see `rows.RowSum.to_text`); what an append adds to. Empty: unreadable.
        schema: hash of names, order and types of the columns.
        snapshot_id: current Iceberg snapshot; None before the first.
        numbering: branch that the table's next row id belongs to, in format version 3; empty: none in particular.
    """

    content: str
    rows: int
    rows_hash: str
    schema: str
    snapshot_id: int | None
    numbering: str = ""


P = TypeVar("P", bound=ViewPointer)


@dataclass(frozen=True, slots=True)
class Kind(Generic[P]):
    """What a pointer is one of.

    Attributes:
        word: what people call it.
        pointer: what is kept of it.
        path: where that lies.
        is_at: whether a lake path is such a place.
        missing: raised where there is none of that name.
        taken: raised where there is one already.
    """

    word: str
    pointer: type[P]
    path: Callable[[Identifier], str]
    is_at: Callable[[str], bool]
    missing: type[Exception]
    taken: type[Exception]


TABLE = Kind("Table", Pointer, pointer_path, is_pointer, NoSuchTableError, TableAlreadyExistsError)
VIEW = Kind("View", ViewPointer, view_path, is_view, NoSuchViewError, ViewAlreadyExistsError)
KINDS: tuple[Kind[Any], ...] = (TABLE, VIEW)


def parse_pointer(data: bytes, *, path: str) -> Pointer:
    """The table's pointer that these bytes are. Raises CorruptLakeError: they are none."""
    return _parsed(TABLE, data, path)


def read_pointer(lake: Lake, ref: str, identifier: Identifier) -> Pointer | None:
    """The pointer of a table at a ref; None where there is no such table. Raises NotFoundError: no such ref."""
    return read_named(TABLE, lake, ref, identifier)


def read_named(kind: Kind[P], lake: Lake, ref: str, identifier: Identifier) -> P | None:
    """The pointer of a table or view at a ref; None where there is none. Raises NotFoundError: no such ref."""
    path = kind.path(identifier)
    try:
        data = lake.read(ref, path)
    except NotFoundError:
        lake.resolve(ref)
        return None
    return _parsed(kind, data, path)


def _parsed(kind: Kind[P], data: bytes, path: str) -> P:
    try:
        return kind.pointer(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise CorruptLakeError(
            f"{path} is not a {kind.word.lower()}'s pointer",
            hint="only the catalog writes beneath tables/",
            path=path,
        ) from error
