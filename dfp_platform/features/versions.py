"""What a store of online versions has to do for a keeper. Versions are immutable; a pointer a branch names one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dfp_platform.features.interface import Current, Materialized, Rows, Served

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 2_000
"""Rows written at a time: 4 MB at 480 features."""

Value = tuple[int, bytes]
"""When a vector was true (microseconds since 1970 UTC), and its float32 elements, little-endian."""

WrittenRows = Callable[[int], None]
"""Called with the number of rows that were written since the last call."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one round trip found: one whole version, and what was pushed for the same keys."""

    version: Materialized
    commit: str
    stored: Sequence[Value | None]
    pushed: Sequence[Value | None]


class VersionReader(Protocol):
    """Raw reads of one version, or of what a branch points to. Safe from many threads."""

    def about(self) -> tuple[Materialized, str]:
        """The version that would be read now, and its commit. Raises NotFoundError, UnreachableError."""
        ...

    def fetch(self, keys: Sequence[str]) -> Fetched:
        """Values of `keys` in their order, all of one version. Raises NotFoundError, UnreachableError."""
        ...

    def close(self) -> None:
        """Let files and connections go."""
        ...


class VersionStore(Protocol):
    """Keeps versions, their pointers and what was pushed. Every write is seen whole or not at all."""

    def find(self, version: str) -> Materialized | None:
        """A whole version by its name. Raises InvalidNameError."""
        ...

    def versions(self) -> list[Materialized]:
        """All whole versions, the oldest first."""
        ...

    def write(
        self, about: Materialized, rows: Rows, index: pa.Table, *, base: Base | None, wrote: WrittenRows
    ) -> Materialized:
        """Make a version of `rows` and what is taken over from `base`; it is found once all of it is there.

        Args:
            index: key, event_us, digest of every row of the version, those of `base` included.
        """
        ...

    def index(self, version: Materialized) -> pa.Table | None:
        """What `write` was given for it; None for a version of before there were indexes."""
        ...

    def values(self, version: Materialized, keys: Sequence[str]) -> list[Value]:
        """The vectors of keys that are all in the version."""
        ...

    def pointers(self) -> Mapping[str, Current]:
        """What each branch points to."""
        ...

    def pointer(self, branch: str) -> Current | None:
        """What one branch points to."""
        ...

    def point(self, branch: str, decide: Callable[[Current | None], Current | None]) -> Current | None:
        """Replace a pointer by what `decide` makes of it, None for no change, with nobody else in between.

        Returns:
            The pointer as it is now.
        Raises:
            NotFoundError: the version that it shall name is not whole.
        """
        ...

    def reader(self, branch: str, version: str | None) -> VersionReader:
        """Raw reads of `version`, or of what `branch` points to at each read."""
        ...

    def push(self, schema_hash: str, rows: Rows) -> int:
        """Keep the newer of what is pushed and what was; returns the rows that were newer."""
        ...

    def pushed(self) -> Mapping[str, Mapping[str, int]]:
        """Event times of what was pushed, by schema hash and key."""
        ...

    def drop_pushed(self, schema_hash: str, seen: Mapping[str, int]) -> None:
        """Forget pushed values that are not newer than the times given."""
        ...

    def remove(self, *, before: datetime, keep: frozenset[str]) -> list[str]:
        """Remove versions written before, except those named, and what killed writers left; returns their names."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


@dataclass(frozen=True, slots=True)
class Base:
    """A version to start from, the keys whose values are taken over as they are, and those it has beyond them."""

    version: Materialized
    kept: Sequence[str]
    gone: Sequence[str]


def batches(rows: Rows) -> Iterator[Rows]:
    """The rows in parts of `BATCH_ROWS`."""
    for start in range(0, len(rows.keys), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        yield Rows(rows.keys[part], rows.event_times[part], rows.matrix[part])


def vector_bytes(matrix: np.ndarray) -> Iterator[bytes]:
    """Each row of a float32 matrix as little-endian bytes."""
    return (row.tobytes() for row in np.ascontiguousarray(matrix, dtype="<f4"))


def newest(stored: Value | None, pushed: Value | None) -> Value | None:
    """The newer of two values by event time; at equal times what the lake says."""
    if pushed is None or (stored is not None and stored[0] >= pushed[0]):
        return stored
    return pushed


def replaces(pushed: Value, before: Value | None) -> bool:
    """Whether a pushed value takes the place of another: newer, or as new and greater by bytes, so that order is all
    the same.
    """
    return before is None or pushed > before


def switched(before: Current | None, version: str, commit: str, *, publication: bool) -> Current | None:
    """The pointer after a switch; None where it stays as it is.

    The same version under a newer commit keeps the way back. A publication that asks for the version it asked for last
    time leaves what a person has rolled back.
    """
    if before is None:
        return Current(version, commit, None, version if publication else "")
    published = version if publication else before.published
    if publication and before.published == version != before.version:
        return None
    if before.version == version:
        after = replace(before, commit=commit, published=published)
        return None if after == before else after
    return Current(version, commit, Served(before.version, before.commit), published)


def rolled_back(now: Current | None) -> Current | None:
    """The pointer after a step back; None where there is nothing before."""
    if now is None or now.previous is None:
        return None
    return Current(now.previous.version, now.previous.commit, Served(now.version, now.commit), now.published)
