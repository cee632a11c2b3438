"""What is done to a lake, counted and timed over all processes of a machine, in one small file beside it.

Runs and their steps live for seconds: whoever wants their counts cannot ask them. So each process adds what it did to a
file of fixed size, under a lock that the kernel drops with its holder: no files of dead processes are left to collect,
and counts only grow. Counting never keeps the lake from its work: what cannot be written waits in memory.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import threading
import time
import weakref
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from operator import add, sub
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from dfp_platform.errors import CorruptLakeError, MergeConflictError, PermanentError, StaleHeadError

Method = TypeVar("Method", bound=Callable[..., Any])

Operation = Literal["read", "commit", "merge", "revert"]
Outcome = Literal["done", "conflict", "moved", "refused", "failed"]

OPERATIONS: tuple[Operation, ...] = ("read", "commit", "merge", "revert")
"""What is counted: reads of whole objects, and every write."""

OUTCOMES: tuple[Outcome, ...] = ("done", "conflict", "moved", "refused", "failed")
"""Done; both sides changed the same; another writer was quicker; the caller asked for what cannot be; trouble."""

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms in seconds; above the last one is everything else."""

_MAGIC = b"dfp-op1\n"
_BUCKETS = len(BOUNDS) + 1
_SECONDS = len(OPERATIONS) * _BUCKETS
_OUTCOMES = _SECONDS + len(OPERATIONS)
_SLOTS = _OUTCOMES + len(OPERATIONS) * len(OUTCOMES)
_BYTES = len(_MAGIC) + 8 * _SLOTS

_EVERY_SECONDS = 1.0
"""How long reads wait for the file; writes are there at once, they take milliseconds anyway."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was done by one operation.

    Attributes:
        buckets: how many that were done took at most each of `BOUNDS` seconds and more than the one before; the last
            is all that took longer.
        seconds: that they took together.
        outcomes: how many came to what.
    """

    buckets: tuple[int, ...]
    seconds: float
    outcomes: Mapping[Outcome, int]


Counts = Mapping[Operation, Counted]


class Operations:
    """Counts what is done to one lake.

    Args:
        file: where all processes of this machine add up; None: this process counts for itself alone.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._here = array("d", bytes(8 * _SLOTS))
        self._told = array("d", self._here)
        self._told_at = 0.0
        self._lock = threading.Lock()
        _all.add(self)

    def __reduce__(self) -> tuple[type[Operations], tuple[Path | None]]:
        return Operations, (self._file,)

    def record(self, operation: Operation, seconds: float, outcome: Outcome = "done") -> None:
        """Count one operation. A read costs microseconds, a write some tens more for the file."""
        at = OPERATIONS.index(operation)
        with self._lock:
            if outcome == "done":
                self._here[at * _BUCKETS + bisect_left(BOUNDS, seconds)] += 1
                self._here[_SECONDS + at] += seconds
            self._here[_OUTCOMES + at * len(OUTCOMES) + OUTCOMES.index(outcome)] += 1
            if at or time.monotonic() - self._told_at > _EVERY_SECONDS:
                self._tell()

    def here(self) -> Counts:
        """What this process did."""
        with self._lock:
            return _as_counts(self._here)

    def everywhere(self) -> Counts:
        """What all processes of this machine did, since the file was made; this process alone where there is none."""
        with self._lock:
            self._tell()
            found = _read(self._file) if self._file is not None else None
            return _as_counts(self._here if found is None else found)

    def tell(self) -> bool:
        """Add to the file what is not yet in it; whether all is in it now."""
        with self._lock:
            self._tell()
            return self._told == self._here

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        if self._file is None or self._here == self._told:
            return
        young = array("d", map(sub, self._here, self._told))
        with suppress(OSError):  # a disk that is full or not ours, or somebody stopped with the lock in hand
            _add(self._file, young)
            self._told = array("d", self._here)

    def _forked(self) -> None:
        """A child leaves to its parent what that did, and a lock that a thread of the parent may have held."""
        self._lock, self._told = threading.Lock(), array("d", self._here)


_all: weakref.WeakSet[Operations] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_all):
        each._forked()


def _at_exit() -> None:
    for each in list(_all):
        each.tell()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def timed(operation: Operation) -> Callable[[Method], Method]:
    """A method of a lake that is counted and timed in its `operations`."""

    def of(method: Method) -> Method:
        @wraps(method)
        def call(self: Any, *args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                answer = method(self, *args, **options)
            except Exception as error:
                self.operations.record(operation, time.perf_counter() - began, outcome_of(error))
                raise
            self.operations.record(operation, time.perf_counter() - began)
            return answer

        return cast(Method, call)

    return of


def outcome_of(error: Exception) -> Outcome:
    """What an operation that raised came to."""
    if isinstance(error, MergeConflictError):
        return "conflict"
    if isinstance(error, StaleHeadError):
        return "moved"
    return "refused" if isinstance(error, PermanentError) and not isinstance(error, CorruptLakeError) else "failed"


def _as_counts(slots: array[float]) -> Counts:
    def counted(at: int) -> Counted:
        told = _OUTCOMES + at * len(OUTCOMES)
        return Counted(
            buckets=tuple(int(each) for each in slots[at * _BUCKETS : (at + 1) * _BUCKETS]),
            seconds=slots[_SECONDS + at],
            outcomes={outcome: int(slots[told + n]) for n, outcome in enumerate(OUTCOMES)},
        )

    return {operation: counted(at) for at, operation in enumerate(OPERATIONS)}


def _read(file: Path) -> array[float] | None:
    """What stands in the file; None: nothing that this version wrote."""
    try:
        return _slots(file.read_bytes())
    except OSError:
        return None


def _slots(data: bytes) -> array[float] | None:
    return array("d", data[len(_MAGIC) :]) if len(data) == _BYTES and data.startswith(_MAGIC) else None


def _add(file: Path, young: array[float]) -> None:
    """Add counts to those in the file, which begins anew if another version wrote it. Raises OSError: not now."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor)
        try:
            before = _slots(os.pread(descriptor, _BYTES + 1, 0))
            after = young if before is None else array("d", map(add, before, young))
            os.pwrite(descriptor, _MAGIC + after.tobytes(), 0)
            if before is None:
                os.ftruncate(descriptor, _BYTES)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # by hand: a process forked meanwhile holds the descriptor too
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Whoever has the lock has it for microseconds. Raises BlockingIOError: it was stopped there."""
    for _ in range(4):
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.0005)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
