"""The log of predictions: the API appends to a file of this machine, a thread brings the file into the lake.

`add` never waits for the lake and never raises: an answer is worth more than its row in the log. What could not be kept
is counted.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dfp_platform.errors import AlreadyExistsError, CorruptLakeError, DfpError
from dfp_platform.schemas import MAIN
from dfp_platform.serving.prediction_files import PredictionFile, file_of
from dfp_platform.serving.prediction_spool import SUFFIX, Segment, claimed, rows_in, segments_in, size_of
from dfp_platform.serving.predictions import BRANCH, FOLDER, Answers, PredictionId, file_name, lake_path

if TYPE_CHECKING:
    from dfp_platform.lake import Lake

MOST_ROWS = 20_000
"""Rows of one file at most; of 474 features they are 40 MB before compression."""

MOST_BYTES = 1_000_000_000
"""Bytes that wait on this machine at most, for example while the lake cannot be reached."""

LONGEST_WAIT = 60.0
"""Seconds between two tries to reach the lake, at most."""

FILES_A_COMMIT = 16

SET_ASIDE = ".unreadable"
"""What files of the spool end in that cannot be read."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogCounts:
    """What became of rows, since this log was opened; for `/metrics`.

    Attributes:
        spooled: rows that are, or were, in a file of this machine.
        committed: rows that this log brought into the lake, also those that dead processes had left.
        dropped: rows that are in no file: the disk was full, or the oldest had to give way.
        failures: tries to reach the lake that failed.
        pending: rows of this log that wait for the lake.
    """

    spooled: int = 0
    committed: int = 0
    dropped: int = 0
    failures: int = 0
    pending: int = 0


