"""Leases of writers under way: what a sweep leaves alone however old it is.

A lease is a small file whose holder keeps the kernel's lock on it. The kernel drops the lock when the holder dies and
at no other time: not while a laptop sleeps, not while a machine is too busy to renew anything.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfp_platform.lake.trouble import told_clearly

CLOCK_SLACK_S = 0.1
"""Seconds by which the time of a file may lie before the clock that a program reads: kernels stamp files coarsely."""


class Leases:
    """The folder `leases/` of a lake."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, what: str) -> Iterator[None]:
        """While inside, nothing is swept that was written, or written again, since it was entered."""
        facts = {"what": what, "pid": os.getpid(), "started": time.time() - CLOCK_SLACK_S}
        with told_clearly(self._folder.parent), self._held(json.dumps(facts).encode()):
            yield

    @contextmanager
    def _held(self, facts: bytes) -> Iterator[None]:
        name = uuid.uuid4().hex
        young, file = self._folder / f".{name}", self._folder / name
        descriptor = self._create(young)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, facts)
            os.rename(young, file)  # named only when locked, so that nobody takes it for one of the dead
            yield
        finally:
            for leftover in (young, file):
                leftover.unlink(missing_ok=True)
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # by hand: a process forked meanwhile holds the descriptor too
            os.close(descriptor)

    def oldest(self) -> float | None:
        """When the oldest lease that is still held began, in seconds since the epoch; those of the dead are removed."""
        began = [found for file in self._folder.glob("*") if (found := self._began(file)) is not None]
        return min(began, default=None)

    def _create(self, young: Path) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(young, flags, 0o644)
        except FileNotFoundError:
            self._folder.mkdir(exist_ok=True)
            return os.open(young, flags, 0o644)

    def _began(self, file: Path) -> float | None:
        if file.name.startswith("."):
            return None
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return float(json.loads(file.read_text())["started"]) if file.exists() else None
        else:
            file.unlink(missing_ok=True)
            return None
        finally:
            os.close(descriptor)
