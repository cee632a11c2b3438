"""Writing that survives a power cut, and locks between processes."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync_file(descriptor: int) -> None:
    """Have the disk keep what was written to an open file."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone leaves the data in the drive's cache
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder, after a rename or a link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole_file(path: Path, data: bytes, *, through: Path | None = None) -> None:
    """Put `data` at `path` so that a reader, or a crash, sees the old or the new file and nothing between.

    Args:
        through: folder of the same file system for the temporary file; beside `path` unless told.
    """
    temporary = (through or path.parent) / f".{path.name}.{uuid.uuid4().hex[:8]}"
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            sync_file(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def locked_file(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock named by `path` among all threads and processes; yields False if not had without waiting.

    The kernel drops it when its holder dies.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            try:
                yield True
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # by hand: a process forked meanwhile holds the descriptor too
    finally:
        os.close(descriptor)
