"""Table files reach the disk before a branch names them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.serializers import ToOutputFile
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot


def write_metadata(metadata: TableMetadata, io: FileIO, location: str) -> None:
    """Write a metadata file so that it is there whole or not at all, and stays after a power cut."""
    path = local_path(location, io)
    if path is None:
        ToOutputFile.table_metadata(metadata, io.new_output(location))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    young = path.with_name(f".{path.name}")
    ToOutputFile.table_metadata(metadata, io.new_output(str(young)))
    _sync(young)
    os.replace(young, path)
    _sync_folders([path])


def sync_snapshots(snapshots: Iterable[Snapshot], io: FileIO) -> None:
    """Make every file that these snapshots brought durable, and young, so that garbage collection leaves it alone.

    What an object store acknowledged, it keeps. A data file outside the lake is the writer's affair, even one that is
    not there. Raises FileNotFoundError: one of the lake's own is gone.
    """
    paths = [path for snapshot in snapshots for path in _brought_by(snapshot, io)]
    local = [found for found in (local_path(path, io) for path in paths) if found is not None]
    there = [path for path in local if _is_the_lakes(path, io) or path.exists()]
    for path in there:
        with suppress(PermissionError):  # a file of somebody else, which is not ours to collect either
            os.utime(path)
        _sync(path)
    _sync_folders(there)


def local_path(location: str, io: FileIO) -> Path | None:
    """Where `io` finds a location on this machine; None if it lies in an object store."""
    parse = io.parse_location if isinstance(io, PyArrowFileIO) else PyArrowFileIO.parse_location
    scheme, _, path = parse(location, io.properties)
    return Path(path) if scheme == "file" else None


def _brought_by(snapshot: Snapshot, io: FileIO) -> Iterable[str]:
    yield snapshot.manifest_list
    for manifest in snapshot.manifests(io):
        if manifest.added_snapshot_id == snapshot.snapshot_id:
            yield manifest.manifest_path
            if manifest.has_added_files():
                for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                    if entry.snapshot_id == snapshot.snapshot_id:
                        yield entry.data_file.file_path


def _is_the_lakes(path: Path, io: FileIO) -> bool:
    """Whether a path lies in the folder of the lake that `io` was made for."""
    lake = io.properties.get("lake", "")
    return lake.startswith("/") and path.is_relative_to(lake)


def _sync_folders(paths: Iterable[Path]) -> None:
    """The names too: of the file in its folder, and of folders that may have been made for it."""
    for folder in {ancestor for path in paths for ancestor in list(path.parents)[:4]}:
        with suppress(PermissionError):  # a folder above the lake that is not ours has its name on disk already
            _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
