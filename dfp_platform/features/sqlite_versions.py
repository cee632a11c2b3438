"""Online versions as SQLite files in Feast's own layout: one immutable file each, complete before it has its name."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import CorruptLakeError, DiskFullError, NotFoundError
from dfp_platform.features.interface import Current, Materialized, Rows
from dfp_platform.features.layout import TABLE, entity_key, value_head
from dfp_platform.features.pointer import (
    alone,
    appearing,
    checked_version,
    pointed_branches,
    read_pointer,
    write_pointer,
)
from dfp_platform.features.sqlite_pushes import SqlitePushes
from dfp_platform.features.versions import Base, Value, VersionReader, WrittenRows, batches, vector_bytes
from dfp_platform.lake.trouble import told_clearly

if TYPE_CHECKING:
    import pyarrow as pa

READ_ONLY = 0o444
"""A version is immutable: a stray `FeatureStore.materialize` on an opened store fails instead of changing it."""

_ABOUT = "dfp_version"
_ASKED = 500
"""Keys in one statement."""


class SqliteVersions:
    """`VersionStore` in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pushes = SqlitePushes(folder)

    def path(self, version: str) -> Path:
        """Where a version of that name lies, whether it is there or not. Raises InvalidNameError."""
        return self.folder / f"{checked_version(version)}.db"

    def find(self, version: str) -> Materialized | None:
        """See `VersionStore.find`."""
        path = self.path(version)
        told = _about(path) if path.is_file() else {}
        if "names" not in told:  # a file of before 2026-11-26: another view, and no index; it is made again
            return None
        return Materialized(
            version=path.stem,
            rows=told["rows"],
            names=tuple(json.loads(told["names"])),
            schema_hash=told["schema_hash"],
            commit=told["commit"],
            bytes=path.stat().st_size,
            written=told["written"],
            changed=told["changed"],
        )

    def versions(self) -> list[Materialized]:
        """See `VersionStore.versions`."""
        found = (self.find(path.stem) for path in self.folder.glob("*.db") if path != self.pushes.path)
        return sorted((each for each in found if each), key=lambda each: each.written)

    def write(
        self, about: Materialized, rows: Rows, index: pa.Table, *, base: Base | None, wrote: WrittenRows
    ) -> Materialized:
        """See `VersionStore.write`."""
        target = self.path(about.version)
        with told_clearly(target), _full_disk(target), appearing(target, mode=READ_ONLY) as part:
            if base is not None:
                _copy(self.path(base.version.version), part)
            with closing(sqlite3.connect(part, isolation_level=None)) as database:
                database.executescript("pragma journal_mode = off; pragma synchronous = off")
                _make_table(database)
                database.execute("begin")
                gone = ((entity_key(key),) for key in (base.gone if base else ()))
                database.executemany(f'delete from "{TABLE}" where entity_key = ?', gone)
                for batch in batches(rows):
                    database.executemany(_INSERT, _table_rows(batch))
                    wrote(len(batch.keys))
                _describe(database, about, index)
                database.execute("commit")
            size = part.stat().st_size
        return replace(about, bytes=size)

    def index(self, version: Materialized) -> pa.Table | None:
        """See `VersionStore.index`."""
        import pyarrow.ipc

        told = _about(self.path(version.version)).get("row_index")
        return None if told is None else pyarrow.ipc.open_stream(told).read_all()

    def values(self, version: Materialized, keys: Sequence[str]) -> list[Value]:
        """See `VersionStore.values`."""
        with closing(connected(self.path(version.version))) as database:
            return [value for value in stored_values(database, keys, len(version.names)) if value is not None]

    def pointers(self) -> Mapping[str, Current]:
        """See `VersionStore.pointers`."""
        found = {branch: self.pointer(branch) for branch in pointed_branches(self.folder)}
        return {branch: now for branch, now in found.items() if now is not None}

    def pointer(self, branch: str) -> Current | None:
        """See `VersionStore.pointer`."""
        return read_pointer(self.folder, branch)

    def point(self, branch: str, decide: Callable[[Current | None], Current | None]) -> Current | None:
        """See `VersionStore.point`."""
        with told_clearly(self.folder), alone(self.folder):
            before = self.pointer(branch)
            after = decide(before)
            if after is not None:
                if not self.path(after.version).is_file():  # removed since it was looked for
                    raise NotFoundError(
                        f"no online version {after.version!r}", hint="materialize it first", version=after.version
                    )
                write_pointer(self.folder, branch, after)
            return after or before

    def reader(self, branch: str, version: str | None) -> VersionReader:
        """See `VersionStore.reader`."""
        from dfp_platform.features.sqlite_reading import SqliteReader

        return SqliteReader(self, branch, version)

    def push(self, schema_hash: str, rows: Rows) -> int:
        """See `VersionStore.push`."""
        with told_clearly(self.folder), _full_disk(self.folder):
            return self.pushes.push(schema_hash, rows)

    def pushed(self) -> Mapping[str, Mapping[str, int]]:
        """See `VersionStore.pushed`."""
        return self.pushes.times()

    def drop_pushed(self, schema_hash: str, seen: Mapping[str, int]) -> None:
        """See `VersionStore.drop_pushed`."""
        self.pushes.drop(schema_hash, seen)

    def remove(self, *, before: datetime, keep: frozenset[str]) -> list[str]:
        """See `VersionStore.remove`. What was pointed to since `keep` was made stays too."""
        gone = []
        with alone(self.folder):
            pointed = {name for now in self.pointers().values() for name in now.named}
            for path in sorted([*self.folder.glob("*.db"), *self.folder.glob(".*.part*")]):
                written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if path != self.pushes.path and path.stem not in keep | pointed and written < before:
                    path.unlink(missing_ok=True)
                    gone += [path.stem] if path.suffix == ".db" else []
        return gone

    def close(self) -> None:
        """See `VersionStore.close`."""


