"""Pushed values in a small SQLite file beside the versions; the newer one stays, whoever comes first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from dfp_platform.features.interface import Rows
from dfp_platform.features.versions import Value, vector_bytes

_PATIENCE = 10.0
"""Seconds to wait for another writer."""

_MADE = """
create table if not exists pushed (
  schema_hash text, key text, event_us integer, vector blob, primary key (schema_hash, key)
) without rowid
"""

_NEWER_STAYS = """
insert into pushed values (?, ?, ?, ?) on conflict do update set event_us = excluded.event_us, vector = excluded.vector
where (excluded.event_us, excluded.vector) > (pushed.event_us, pushed.vector)
"""


class SqlitePushes:
    """What was pushed to the versions of one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pushed.db"

    def push(self, schema_hash: str, rows: Rows) -> int:
        """See `VersionStore.push`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        told = zip(rows.keys, rows.event_times.tolist(), vector_bytes(rows.matrix), strict=True)
        with self._writing() as database:
            database.execute("begin immediate")
            changes = sum(database.execute(_NEWER_STAYS, (schema_hash, *each)).rowcount for each in told)
            database.execute("commit")
        return changes

    def values(self, schema_hash: str, keys: Sequence[str]) -> list[Value | None]:
        """What was pushed for `keys`, in their order."""
        if not self.path.exists():
            return [None] * len(keys)
        found: dict[str, Value] = {}
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as database:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                statement = f"select key, event_us, vector from pushed where schema_hash = ? and key in ({marks})"
                found |= {key: (at, vector) for key, at, vector in database.execute(statement, (schema_hash, *part))}
        return [found.get(key) for key in keys]

    def times(self) -> Mapping[str, Mapping[str, int]]:
        """See `VersionStore.pushed`."""
        if not self.path.exists():
            return {}
        told: dict[str, dict[str, int]] = {}
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as database:
            for schema_hash, key, at in database.execute("select schema_hash, key, event_us from pushed"):
                told.setdefault(schema_hash, {})[key] = at
        return told

    def drop(self, schema_hash: str, seen: Mapping[str, int]) -> None:
        """See `VersionStore.drop_pushed`."""
        if not seen or not self.path.exists():
            return
        gone = ((schema_hash, key, at) for key, at in seen.items())
        with self._writing() as database:
            database.execute("begin immediate")
            database.executemany("delete from pushed where schema_hash = ? and key = ? and event_us <= ?", gone)
            database.execute("commit")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=_PATIENCE)) as database:
            database.execute("pragma journal_mode = wal")
            database.execute(_MADE)
            yield database
