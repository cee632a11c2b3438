"""Table files reach the disk before a branch names them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pyiceberg.exceptions import ValidationException
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.serializers import Compressor
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

from dfp_platform.catalog.metadata_json import metadata_bytes


def write_metadata(metadata: TableMetadata, io: FileIO, location: str, *, beside: Iterable[Path] = ()) -> None:
    """Write a metadata file so that it is there whole or not at all, and stays after a power cut.

    Args:
        beside: files that are durable, and whose names shall be so too.
    """
    write_file(metadata_bytes(metadata), io, location, beside=beside)


def write_file(data: bytes, io: FileIO, location: str, *, beside: Iterable[Path] = ()) -> None:
    """Write a file that nobody else writes, whole or not at all; ``….gz.metadata.json`` is compressed."""
    packed = Compressor.get_compressor(location).bytes_compressor()(data)
    path = local_path(location, io)
    if path is None:
        with io.new_output(location).create() as stream:
            stream.write(packed)
        _sync_folders(beside)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    young = path.with_name(f".{path.name}")
    with io.new_output(str(young)).create() as stream:
        stream.write(packed)
    _sync(young)
    os.replace(young, path)
    _sync_folders([path, *beside])


def make_folders(location: str, io: FileIO) -> None:
    """The folders of a table that has no files yet: some engines write into them and make none (DuckDB)."""
    if (path := local_path(location, io)) is not None:
        for name in ("data", "metadata"):
            (path / name).mkdir(parents=True, exist_ok=True)


def sync_snapshots(snapshots: Iterable[Snapshot], io: FileIO, *, names: bool = True) -> list[Path]:
    """Make every file that these snapshots brought durable, and young, so that garbage collection leaves it alone.

    What an object store acknowledged, it keeps. A data file outside the lake is the writer's affair, even one that is
    not there.

    Raises:
        FileNotFoundError: one of the lake's own files is gone.
        ValidationException: a manifest of somebody else's, or the list of them, is not there.
    """
    return sync_files([path for snapshot in snapshots for path in _brought(snapshot, io)], io, names=names)


def sync_files(locations: Iterable[str], io: FileIO, *, names: bool = True) -> list[Path]:
    """Make files durable and young, as `sync_snapshots` does; those of them that lie on this machine.

    Args:
        names: their names too; not needed where `write_metadata` is told of them, or writes to the same folder.
    """
    local = [found for found in (local_path(location, io) for location in locations) if found is not None]
    there = [path for path in local if _is_the_lakes(path, io) or path.exists()]
    for path in there:
        with suppress(PermissionError):  # a file of somebody else, which is not ours to collect either
            os.utime(path)
        _sync(path)
    if names:
        _sync_folders(there)
    return there


def local_path(location: str, io: FileIO) -> Path | None:
    """Where `io` finds a location on this machine; None if it lies in an object store."""
    parse = io.parse_location if isinstance(io, PyArrowFileIO) else PyArrowFileIO.parse_location
    scheme, _, path = parse(location, io.properties)
    return Path(path) if scheme == "file" else None


def _brought(snapshot: Snapshot, io: FileIO) -> list[str]:
    try:
        return list(_brought_by(snapshot, io))
    except FileNotFoundError as error:
        path = local_path(snapshot.manifest_list, io)
        if path is not None and _is_the_lakes(path, io):
            raise
        raise ValidationException(f"a snapshot names a file that is not there: {error}") from error


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
