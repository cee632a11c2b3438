"""Immutable files by sha-256: where the bytes of big objects lie, and what git keeps in their place."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dfp_platform.errors import CorruptLakeError, NotFoundError, ReadOnlyError
from dfp_platform.lake.durable import sync_file, sync_folder

INLINE_LIMIT = 8192
"""Bytes up to which an object lies in git itself."""

MAGIC = b"dfp-object v1\n"
"""How a pointer begins. Content that begins so by itself never lies inline."""

CHUNK = 1 << 20

_ASIDE = "swept-"

Progress = Callable[[str, int], None]
"""Called while a big object streams in: its lake path, and the bytes taken so far."""

_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,16})?\.(?:gz|zst|bz2|xz|lz4)$|\.[A-Za-z0-9]{1,16}$")


@dataclass(frozen=True, slots=True)
class Pointer:
    """What git keeps in place of a big object."""

    sha256: str
    size: int

    def encode(self) -> bytes:
        """The bytes of the git blob."""
        return MAGIC + f"sha256 {self.sha256}\nsize {self.size}\n".encode()

    @classmethod
    def decode(cls, blob: bytes) -> Pointer | None:
        """The pointer a blob holds, None if the blob is the object itself."""
        if not blob.startswith(MAGIC):
            return None
        digest, size = (line.split()[1] for line in blob[len(MAGIC) :].decode().splitlines())
        return cls(digest, int(size))


def suffix_of(path: str) -> str:
    """The end of a lake path by which engines know a format: ``.parquet``, ``.csv.gz``, or nothing."""
    found = _SUFFIX.search(path.rsplit("/", 1)[-1])
    return found.group() if found and found.start() > 0 else ""


class ObjectFiles:
    """The folder `objects/`. A file is whole from the moment it has its name, and never changes afterwards.

    One content under several suffixes is several names of one file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"

    def stage(self, content: bytes | Path | BinaryIO, path: str, progress: Progress | None = None) -> bytes:
        """Keep the content that will stand at lake path `path`; return the git blob for it."""
        if isinstance(content, bytes | bytearray | memoryview):
            return self._stage_stream(io.BytesIO(content), path, progress)
        if not isinstance(content, Path):
            if not hasattr(content, "read"):
                raise TypeError(f"{path}: a commit takes bytes, Path, a binary stream, ObjectStat or None: {content!r}")
            return self._stage_stream_and_rewind(content, path, progress)
        try:
            with content.open("rb") as stream:
                return self._stage_stream(stream, path, progress)
        except FileNotFoundError as error:
            raise NotFoundError(f"no file {content} to commit at {path}", path=path, file=str(content)) from error

    def incoming(self) -> Path:
        """A name that nobody has, for a file on its way in."""
        self._incoming.mkdir(exist_ok=True)
        return self._incoming / uuid.uuid4().hex

    def take(self, temporary: Path, pointer: Pointer, path: str) -> None:
        """Keep a whole, synced file that has these bytes."""
        self._adopt(temporary, self._name(pointer.sha256, suffix_of(path)))

    def file_of(self, pointer: Pointer, path: str) -> Path:
        """The file with a pointer's bytes, ending like the lake path `path`. Raises CorruptLakeError if it is gone."""
        wanted = self._name(pointer.sha256, suffix_of(path))
        try:
            found = wanted.exists() or self._link(pointer, wanted)
        except OSError as error:
            raise _not_writable(self.folder, path) from error
        size = wanted.stat().st_size if found else None
        if size != pointer.size:
            raise CorruptLakeError(
                f"{path} (sha256 {pointer.sha256}) should have {pointer.size} bytes in {self.folder}, "
                + ("is missing" if size is None else f"has {size}"),
                hint="restore objects/ from a backup; `dfp lake verify` lists everything that is missing",
                path=path,
                expected=pointer.sha256,
                actual=None,
            )
        return wanted

    def holds(self, pointer: Pointer, path: str) -> bool:
        """Whether the bytes are here, under the suffix of `path` too from now on; their age starts again."""
        wanted = self._name(pointer.sha256, suffix_of(path))
        try:
            with suppress(PermissionError):  # the file of another user of the same lake
                os.utime(wanted)  # first: garbage collection may be about to take it
            return wanted.stat().st_size == pointer.size
        except FileNotFoundError:
            return self._link(pointer, wanted) and self.holds(pointer, path)

    def keep_small(self, content: bytes, path: str) -> Path:
        """A file with the bytes of an object that lies in git, for engines that want one."""
        wanted = self._name(hashlib.sha256(content).hexdigest(), suffix_of(path))
        if not wanted.exists() or wanted.stat().st_size != len(content):
            try:
                self._incoming.mkdir(exist_ok=True)
                self._make_shelf(wanted.parent)
            except OSError as error:
                raise _not_writable(self.folder, path) from error
            temporary = self._incoming / uuid.uuid4().hex
            with temporary.open("xb") as out:
                out.write(content)
                out.flush()
                os.fchmod(out.fileno(), 0o444)
                sync_file(out.fileno())
            self._adopt(temporary, wanted)
        return wanted

    def small_content(self, sha256: str) -> bytes | None:
        """The bytes of an object that would lie in git, if an engine has asked for its file before."""
        file = self._any_file_of(sha256)
        content = None if file is None else file.read_bytes()
        return content if content is not None and hashlib.sha256(content).hexdigest() == sha256 else None

    def _any_file_of(self, sha256: str) -> Path | None:
        """Some file with these bytes, whatever its suffix."""
        found = [*self._name(sha256, "").parent.glob(f"{sha256}*"), *self._incoming.glob(f"{_ASIDE}{sha256}*")]
        return min(found, default=None)

    def aside(self, name: str) -> Path:
        """Where garbage collection puts a file of this name while it makes up its mind; it is still found by digest."""
        self._incoming.mkdir(exist_ok=True)
        return self._incoming / f"{_ASIDE}{name}"

    def restore_aside(self) -> None:
        """Put back what a garbage collection that was killed left aside."""
        for file in self._incoming.glob(f"{_ASIDE}*"):
            with suppress(FileNotFoundError):
                name = file.name.removeprefix(_ASIDE)
                os.rename(file, self.folder / name[:2] / name)

    def sweep_incoming(self, *, older_than_s: float = 86_400.0) -> None:
        """Remove what writers left half way when they died."""
        now = time.time()
        for leftover in self._incoming.glob("[!s]*"):
            try:
                if now - leftover.stat().st_mtime > older_than_s:
                    leftover.unlink()
            except FileNotFoundError:
                continue

    def _stage_stream_and_rewind(self, stream: BinaryIO, path: str, progress: Progress | None) -> bytes:
        """Leave the stream where it was if it can seek, so that who lost a race can make the same call again."""
        start = stream.tell() if getattr(stream, "seekable", bool)() else None
        blob = self._stage_stream(stream, path, progress)
        if start is not None:
            stream.seek(start)
        return blob

    def _stage_stream(self, stream: BinaryIO, path: str, progress: Progress | None) -> bytes:
        head = _read_exactly(stream, INLINE_LIMIT + 1)
        if len(head) <= INLINE_LIMIT and not head.startswith(MAGIC):
            return head
        self._incoming.mkdir(exist_ok=True)
        temporary = self._incoming / uuid.uuid4().hex
        try:
            with temporary.open("xb") as out:
                pointer = _copy(head, stream, out, path, progress)
                out.flush()
                os.fchmod(out.fileno(), 0o444)
                if not self.holds(pointer, path):
                    sync_file(out.fileno())
                    self._adopt(temporary, self._name(pointer.sha256, suffix_of(path)))
        finally:
            temporary.unlink(missing_ok=True)
        return pointer.encode()

    def _name(self, sha256: str, suffix: str) -> Path:
        return self.folder / sha256[:2] / f"{sha256}{suffix}"

    def _adopt(self, temporary: Path, wanted: Path) -> None:
        self._make_shelf(wanted.parent)
        os.replace(temporary, wanted)
        sync_folder(wanted.parent)

    def _make_shelf(self, shelf: Path) -> None:
        if not shelf.is_dir():
            shelf.mkdir(exist_ok=True)
            sync_folder(self.folder)

    def _link(self, pointer: Pointer, wanted: Path) -> bool:
        """Give bytes that are here a second name. False if they are not here."""
        other = self._any_file_of(pointer.sha256)
        if other is None or other.stat().st_size != pointer.size:
            return False
        temporary = self._incoming / uuid.uuid4().hex
        self._incoming.mkdir(exist_ok=True)
        try:
            os.link(other, temporary)
        except FileNotFoundError:  # garbage collection took it this very moment
            return False
        except OSError:  # a file system without hard links
            shutil.copyfile(other, temporary)
            temporary.chmod(0o444)
        self._adopt(temporary, wanted)
        return True


def _not_writable(folder: Path, path: str) -> ReadOnlyError:
    return ReadOnlyError(
        f"{path} has no file of its own yet and {folder} cannot be written",
        hint="read it through the lake (open, read), or ask for its address with write permission once",
        path=path,
    )


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes, fewer only at the end of the stream."""
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _copy(head: bytes, stream: BinaryIO, out: BinaryIO, path: str, progress: Progress | None) -> Pointer:
    digest, size, chunk = hashlib.sha256(), 0, head
    while chunk:
        digest.update(chunk)
        out.write(chunk)
        size += len(chunk)
        if progress is not None:
            progress(path, size)
        chunk = stream.read(CHUNK)
    return Pointer(digest.hexdigest(), size)
