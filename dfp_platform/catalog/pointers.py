"""The one object that a branch holds per table: which metadata file is current, and what its rows are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from dfp_platform.catalog.names import Identifier, pointer_path
from dfp_platform.errors import CorruptLakeError, NotFoundError
from dfp_platform.lake.interface import Lake


@dataclass(frozen=True, slots=True)
class Pointer:
    """A table at one commit.

    Attributes:
        metadata_location: address of the current Iceberg metadata file; unique to each commit of the table.
        uuid: the table's own id; stays through renames.
        content: content id: equal for equal schemas and equal rows, whatever their order or files.
        rows: number of rows.
        rows_hash: sum of the row hashes (see `rows.RowSum.to_text`); what an append adds to. Empty: unreadable.
        schema: hash of names, order and types of the columns.
        snapshot_id: current Iceberg snapshot; None before the first.
    """

    metadata_location: str
    uuid: str
    content: str
    rows: int
    rows_hash: str
    schema: str
    snapshot_id: int | None

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal pointers are equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse_pointer(data: bytes, *, path: str) -> Pointer:
    """The pointer that these bytes are. Raises CorruptLakeError: they are none."""
    try:
        return Pointer(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise CorruptLakeError(
            f"{path} is not a table's pointer", hint="only the catalog writes beneath tables/", path=path
        ) from error


def read_pointer(lake: Lake, ref: str, identifier: Identifier) -> Pointer | None:
    """The pointer of a table at a ref; None where there is no such table. Raises NotFoundError: no such ref."""
    path = pointer_path(identifier)
    try:
        data = lake.read(ref, path)
    except NotFoundError:
        lake.resolve(ref)
        return None
    return parse_pointer(data, path=path)
