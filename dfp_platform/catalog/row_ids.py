"""Row ids of format version 3, kept apart by branch: each branch that writes to a table numbers in a range of its own.

A table has one number that its next row gets. Two branches that count on from the same number give the same ids to
different rows, and once such rows are rewritten their ids lie in data files and cannot be changed by a merge. So the
first commit of a branch that did not number last moves ahead to another range. Where it lands follows from the branch,
the table and where its numbering stands, so that a client is told the same number whenever it asks.

A hint, not a safeguard: a merge looks at the ids themselves (`merging.lineage`).
"""

from __future__ import annotations

import hashlib

from pyiceberg.table.metadata import TableMetadata

RANGE = 2**32
"""Ids of a range, about four billion. A branch that gives more counts on into the next one."""

_RANGES = 2**31
_SHARE = 2**18


def first_of_own_range(next_row_id: int, *, branch: str, table: str) -> int:
    """Where `branch` begins to number rows of a table that counted up to `next_row_id` elsewhere.

    Of the 2^31 ranges it moves ahead by at most one part in 2^18 of those that are left: up to 8,192 at first. Two
    branches of one state meet by a chance of 1 in 8,192 then; after 100,000 such moves, one after another, of 1 in
    6,700, after a million of 1 in 1,200. When fewer than 2^18 ranges are left, after about five million, it stays
    where it is.

    Args:
        table: its uuid.
    """
    current = next_row_id // RANGE
    span = (_RANGES - 1 - current) // _SHARE
    if span < 1:
        return next_row_id
    digest = hashlib.sha256(f"{table} {branch} {next_row_id}".encode()).digest()
    return (current + 1 + int.from_bytes(digest[:8], "big") % span) * RANGE


def numbered_by(branch: str, metadata: TableMetadata, *, last: str) -> TableMetadata:
    """The table as `branch` has to see it to write to it: its next row id moved ahead unless it numbered `last`."""
    number = getattr(metadata, "next_row_id", None)
    if number is None or last == branch:
        return metadata
    own = first_of_own_range(number, branch=branch, table=str(metadata.table_uuid))
    return metadata.model_copy(update={"next_row_id": own})
