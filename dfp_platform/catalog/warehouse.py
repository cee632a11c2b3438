"""The files that lie in a lake's warehouse, whoever names them: on a disk or in an object store."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from pyarrow import fs
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO

from dfp_platform.catalog.lake_catalog import open_catalog
from dfp_platform.catalog.moved import address_of
from dfp_platform.errors import CorruptLakeError
from dfp_platform.lake.interface import Lake

_ASIDE = ".swept-"

_TRIAL = ".trial-"
"""What a trial leaves if it is killed; garbage collection takes it as it takes any file that nothing names."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it lies there: its place (see `place_of`), bytes, and when it was written, in seconds since 1970."""

    place: str
    size: int
    written: float


def place_of(location: str, io: FileIO) -> str:
    """Where a location lies: one spelling for ``/a/b``, ``file:///a/b``, links and former places of a moved lake.

    An absolute real path, or ``scheme://bucket/key``.
    """
    path = address_of(location, io)
    if "://" in path:
        return path
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(os.path.normpath(path))
    return os.path.join(_real_folder(folder), name)


_STORE_S = 1.0
"""Object stores tell whole seconds: a file may be so much younger than they say."""


class Warehouse:
    """Lists and removes files beneath `Lake.warehouse`."""

    def __init__(self, lake: Lake) -> None:
        self._io = open_catalog(lake)._load_file_io(location=lake.warehouse)
        root = place_of(lake.warehouse, self._io)
        self._scheme, _, path = root.partition("://") if "://" in root else ("", "", root)
        self._root = path

    def files(self) -> Iterator[StoredFile]:
        """Every file there is, links aside: what lies behind one is not the warehouse's."""
        if not self._scheme:
            yield from _files_in(self._root)
            return
        selector = fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        for found in self._store.get_file_info(selector):
            if found.type == fs.FileType.File:
                written = (found.mtime_ns or 0) / 1e9 + _STORE_S
                yield StoredFile(f"{self._scheme}://{found.path}", found.size, written)

    def try_out(self) -> None:
        """Write a small file, read it back, and remove it.

        Raises:
            OSError: the folder or store refuses one of these. CorruptLakeError: it gave back other bytes.
        """
        store = self._store if self._scheme else fs.LocalFileSystem()
        place, content = f"{self._root}/{_TRIAL}{secrets.token_hex(8)}", secrets.token_bytes(64)
        if not self._scheme:
            Path(self._root).mkdir(parents=True, exist_ok=True)
        try:
            with store.open_output_stream(place) as stream:
                stream.write(content)
            with store.open_input_file(place) as stream:
                found = stream.read()
        finally:
            if store.get_file_info(place).type == fs.FileType.File:
                store.delete_file(place)
        if found != content:
            raise CorruptLakeError(
                f"{self._root} gave back other bytes than were written", hint="look at its disk or store", path=place
            )

    def restore_aside(self) -> None:
        """Put back what a garbage collection that was killed left aside."""
        for file in () if self._scheme else Path(self._root).rglob(f"{_ASIDE}*"):
            with suppress(FileNotFoundError):  # another was quicker
                os.rename(file, file.with_name(file.name.removeprefix(_ASIDE)))

    def remove(self, files: Sequence[StoredFile], *, older_than: float) -> list[StoredFile]:
        """Remove these, but for those written (or renewed) since `older_than`; return what was removed."""
        return [file for file in files if self._remove(file, older_than)]

    def remove_empty_folders(self, *, older_than: float) -> None:
        """Remove folders in which nothing lies and nothing changed since `older_than`. Object stores have none."""
        if self._scheme:
            return
        for folder, _, _ in os.walk(self._root, topdown=False):
            if folder != self._root and Path(folder).stat().st_mtime < older_than:
                with suppress(OSError):  # not empty, or gone
                    os.rmdir(folder)

    @cached_property
    def _store(self) -> fs.FileSystem:
        if isinstance(self._io, PyArrowFileIO):
            return self._io.fs_by_scheme(self._scheme, self._root.partition("/")[0])
        return fs.FileSystem.from_uri(f"{self._scheme}://{self._root}")[0]

    def _remove(self, file: StoredFile, older_than: float) -> bool:
        if self._scheme:
            self._store.delete_file(file.place.partition("://")[2])
            return True
        path = Path(file.place)
        aside = path.with_name(f"{_ASIDE}{path.name}")
        try:
            os.rename(path, aside)  # from where no writer finds it, its age is certain
        except FileNotFoundError:
            return False
        if aside.stat().st_mtime < older_than:
            aside.unlink()
            return True
        os.rename(aside, path)
        return False


def _files_in(folder: str) -> Iterator[StoredFile]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:  # an empty folder that another sweep removed
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_in(entry.path)
        elif entry.is_file(follow_symlinks=False):
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                yield StoredFile(entry.path, status.st_size, status.st_mtime)


@lru_cache(maxsize=10_000)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)
