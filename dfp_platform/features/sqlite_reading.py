"""Reads of versions in SQLite files: a file is opened once a thread, the pointer is looked at before each read."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfp_platform.errors import NotFoundError
from dfp_platform.features.interface import Materialized
from dfp_platform.features.pointer import pointer_path
from dfp_platform.features.versions import Fetched

if TYPE_CHECKING:
    from dfp_platform.features.sqlite_versions import SqliteVersions


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a pointer file said when it looked like this."""

    mark: tuple[int, int, int]
    version: Materialized
    commit: str


class SqliteReader:
    """`VersionReader` of files."""

    def __init__(self, store: SqliteVersions, branch: str, version: str | None) -> None:
        self._store = store
        self._branch = branch
        self._pinned = version
        self._seen: _Seen | None = None
        self._own = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def about(self) -> tuple[Materialized, str]:
        """See `VersionReader.about`."""
        seen = self._look()
        return seen.version, seen.commit

    def fetch(self, keys: Sequence[str]) -> Fetched:
        """See `VersionReader.fetch`."""
        from dfp_platform.features.sqlite_versions import stored_values

        seen = self._look()
        stored = stored_values(self._connection(seen.version), keys, len(seen.version.names))
        pinned = self._pinned is not None
        pushed = [None] * len(keys) if pinned else self._store.pushes.values(seen.version.schema_hash, keys)
        return Fetched(seen.version, seen.commit, stored, pushed)

    def close(self) -> None:
        """See `VersionReader.close`."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._own = threading.local()

    def _look(self) -> _Seen:
        """What is to be read now; the pointer is read again only where its file is another one."""
        seen = self._seen
        mark = self._mark()
        if seen is None or seen.mark != mark:
            self._seen = seen = self._opened(mark)
        return seen

    def _mark(self) -> tuple[int, int, int]:
        if self._pinned is not None:
            return (0, 0, 0)
        try:
            told = pointer_path(self._store.folder, self._branch).stat()
        except FileNotFoundError:
            return (0, 0, 0)
        return told.st_ino, told.st_mtime_ns, told.st_size

    def _opened(self, mark: tuple[int, int, int]) -> _Seen:
        now = self._store.pointer(self._branch)
        if self._pinned is None and now is None:
            raise NotFoundError(
                f"nothing is served on {self._branch} yet",
                hint="publish a run, or `dfp features materialize`",
                folder=str(self._store.folder),
            )
        name = self._pinned or (now.version if now else "")
        found = self._store.find(name)
        if found is None:
            there = ", ".join(each.version for each in self._store.versions()) or "none"
            raise NotFoundError(
                f"no online version {name!r} in {self._store.folder}",
                hint=f"materialize it first; there is: {there}",
                version=name,
            )
        commit = now.commit if now is not None and now.version == name else found.commit
        return _Seen(mark, found, commit)

    def _connection(self, version: Materialized) -> sqlite3.Connection:
        """This thread's connection to the version's file."""
        from dfp_platform.features.sqlite_versions import connected

        name, connection = getattr(self._own, "held", ("", None))
        if connection is None or name != version.version:
            fresh = connected(self._store.path(version.version))
            with self._lock:
                if connection is not None:
                    connection.close()
                    self._open.remove(connection)
                self._open.append(fresh)
            self._own.held = (version.version, fresh)
            connection = fresh
        return connection
