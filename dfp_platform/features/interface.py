"""What keeps features and serves them: one small interface; `open_keeper` is the one way to get a keeper.

A keeper is what rows are read with (Feast, or the lake's tables alone) over what versions are stored in (SQLite files,
Redis). Nothing here knows either; a further feature store is one more keeper.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, how many there are (0: not known)."""


@dataclass(frozen=True, slots=True)
class Served:
    """One online version and the lake commit that made it the one to serve."""

    version: str
    commit: str


@dataclass(frozen=True, slots=True)
class Current(Served):
    """What a branch serves now.

    Attributes:
        previous: what was served before: the way back of `rollback`.
        published: the version that a publication last asked for; another one is served after a rollback by hand.
    """

    previous: Served | None = None
    published: str = ""

    @property
    def named(self) -> tuple[str, ...]:
        """The versions that have to stay: what is served, and the way back."""
        return (self.version, *([self.previous.version] if self.previous else ()))


@dataclass(frozen=True, slots=True)
class Materialized:
    """One online version as it was written, whole.

    Attributes:
        version: its name, the argument of `switch`.
        rows: apps in it.
        names: what each element of a vector is.
        schema_hash: identity of the ordered feature names.
        commit: the lake commit it was read from.
        bytes: what it takes: its file, or its values in Redis.
        written: when it became whole, ISO 8601, UTC.
        changed: rows that had to be written; the others came from the version it was made from.
        space: where its values lie, for the store that keeps them.
    """

    version: str
    rows: int
    names: tuple[str, ...]
    schema_hash: str
    commit: str
    bytes: int = 0
    written: str = ""
    changed: int = 0
    space: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Served feature vectors, in the order they were asked for.

    Attributes:
        vectors: float32, shape ``(keys, features)``; NaN throughout where the app is unknown.
        found: bool, shape ``(keys,)``; whether the app is known.
        names: what each element is.
        version: the online version read.
        commit: the lake commit in whose name it is served, or that it was made of while it is not switched on.
        event_times: int64, shape ``(keys,)``; microseconds since 1970 UTC when the values were true; 0 where unknown.
    """

    vectors: NDArray[np.float32]
    found: NDArray[np.bool_]
    names: tuple[str, ...]
    version: str
    commit: str
    event_times: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Vectors of apps with the moments they were true.

    Attributes:
        keys: sha256 digests, each once.
        event_times: int64, shape ``(rows,)``; microseconds since 1970 UTC.
        matrix: float32, shape ``(rows, features)``.
    """

    keys: Sequence[str]
    event_times: NDArray[np.int64]
    matrix: NDArray[np.float32]


class OnlineReader(Protocol):
    """Reads what a branch serves, from many threads at once.

    Unless opened at a version it follows the branch: a read sees exactly one version, the one that is switched on when
    the read begins or a later one, and what was pushed since.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """What each element of a whole vector is, in the version last read. Raises NotFoundError, UnreachableError."""
        ...

    @property
    def rows(self) -> int:
        """Apps in that version, without those that were pushed. Raises NotFoundError, UnreachableError."""
        ...

    def read(self, keys: Sequence[str], *, view: str = ..., features: Sequence[str] | None = None) -> Vectors:
        """The values of `keys`, in their order, in one round trip; unknown apps are marked, not refused.

        Args:
            view: which feature view; the one of everything unless given.
            features: names within it, in the order wanted; ``vector`` stands for all of it, as None does.
        Raises:
            NotFoundError: nothing is served, or the version is gone. UnreachableError: the store does not answer.
            InputError: no such view or feature.
        """
        ...

    def close(self) -> None:
        """Let files and connections go."""
        ...


class FeatureKeeper(Protocol):
    """Keeps features of apps: as they were, and as they are served on each branch."""

    def historical(self, lake: Lake, ref: str, entity_rows: pa.Table | None = None) -> pa.Table:
        """The newest vector of each asked app not younger than the asked moment; see `features.history.historical`."""
        ...

    def version_for(self, lake: Lake, ref: str) -> str:
        """The name that tells the content at `ref`: equal content at two refs, equal names. Raises NotFoundError."""
        ...

    def materialize(
        self,
        lake: Lake,
        ref: str,
        *,
        version: str | None = None,
        base: str | None = None,
        progress: Progress | None = None,
    ) -> Materialized:
        """Write every app's vector at `ref` to a version of its own, which nobody reads until `switch`.

        Args:
            version: its name; `version_for` the content unless given. A whole version of that name is left as it is.
            base: a version to start from: only rows that differ from it are written. The outcome is the same as
                without; where it cannot be started from (other features, other Redis), everything is written.
        Raises:
            NotFoundError: no features at `ref`. InputError: its rows cannot be features.
            DiskFullError, UnreachableError: nothing is visible of what was begun.
        """
        ...

    def backfill(
        self, lake: Lake, ref: str, branch: str, *, start: datetime, end: datetime, progress: Progress | None = None
    ) -> Materialized:
        """What `branch` serves, with the rows of `ref` whose event time is in [start, end) where they are newer.

        Where that changes nothing, it is the version that is served.
        """
        ...

    def reader(self, branch: str, *, version: str | None = None) -> OnlineReader:
        """A reader that follows `branch`, or reads `version` as it was written, without what was pushed.

        Touches nothing before the first read.
        """
        ...

    def push(self, schema_hash: str, rows: Rows) -> int:
        """Serve these values at once, on every branch of these features, where they are newer by event time.

        Returns:
            Rows that were newer than what was pushed before; equal times are decided by the value, not by arrival.
        """
        ...

    def current(self, branch: str) -> Current | None:
        """What `branch` serves; None if nothing was ever switched on. Raises CorruptLakeError, UnreachableError."""
        ...

    def switch(self, branch: str, version: str, commit: str, *, publication: bool = False) -> Current:
        """Serve `version` on `branch` from now on, in the name of lake commit `commit`. Again changes nothing.

        Args:
            publication: the lake asks for it, not a person: a version rolled back by hand stays so until the lake asks
                for another one.
        Raises:
            NotFoundError: no such version is whole. InvalidNameError: it cannot name one.
        """
        ...

    def rollback(self, branch: str) -> Current:
        """Serve what was served before the last switch; a second call goes forward again. Raises NotFoundError."""
        ...

    def versions(self) -> Sequence[Materialized]:
        """All whole versions, the newest last."""
        ...

    def branches(self) -> Mapping[str, Current]:
        """What each branch serves that serves something."""
        ...

    def prune(self, *, before: datetime, keep: Collection[str] = ()) -> list[str]:
        """Remove versions written before that moment, and what killed writers left; returns the versions' names.

        What any branch serves, what it served before and those of `keep` stay, as do young ones. Pushed values go with
        which every branch of their features has caught up.

        Args:
            before: with a time zone.
        """
        ...

    def close(self) -> None:
        """Let connections go."""
        ...
