"""Every file that the tables (and views) of a commit are made of: metadata, manifest lists, manifests, data, deletes.

Metadata is read as plain JSON and manifests by the few fields needed, so that a table of any format version, written by
any engine, is followed whole. What cannot be followed is told to the caller, never passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pyiceberg.avro.file import AvroFile
from pyiceberg.io import FileIO
from pyiceberg.serializers import Compressor
from pyiceberg.types import StructType

from dfp_platform.catalog.lake_catalog import open_catalog
from dfp_platform.catalog.names import TABLES, is_namespace
from dfp_platform.lake.interface import Lake
from dfp_platform.schemas import Commit, CommitId, ObjectStat

Kind = Literal["metadata", "former metadata", "manifest list", "manifest", "data", "deletes", "statistics"]

Broken = Callable[[str], None]
"""Called with a sentence for each file that should be followed and cannot be read."""

_DELETED = 2
"""Status of a manifest entry whose file is not part of the snapshot any more."""

_STATUS, _FILE = 0, 2
_CONTENT, _PATH, _FORMAT, _SIZE = 134, 100, 101, 104
_MANIFEST_PATH, _MANIFEST_LENGTH = 500, 501
"""Field ids that the Iceberg specification gives to what is read here of manifests and of their lists."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a table.

    Attributes:
        location: its address, as the table names it.
        kind: what it is; `former metadata` may be gone without harm to any snapshot.
        owner: the pointer by which it was found, and its commit.
        size: bytes that it should have; None where nobody says.
        format: ``parquet``, ``avro``, …, in lower case, for data and deletes.
        io: what reads it.
    """

    location: str
    kind: Kind
    owner: str
    size: int | None
    format: str
    io: FileIO


class ReachedFiles:
    """Follows tables from pointers down; each file is told once, however many commits and snapshots share it (a
    metadata file once more where a later one names it)."""

    def __init__(self, lake: Lake, *, broken: Broken) -> None:
        self._lake = lake
        self._catalog = open_catalog(lake)
        self._broken = broken
        self._commits: set[CommitId] = set()
        self._pointers: set[str] = set()
        self._told: set[str] = set()
        self._ios: dict[tuple[tuple[str, str], ...], FileIO] = {}

    def of(self, commits: Mapping[CommitId, Commit]) -> Iterator[TableFile]:
        """The files of these commits that no earlier call has told. In a history only what changed is looked at."""
        fresh = {commit: record for commit, record in commits.items() if commit not in self._commits}
        self._commits |= fresh.keys()
        for commit, record in fresh.items():
            for stat in self._pointers_of(commit, record):
                if stat.sha256 not in self._pointers:
                    self._pointers.add(stat.sha256)
                    yield from self._of_pointer(commit, stat.path)

    def _pointers_of(self, commit: CommitId, record: Commit) -> Iterator[ObjectStat]:
        if record.parents and record.parents[0] in self._commits:
            changed = (difference.after for difference in self._lake.diff(record.parents[0], commit, TABLES))
            found = (stat for stat in changed if stat is not None)
        else:
            found = self._lake.list(commit, TABLES)
        return (stat for stat in found if not is_namespace(stat.path))

    def _of_pointer(self, commit: CommitId, path: str) -> Iterator[TableFile]:
        owner = f"{path} at {commit[:12]}"
        try:
            location = json.loads(self._lake.read(commit, path))["metadata_location"]
        except (ValueError, KeyError, TypeError):
            return self._broken(f"{owner} names no metadata file, so nobody knows which files it needs")
        yield from self._of_metadata(location, owner)

    def _of_metadata(self, location: str, owner: str) -> Iterator[TableFile]:
        io = self._io({}, location)
        if not self._first(location):
            return
        yield TableFile(location, "metadata", owner, None, "json", io)
        try:
            with io.new_input(location).open() as stream:
                metadata = json.loads(Compressor.get_compressor(location).stream_decompressor(stream).read())
        except (OSError, ValueError) as error:
            return self._broken(f"{owner}: metadata file {location} cannot be read: {error}")
        io = self._io(metadata.get("properties", {}), location)
        for kind, named in _named_by(metadata):
            # naming a former metadata file is not following it: another commit may need all that it leads to
            if self._first(f"former {named}" if kind == "former metadata" else named):
                yield TableFile(named, kind, owner, None, "", io)
                if kind == "manifest list":
                    yield from self._of_manifest_list(named, owner, io)
                elif kind == "manifest":
                    yield from self._of_manifest(named, owner, io)

    def _of_manifest_list(self, location: str, owner: str, io: FileIO) -> Iterator[TableFile]:
        for manifest in self._records(location, "manifest list", owner, io):
            path = manifest[_MANIFEST_PATH]
            if self._first(path):
                yield TableFile(path, "manifest", owner, manifest[_MANIFEST_LENGTH], "avro", io)
                yield from self._of_manifest(path, owner, io)

    def _of_manifest(self, location: str, owner: str, io: FileIO) -> Iterator[TableFile]:
        for entry in self._records(location, "manifest", owner, io):
            file = entry[_FILE]
            if entry[_STATUS] != _DELETED and self._first(file[_PATH]):
                kind = "deletes" if file.get(_CONTENT) else "data"
                yield TableFile(file[_PATH], kind, owner, file[_SIZE], str(file[_FORMAT]).lower(), io)

    def _records(self, location: str, kind: str, owner: str, io: FileIO) -> list[dict[int, Any]]:
        """The records of an Avro file by field id, two levels deep."""
        try:
            with AvroFile(io.new_input(location)) as records:
                return [_by_field_id(record, records.schema.as_struct()) for record in records]
        except Exception as error:  # whatever a damaged Avro file makes its reader raise
            self._broken(f"{owner}: {kind} {location} cannot be read: {error}")
            return []

    def _first(self, location: str) -> bool:
        if location in self._told:
            return False
        self._told.add(location)
        return True

    def _io(self, properties: Mapping[str, str], location: str) -> FileIO:
        """One for all tables, unless a table says by itself how its files are reached."""
        own = {key: value for key, value in properties.items() if key.startswith(("s3.", "gcs.", "adls."))}
        key = (("scheme", location.partition("://")[0]), *sorted(own.items()))
        if key not in self._ios:
            self._ios[key] = self._catalog._load_file_io(own, location)
        return self._ios[key]


def _by_field_id(record: Any, form: StructType, *, deep: bool = True) -> dict[int, Any]:
    found = {}
    for field, value in zip(form.fields, record._data, strict=True):
        if deep and field.field_id == _FILE and isinstance(field.field_type, StructType):
            found[_FILE] = _by_field_id(value, field.field_type, deep=False)
        else:
            found[field.field_id] = value
    return found


def _named_by(metadata: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    """The files that a metadata file names itself. A view's names none."""
    for entry in metadata.get("metadata-log") or ():
        yield "former metadata", entry["metadata-file"]
    for snapshot in metadata.get("snapshots") or ():
        if "manifest-list" in snapshot:
            yield "manifest list", snapshot["manifest-list"]
        for manifest in snapshot.get("manifests") or ():  # format v1 may do without a list
            yield "manifest", manifest
    for kind in ("statistics", "partition-statistics"):
        for statistics in metadata.get(kind) or ():
            yield "statistics", statistics["statistics-path"]
