"""What keeps git objects through a power cut: one synced record per commit, instead of two syncs per object.

Git objects are written without waiting for the disk. Before a ref moves, all objects it newly reaches are appended here
in one record and synced; only then the ref follows. When the machine was started anew since, `mend` writes again what
the disk has lost. Once objects are in a synced pack, their records go.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pygit2.enums import ObjectType

from dfp_platform.lake.durable import sync_file, sync_folder, write_whole_file

GitObject = tuple[ObjectType, bytes]
"""Kind and content of a git object."""

_MAGIC = b"dfpJ"
_RECORD = struct.Struct(">4sQI")  # magic, length and checksum of what follows
_OBJECT = struct.Struct(">BQ")  # kind, length of the content that follows


class Journal:
    """The folder `journal/`. Every method but `mended` is called by whoever holds the lake's lock on refs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._current = folder / "current"
        self._retiring = folder / "retiring"
        self._boot = folder / "boot"

    def append(self, objects: Iterable[GitObject]) -> None:
        """Have the disk keep these objects."""
        body = b"".join(_OBJECT.pack(kind, len(content)) + content for kind, content in objects)
        if not body:
            return
        record = _RECORD.pack(_MAGIC, len(body), zlib.crc32(body)) + body
        descriptor = os.open(self._current, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            written = 0
            while written < len(record):
                written += os.write(descriptor, record[written:])
            sync_file(descriptor)
        finally:
            os.close(descriptor)

    def objects(self) -> Iterator[GitObject]:
        """Every object of every whole record, oldest first. A record cut short by its writer's death is passed over."""
        for file in (self._retiring, self._current):
            if file.exists():
                yield from _objects_in(file.read_bytes())

    def retire(self) -> None:
        """Begin a new journal; the old records stay until `forget_retired`."""
        kept = self._retiring.read_bytes() if self._retiring.exists() else b""
        write_whole_file(self._retiring, kept + self._current.read_bytes())
        write_whole_file(self._current, b"")

    def forget_retired(self) -> None:
        """Drop the records of before the last `retire`: all their objects are in synced packs."""
        self._retiring.unlink(missing_ok=True)
        sync_folder(self._folder)

    def mended(self) -> bool:
        """Whether this machine has been up since the journal was last looked through."""
        try:
            return self._boot.read_text() == _boot_id()
        except FileNotFoundError:
            return False

    def mend(self, restore: Callable[[GitObject], None]) -> None:
        """Hand every object to `restore`, and remember that it is done for as long as the machine is up."""
        self._folder.mkdir(exist_ok=True)
        if not self._current.exists():
            write_whole_file(self._current, b"")
        for found in self.objects():
            restore(found)
        write_whole_file(self._boot, _boot_id().encode())


def oid_of(found: GitObject) -> bytes:
    """The 20 bytes by which git names an object."""
    kind, content = found
    head = f"{kind.name.lower()} {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).digest()


def _objects_in(data: bytes) -> Iterator[GitObject]:
    at = data.find(_MAGIC)
    while at >= 0:
        body = _body_at(data, at)
        if body is None:
            at = data.find(_MAGIC, at + 1)
            continue
        yield from _split(body)
        at = data.find(_MAGIC, at + _RECORD.size + len(body))


def _body_at(data: bytes, at: int) -> bytes | None:
    """What the record at `at` holds; None if no whole record begins there."""
    start = at + _RECORD.size
    if start > len(data):
        return None
    _, length, checksum = _RECORD.unpack_from(data, at)
    body = data[start : start + length]
    return body if len(body) == length and zlib.crc32(body) == checksum else None


def _split(body: bytes) -> Iterator[GitObject]:
    at = 0
    while at < len(body):
        kind, length = _OBJECT.unpack_from(body, at)
        at += _OBJECT.size
        yield ObjectType(kind), body[at : at + length]
        at += length


def _boot_id() -> str:
    """Differs after every start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()) // 60)
