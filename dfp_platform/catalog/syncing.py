"""A lake's history with its tables, brought into another lake: of a folder or of a server, to either."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pyiceberg.io import FileIO, load_file_io

from dfp_platform.catalog.lake_catalog import open_catalog
from dfp_platform.catalog.moved import files_root, io_properties
from dfp_platform.catalog.reached import ReachedFiles
from dfp_platform.catalog.warehouse import place_of
from dfp_platform.errors import CorruptLakeError
from dfp_platform.lake.durable import sync_file, sync_folder
from dfp_platform.lake.interface import Lake
from dfp_platform.lake.retention import kept_commits
from dfp_platform.lake.sweeper import SweepProgress
from dfp_platform.lake.sync import Synced, sync_history

_AT_ONCE = 8
_BATCH = 64
_CHUNK = 1 << 20


class _Copy(NamedTuple):
    """A table file: its address, who reads and writes it, where it lies (see `place_of`) and where its copy shall."""

    location: str
    source: FileIO
    target: FileIO
    origin: str
    place: str


def sync_lakes(source: Lake, target: Lake, *, progress: SweepProgress | None = None) -> Synced:
    """Bring branches, tags, history and table files of `source` into `target`; see `sync_history`.

    Tables name the files of the lake they were written in. The target keeps copies and reads them in their stead, as
    after `relocate`: through dfp, not by engines that follow addresses themselves. Files that lie in neither lake
    (imported tables) stay where they are. What was brought before an interruption is not brought again.

    Raises:
        CorruptLakeError: a table of the source cannot be followed; nothing was brought.
    """
    with target.lease(f"sync from {source.uri}"):
        _bring_files(source, target, progress)
        return sync_history(source, target, progress=progress)


def _bring_files(source: Lake, target: Lake, progress: SweepProgress | None) -> None:
    """Table files before the pointers that lead to them."""
    roots = [files_root(source), *source.moved_files()]
    moved = {**target.moved_files(), **{root: target.copies_place(root) for root in roots}}
    moved.pop(files_root(target), None)
    copies, done = _copies(source, target, moved), 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while batch := list(islice(copies, _BATCH)):
            done += sum(pool.map(_copied, batch))
            if progress is not None:
                progress("bringing table files", done, 0)
    if done:
        target.remember_copies([root for root in moved if root in roots])


def _copies(source: Lake, target: Lake, moved: dict[str, str]) -> Iterator[_Copy]:
    properties = {**open_catalog(target).properties, **io_properties(target, moved)}
    ios: dict[str, FileIO] = {}
    for file in ReachedFiles(source, broken=_refuse).of(kept_commits(source)):
        kind = file.location.partition("://")[0] if "://" in file.location else ""
        io = ios[kind] = ios.get(kind) or load_file_io(properties, file.location)
        origin, place = place_of(file.location, file.io), place_of(file.location, io)
        if origin != place:
            yield _Copy(file.location, file.io, io, origin, place)


def _copied(copy: _Copy) -> bool:
    """Bring one file, if it is not there; whether it is there now."""
    found = copy.source.new_input(copy.location)
    if not found.exists():
        return False  # a former metadata file, or damage that `dfp lake verify` names in both lakes
    if "://" not in copy.place:
        _copy_to_disk(copy, Path(copy.place))
        return True
    wanted = copy.target.new_output(copy.location)
    if not wanted.exists() or len(wanted) != len(found):
        with found.open(seekable=False) as stream, wanted.create(overwrite=True) as written:
            shutil.copyfileobj(stream, written, _CHUNK)
    return True


def _copy_to_disk(copy: _Copy, wanted: Path) -> None:
    if wanted.exists():
        os.utime(wanted)  # young again, as after any write
        return
    wanted.parent.mkdir(parents=True, exist_ok=True)
    young = wanted.with_name(f".{uuid.uuid4().hex}")
    try:
        with copy.source.new_input(copy.location).open(seekable=False) as stream, young.open("wb") as written:
            shutil.copyfileobj(stream, written, _CHUNK)
            written.flush()
            sync_file(written.fileno())
        if "://" not in copy.origin:
            shutil.copymode(copy.origin, young)
        os.replace(young, wanted)
    finally:
        young.unlink(missing_ok=True)
    sync_folder(wanted.parent)


def _refuse(what: str) -> None:
    raise CorruptLakeError(f"nothing is brought: {what}", hint="`dfp lake verify` lists what is broken")
