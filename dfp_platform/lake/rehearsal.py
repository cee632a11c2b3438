"""What a merge would do, found out by doing it where nobody looks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.schemas import CommitId


class Merge(Protocol):
    """`Lake.merge`, or anything that is called like it."""

    def __call__(self, source: str, into: str, *, message: str) -> CommitId: ...


@contextmanager
def rehearsed_merge(lake: Lake, source: str, into: str, merge: Merge) -> Iterator[tuple[CommitId, CommitId]]:
    """Merge `source` into a branch made from `into`, which is gone afterwards.

    Yields the commit that `into` is at and the one that a merge would make of it, for as long as one looks at them.
    Raises what `merge` raises: MergeConflictError lists every conflict.
    """
    before = lake.resolve(into)
    name = f"tx-{secrets.token_hex(8)}"
    try:
        lake.create_branch(name, before)
        yield before, merge(source, name, message=f"rehearsal of merging {source} into {into}")
    finally:
        with suppress(NotFoundError):
            lake.delete_branch(name)