class PredictionLog:
    """Where an API process leaves what it answered.

    Safe to use from many threads. Many processes may share a spool, each with a log of its own: none survives a fork.
    """

    def __init__(
        self,
        lake: Lake | None,
        *,
        spool: Path,
        seconds: float,
        most_rows: int = MOST_ROWS,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the log, and bring what dead processes left in the spool into the lake.

        Args:
            lake: where predictions go; None: another process brings them there, see `shipping.Shipper`.
            spool: folder of this machine's files; made if it is not there. Processes may share it.
            seconds: age at which a file is brought into the lake, though it is not full.
            most_rows: rows of a file at most, below a million.
            most_bytes: bytes in the spool at most; beyond it the oldest files are dropped, and counted.
            clock: seconds since 1970.
        Raises:
            OSError: the spool cannot be made.
        """
        spool.mkdir(parents=True, exist_ok=True)
        self._lake, self._spool, self._clock = lake, spool, clock
        self._seconds, self._most_rows, self._most_bytes = seconds, min(most_rows, 999_999), most_bytes
        self._writer = _writer_id()
        self._lock, self._wake, self._closed = threading.Lock(), threading.Event(), False
        self._counts, self._rows_of = LogCounts(), dict[str, int]()
        self._process, self._last_stamp = os.getpid(), 0
        self._segment: Segment | None = None
        self._thread = threading.Thread(target=self._work, name="prediction-log", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> LogCounts:
        """What became of rows so far."""
        with self._lock:
            waiting = sum(self._rows_of.values()) + (self._segment.rows if self._segment else 0)
            return replace(self._counts, pending=waiting)

    def add(self, answers: Answers) -> list[str]:
        """Log the answers to one request; return the prediction ids, in the order of the apps.

        Once it returns the operating system has the rows: they outlive this process, however it ends.
        """
        count, now = len(answers.sha256), self._clock()
        with self._lock:
            try:
                segment = self._open_segment(count, now)
                first = segment.rows
                segment.append(answers, int(now * 1e6))
                self._count(spooled=count)
            except OSError as error:
                return self._lost(count, now, error)
        return [str(PredictionId(segment.name, row)) for row in range(first, first + count)]

    def close(self, *, patience: float = 10.0) -> None:
        """Bring everything into the lake and stop. What cannot be brought stays in the spool for the next process.

        Args:
            patience: seconds to wait for the thread that does it.
        """
        with self._lock:
            self._closed = True
        self._wake.set()
        self._thread.join(patience)

    # -- writing to the spool, under the lock ---------------------------------------------------------------------

    def _open_segment(self, count: int, now: float) -> Segment:
        if self._closed or self._process != os.getpid():
            raise OSError("the log is closed, or was opened by the process that this one was forked from")
        if count > self._most_rows:
            raise OSError(f"{count} rows are more than a file holds")
        if self._segment is not None and self._segment.rows + count > self._most_rows:
            self._end_segment()
            self._wake.set()
        if self._segment is None:
            self._make_room()
            self._segment = Segment(self._spool, self._next_name(now), begun=now)
        return self._segment

    def _next_name(self, now: float) -> str:
        self._last_stamp = max(int(now), self._last_stamp + 1)  # a name is given once, also if the clock goes back
        return file_name(datetime.fromtimestamp(self._last_stamp, UTC), self._writer)

    def _end_segment(self) -> None:
        if self._segment is not None:
            self._rows_of[self._segment.name] = self._segment.rows
            self._segment.close()
            self._segment = None

    def _lost(self, count: int, now: float, error: OSError) -> list[str]:
        """Ids that lead nowhere, for answers that have to be given all the same."""
        if not self._counts.dropped:
            _log.error("predictions cannot be logged, and are answered all the same: %s", error)
        self._count(dropped=count)
        name = file_name(datetime.fromtimestamp(now, UTC), _writer_id())
        return [str(PredictionId(name, row)) for row in range(count)]

    def _make_room(self) -> None:
        """Drop the oldest files of the spool that nobody holds, until the rest is within the bound."""
        there = segments_in(self._spool)
        sizes = dict(zip(there, map(size_of, there), strict=True))
        excess = sum(sizes.values()) - self._most_bytes
        for file in there:
            if excess <= 0:
                return
            with claimed(file) as stream:
                if stream is None:
                    continue
                rows = self._rows_of.pop(file.stem, None)
                rows = rows_in(stream) if rows is None else rows
                file.unlink()
                excess -= sizes[file]
                self._count(dropped=rows)
                _log.error("the spool %s is full: %d predictions were dropped, the oldest", self._spool, rows)

    def _count(self, *, spooled: int = 0, committed: int = 0, dropped: int = 0, failures: int = 0) -> None:
        before = self._counts
        self._counts = LogCounts(
            before.spooled + spooled, before.committed + committed, before.dropped + dropped, before.failures + failures
        )

    # -- bringing files into the lake, in a thread of its own -------------------------------------------------------

    def _work(self) -> None:
        tries, again = 0, 0.0
        while True:
            last = self._closed
            with self._lock:
                if self._segment and (last or self._clock() - self._segment.begun >= self._seconds):
                    self._end_segment()
            if self._lake is None:
                self._count_shipped()
            elif last or time.monotonic() >= again:
                tries = 0 if self._ship_all() else tries + 1
                again = time.monotonic() + (min(LONGEST_WAIT, 2.0**tries) if tries else 0.0)
            if last:
                return
            self._wake.wait(min(1.0, self._seconds))
            self._wake.clear()

    def _ship_all(self) -> bool:
        """Bring every file that no living process writes into the lake; return whether the lake took them."""
        there = segments_in(self._spool)
        self._forget_shipped()
        try:
            for at in range(0, len(there), FILES_A_COMMIT):
                self._ship(there[at : at + FILES_A_COMMIT])
        except Exception as error:  # whatever it is, the thread has to live: a later try may do
            with self._lock:
                self._count(failures=1)
            known = isinstance(error, DfpError | OSError)
            _log.warning(
                "predictions wait in %s: the lake did not take them: %s", self._spool, error, exc_info=not known
            )
            return False
        return True

    def _count_shipped(self) -> None:
        """Count what another process has brought into the lake: its files are gone."""
        gone = self._forget_shipped()
        with self._lock:
            self._count(committed=gone)

    def _forget_shipped(self) -> int:
        """Files of ours that this or another process has brought into the lake wait no longer; their rows."""
        with self._lock:
            before = self._rows_of
            self._rows_of = {name: rows for name, rows in before.items() if (self._spool / f"{name}{SUFFIX}").exists()}
            return sum(before.values()) - sum(self._rows_of.values())

    def _ship(self, files: list[Path]) -> None:
        """Commit some files, those that can be had; equal files are committed once, however often they are tried."""
        assert self._lake is not None
        with contextlib.ExitStack() as held:
            mine = {file: stream for file in files if (stream := held.enter_context(claimed(file)))}
            made = {file: data for file, stream in mine.items() if (data := self._read(file, stream))}
            content = {lake_path(file.stem): data.content for file, data in made.items() if data.rows}
            rows = sum(data.rows for data in made.values())
            if content:
                _ensure_branch(self._lake)
                told = {"kind": FOLDER, "rows": str(rows), "writer": self._writer}
                self._lake.commit(BRANCH, content, message=f"log {rows} predictions", metadata=told)
            for file in made:
                file.unlink()
        with self._lock:
            self._count(committed=rows)
        self._forget_shipped()

    def _read(self, file: Path, stream: BinaryIO) -> PredictionFile | None:
        """A file of the spool as it goes into the lake; one that is none is set aside, so that it holds no other up."""
        try:
            return file_of(file.stem, stream)
        except (ValueError, KeyError) as error:
            _log.error("%s is no file of predictions and is set aside: %s", file, error)
            file.rename(file.with_suffix(SET_ASIDE))
            with self._lock:
                self._count(dropped=self._rows_of.pop(file.stem, 0))
            return None


def _ensure_branch(lake: Lake) -> None:
    if BRANCH in lake.branches():
        return
    first = next((commit.id for commit in lake.log(MAIN) if not commit.parents), None)
    if first is None:
        raise CorruptLakeError("the lake has no first commit", hint="dfp lake verify", path=MAIN)
    with contextlib.suppress(AlreadyExistsError):  # another process was quicker
        lake.create_branch(BRANCH, first)


def _writer_id() -> str:
    """40 random bits in eight letters and digits."""
    return base64.b32encode(secrets.token_bytes(5)).decode().lower()
