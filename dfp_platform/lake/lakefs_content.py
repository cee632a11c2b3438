"""What a commit puts into lakeFS, measured before it is sent, and what is read out of it, piece by piece."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.lake.interface import Content
from dfp_platform.lake.lakefs_repository import Repository
from dfp_platform.lake.objects import CHUNK, Progress
from dfp_platform.schemas import ObjectStat

SHA256 = "dfp-sha256"
"""Key of an object's own metadata under which its digest is kept."""

_IN_MEMORY = 8 << 20
"""Bytes of a stream that cannot seek which are kept in memory before they go to a temporary file."""

_READ_AHEAD = 4 << 20
"""Bytes of one ranged request; an object of up to as many is fetched at once."""

Locate = Callable[[ObjectStat], tuple[str, str] | None]
"""Where the repository holds a content: commit and path."""


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes that shall stand at a path: either to be uploaded from `content`, or held by the repository at `held`."""

    sha256: str
    size: int
    content: Callable[[], AbstractContextManager[BinaryIO]] | None = None
    held: tuple[str, str] | None = None


Wanted = Mapping[str, Source | None]
"""By path what shall stand there; None: nothing."""


@contextmanager
def measured(changes: Mapping[str, Content], locate: Locate, progress: Progress | None) -> Iterator[Wanted]:
    """The changes with size and digest. Streams are left where they were, if they can seek.

    Raises NotFoundError: a file that is not there, or an ObjectStat whose content the repository does not hold.
    """
    with ExitStack() as stack:
        yield {path: _measured(path, content, locate, progress, stack) for path, content in changes.items()}


def _measured(
    path: str, content: Content, locate: Locate, progress: Progress | None, stack: ExitStack
) -> Source | None:
    if content is None:
        return None
    if isinstance(content, ObjectStat):
        return Source(content.sha256, content.size, held=_held(path, content, locate))
    if isinstance(content, bytes | bytearray | memoryview):
        data = bytes(content)
        return Source(hashlib.sha256(data).hexdigest(), len(data), content=lambda: io.BytesIO(data))
    if isinstance(content, Path):
        try:
            return _from_stream(path, partial(content.open, "rb"), progress)
        except FileNotFoundError as error:
            raise NotFoundError(f"no file {content} to commit at {path}", path=path, file=str(content)) from error
    if not hasattr(content, "read"):
        raise TypeError(f"{path}: a commit takes bytes, Path, a binary stream, ObjectStat or None: {content!r}")
    if not getattr(content, "seekable", bool)():
        content = stack.enter_context(_spooled(content))
    start = content.tell()
    stack.callback(content.seek, start)
    return _from_stream(path, partial(_from, content, start), progress)


@contextmanager
def _from(stream: BinaryIO, start: int) -> Iterator[BinaryIO]:
    stream.seek(start)
    yield stream


def _held(path: str, stat: ObjectStat, locate: Locate) -> tuple[str, str]:
    found = locate(stat)
    if found is None:
        raise NotFoundError(
            f"the lake holds no object with the content of {stat.path} (sha256 {stat.sha256})",
            hint="commit its bytes instead of its ObjectStat",
            path=path,
            sha256=stat.sha256,
        )
    return found


def _from_stream(
    path: str, content: Callable[[], AbstractContextManager[BinaryIO]], progress: Progress | None
) -> Source:
    digest, size = hashlib.sha256(), 0
    with content() as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    sha256 = digest.hexdigest()

    @contextmanager
    def checked() -> Iterator[BinaryIO]:
        with content() as stream:
            reader = _Checked(stream, path, sha256, size, progress)
            yield cast(BinaryIO, reader)
            reader.refuse_if_changed()

    return Source(sha256, size, content=checked)


@contextmanager
def _spooled(stream: BinaryIO) -> Iterator[BinaryIO]:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
        while chunk := stream.read(CHUNK):
            kept.write(chunk)
        kept.seek(0)
        yield cast(BinaryIO, kept)


class _Checked:
    """Hands `size` bytes on and notices if they are not the ones that were measured."""

    def __init__(self, stream: BinaryIO, path: str, sha256: str, size: int, progress: Progress | None) -> None:
        self._stream, self._path, self._sha256, self._left = stream, path, sha256, size
        self._digest, self._size, self._progress = hashlib.sha256(), size, progress

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(chunk)
        self._digest.update(chunk)
        if not chunk and self._left:
            self.refuse_if_changed()
        if self._progress is not None and chunk:
            self._progress(self._path, self._size - self._left)
        return chunk

    def refuse_if_changed(self) -> None:
        """Raises InputError: what was sent is not what was measured before."""
        if self._digest.hexdigest() != self._sha256:
            raise InputError(
                f"the content for {self._path} changed while it was read",
                hint="commit it when nobody writes to it any more",
                file=self._path,
            )


class ObjectStream(io.RawIOBase):
    """A seekable stream over one object at one commit; each read is one ranged request."""

    def __init__(self, repository: Repository, commit: str, path: str, size: int) -> None:
        self._place = (commit, path)
        self._repository, self._size, self._at = repository, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readall(self) -> bytes:
        left = self._size - self._at
        data = self._repository.read(*self._place, start=self._at, size=left) if left > 0 else b""
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._size - self._at)
        if size <= 0:
            return 0
        data = self._repository.read(*self._place, start=self._at, size=size)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def opened(repository: Repository, commit: str, path: str, size: int) -> BinaryIO:
    """A seekable stream of one object: a small one is fetched at once."""
    if size <= _READ_AHEAD:
        return io.BytesIO(repository.read(commit, path) if size else b"")
    stream = ObjectStream(repository, commit, path, size)
    return cast(BinaryIO, io.BufferedReader(stream, buffer_size=_READ_AHEAD))


def digest_of(repository: Repository, commit: str, path: str, size: int) -> str:
    """SHA-256 of an object's bytes as they lie in the store."""
    digest = hashlib.sha256()
    with opened(repository, commit, path, size) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