def connected(path: Path) -> sqlite3.Connection:
    """A version's file, for reading only, from any thread that takes care that it is one at a time."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)


def stored_values(database: sqlite3.Connection, keys: Sequence[str], width: int) -> list[Value | None]:
    """Values of `keys` in a version's file, in their order."""
    head, found = len(value_head(width)), {}
    asked = [entity_key(key) for key in keys]
    for start in range(0, len(asked), _ASKED):
        part = asked[start : start + _ASKED]
        marks = ",".join("?" * len(part))
        statement = f'select entity_key, event_us, value from "{TABLE}" where entity_key in ({marks})'
        found |= {key: (at, value[head:]) for key, at, value in database.execute(statement, part)}
    return [found.get(key) for key in asked]


def _copy(base: Path, part: Path) -> None:
    try:
        shutil.copyfile(base, part)
    except FileNotFoundError as error:
        raise NotFoundError(f"{base} is gone", hint="materialize without --incremental", path=str(base)) from error


def _make_table(database: sqlite3.Connection) -> None:
    """Feast's table and index, and beside its columns the exact event time: Feast's are whole seconds."""
    database.execute(
        f'create table if not exists "{TABLE}" (entity_key BLOB, feature_name TEXT, value BLOB, value_text TEXT, '
        "vector_value BLOB, event_ts timestamp, created_ts timestamp, event_us integer, "
        "PRIMARY KEY(entity_key, feature_name))"
    )
    database.execute(f'create index if not exists "{TABLE}_ek" on "{TABLE}" (entity_key)')
    database.execute(f"create table if not exists {_ABOUT} (name text primary key, value blob)")


_INSERT = (
    f'insert or replace into "{TABLE}" (entity_key, feature_name, value, event_ts, event_us) '
    "values (?, 'vector', ?, ?, ?)"
)


def _table_rows(batch: Rows) -> Iterator[tuple[bytes, bytes, int, int]]:
    head = value_head(batch.matrix.shape[1])
    for key, at, vector in zip(batch.keys, batch.event_times.tolist(), vector_bytes(batch.matrix), strict=True):
        yield entity_key(key), head + vector, feast_seconds(at), at


def feast_seconds(event_us: int) -> int:
    """An event time as Feast writes it to SQLite: the time in UTC, taken for local time, as whole seconds."""
    moment = datetime.fromtimestamp(event_us / 1e6, UTC).replace(tzinfo=None)
    return int(moment.timestamp())


def _describe(database: sqlite3.Connection, about: Materialized, index: pa.Table) -> None:
    """Put what the version is into its file: the file can be read by itself."""
    import pyarrow as pa

    with pa.BufferOutputStream() as told:
        with pa.ipc.new_stream(told, index.schema) as stream:
            stream.write_table(index)
        listed = told.getvalue().to_pybytes()
    said = {**asdict(about), "names": json.dumps(about.names), "row_index": listed}
    said.pop("bytes")
    database.executemany(f"insert or replace into {_ABOUT} values (?, ?)", said.items())


def _about(file: Path) -> dict[str, Any]:
    """What a version's file says of itself; nothing if it is no version. Raises CorruptLakeError."""
    try:
        with closing(connected(file)) as database:
            return dict(database.execute(f"select name, value from {_ABOUT}"))
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            return {}
        raise CorruptLakeError(
            f"{file} is no online version: {error}",
            hint="remove it; `dfp features materialize` makes it again",
            path=str(file),
            expected="an SQLite file",
            actual=str(error),
        ) from error


@contextmanager
def _full_disk(place: Path) -> Iterator[None]:
    """SQLite's own words for a disk that takes no more."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
            raise DiskFullError(
                f"there is no room left for {place}: {error}",
                hint="make room (`dfp features prune` removes old versions), then do it again: nothing was changed",
                place=str(place),
            ) from error
        raise
