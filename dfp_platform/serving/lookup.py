"""Features of apps that a question names by id alone, as the model takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import UnreachableError

if TYPE_CHECKING:
    from dfp_platform.features import Vectors


class Reader(Protocol):
    """Served vectors; follows what is served from read to read, see `features`."""

    def read(self, keys: Sequence[str]) -> Vectors:
        """Raises NotFoundError: nothing is served yet. UnreachableError: the store does not answer."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Rows of the model for some ids.

    Attributes:
        rows: float32, shape ``(ids, features)``; NaN throughout where the app is unknown.
        known: bool, shape ``(ids,)``.
        version: the online version that was read.
        commit: the lake commit it stands for.
    """

    rows: NDArray[np.float32]
    known: NDArray[np.bool_]
    version: str
    commit: str


QUICK, STUCK = 0.005, 0.1
"""Seconds: reads that take longer on average, or one that takes much longer, are not made while others wait."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 60.0
"""Seconds in which reads go to threads after slow ones; twice as long each time it happens again."""


class Lookup:
    """Reads features by id; the reader is opened by the first question that needs it."""

    def __init__(self, open_reader: Callable[[], Reader], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._open = open_reader
        self._clock = clock
        self._reader: Reader | None = None
        self._answered = False
        self._usual = 0.0  # seconds a read on the spot takes, the last ones counting most
        self._pause, self._paused_until = SHORTEST_PAUSE, 0.0
        self._places: tuple[tuple[str, ...], tuple[str, ...], NDArray[np.intp] | None] = ((), (), None)

    @property
    def quick(self) -> bool:
        """Whether the next read may be made on the spot: a thread costs as much as the read of a store that is quick.

        Not before a read succeeded in a thread, and not for a while after those on the spot were slow. One that a busy
        machine held up for some milliseconds does not count: threads, which share the interpreter, make that worse.
        """
        return self._answered and self._clock() >= self._paused_until

    def read(self, ids: Sequence[str], features: tuple[str, ...], *, on_the_spot: bool = False) -> Found:
        """The model's features of each id.

        Args:
            on_the_spot: whether others wait for it.
        Raises:
            NotFoundError: nothing is served yet.
            UnreachableError: the store does not answer, or what it serves lacks features of the model.
        """
        begun = self._clock()
        try:
            if self._reader is None:
                self._reader = self._open()
            told = self._reader.read(ids)
        except Exception:
            self._answered = False
            raise
        self._answered = True
        if on_the_spot:
            self._judge(self._clock() - begun)
        places = self._columns(told.names, features)
        rows = told.vectors if places is None else np.ascontiguousarray(told.vectors[:, places])
        return Found(rows, told.found, told.version, told.commit)

    def _judge(self, seconds: float) -> None:
        self._usual = 0.9 * self._usual + 0.1 * seconds
        if self._usual < QUICK and seconds < STUCK:
            self._pause = SHORTEST_PAUSE if seconds < QUICK else self._pause
        else:
            self._usual = 0.0
            self._paused_until = self._clock() + self._pause
            self._pause = min(LONGEST_PAUSE, self._pause * 2)

    def _columns(self, served: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.intp] | None:
        """Where the model's features stand in what is served; None: they are the same, in the same order."""
        if (self._places[0], self._places[1]) != (served, wanted):
            place = {name: column for column, name in enumerate(served)}
            missing = [name for name in wanted if name not in place]
            if missing:
                raise UnreachableError(
                    f"what is served online lacks {len(missing)} features of the model, first {missing[0]}",
                    hint="materialize the features that the model was trained on: dfp run features/online",
                    address=missing[0],
                )
            columns = None if served == wanted else np.array([place[name] for name in wanted], dtype=np.intp)
            self._places = (served, wanted, columns)
        return self._places[2]

    def close(self) -> None:
        """Let the reader go."""
        if self._reader is not None:
            with closing(self._reader):
                self._reader = None
