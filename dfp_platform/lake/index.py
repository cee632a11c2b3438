"""Which commit wrote what: an index over history in SQLite, derived from git and mended whenever it is behind."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from dfp_platform.errors import CorruptLakeError
from dfp_platform.lake.git_store import GitStore, Oid, StoredCommit
from dfp_platform.lake.objects import Pointer
from dfp_platform.lake.trees import Trees

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_NOTHING = b""
"""Stands for "no object" where a write is a removal."""

_BATCH = 200
"""Commits indexed in one SQLite transaction, so that a rebuild does not lock others out."""

_first_user: dict[str, int] = {}
"""Which process opened an index file first. One forked from it must not touch SQLite's files, and asks its memory."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS commits (seq INTEGER PRIMARY KEY, id BLOB UNIQUE NOT NULL, time INTEGER, generation INTEGER);
CREATE TABLE IF NOT EXISTS parents (child INTEGER, parent INTEGER, PRIMARY KEY (child, parent)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS writes (path TEXT, blob BLOB, seq INTEGER, PRIMARY KEY (path, blob, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS small_objects (sha256 BLOB PRIMARY KEY, blob BLOB) WITHOUT ROWID;
"""

_ANCESTRY = """
WITH RECURSIVE up (seq, time, generation, id) AS (
    SELECT seq, time, generation, id FROM commits WHERE id = :head
    UNION
    SELECT c.seq, c.time, c.generation, c.id
    FROM up JOIN parents p ON p.child = up.seq JOIN commits c ON c.seq = p.parent
    WHERE c.generation >= :floor
    ORDER BY 2 DESC, 3 DESC
)
"""


class _Handle:
    """A connection that is closed as soon as its thread or its index is gone; by itself it waits for the collector."""

    def __init__(self, path: Path | str) -> None:
        self.database = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)

    def __del__(self) -> None:
        if hasattr(self, "database"):
            self.database.close()


class ProvenanceIndex:
    """Answers from `index.db`. Losing the file loses nothing: it is built again from git.

    A commit *wrote* a path if what stands there differs from each of its parents, so a merge that only brings a path
    did not write it.
    """

    def __init__(self, path: Path, store: GitStore, trees: Trees) -> None:
        self._path = path
        self._store = store
        self._trees = trees
        self._local = threading.local()

    def writer(self, head: Oid, path: str, blob: Oid) -> Oid | None:
        """The newest commit in the history of `head` that wrote this blob at `path`."""

        def ask(database: sqlite3.Connection) -> Oid | None:
            candidates = database.execute(
                "SELECT c.id, c.generation FROM writes w JOIN commits c USING (seq) WHERE w.path = ? AND w.blob = ? "
                "AND c.generation <= (SELECT generation FROM commits WHERE id = ?) "
                "ORDER BY c.time DESC, c.generation DESC, c.id",
                (path, blob, head),
            ).fetchall()
            *newer, last = candidates or [(None, 0)]
            for oid, generation in newer:
                if self._descends(database, head, oid, generation):
                    return oid
            return last[0]  # all of the history is indexed, and what stands there was written in it

        return self._ask(head, ask)

    def history(self, head: Oid, *, path: str | None = None, limit: int | None = None) -> list[Oid]:
        """Commits in the history of `head`, newest first and children before parents; with `path` its writers."""

        def ask(database: sqlite3.Connection) -> list[Oid]:
            keep = "" if path is None else "WHERE up.seq IN (SELECT seq FROM writes WHERE path = :path)"
            rows = database.execute(
                f"{_ANCESTRY} SELECT up.id FROM up {keep} LIMIT :limit",
                {"head": head, "floor": 0, "path": path, "limit": -1 if limit is None else limit},
            )
            return [oid for (oid,) in rows]

        return self._ask(head, ask)

    def small_object(self, head: Oid, sha256: str) -> Oid | None:
        """The blob of an object that lies in git, by the digest of its bytes."""

        def ask(database: sqlite3.Connection) -> Oid | None:
            found = database.execute(
                "SELECT blob FROM small_objects WHERE sha256 = ?", (bytes.fromhex(sha256),)
            ).fetchone()
            return found[0] if found else None

        return self._ask(head, ask)

    def catch_up(self, head: Oid, *, patience_s: float = 0.05) -> None:
        """Index what is new up to `head`, unless others keep the index busy: whoever asks next will do it then."""
        try:
            database = self._database()
            database.execute(f"PRAGMA busy_timeout = {int(patience_s * 1000)}")
            self._index(database, head)
        except (sqlite3.Error, OSError, CorruptLakeError) as error:  # the commit stands, whatever becomes of its index
            logger.debug("provenance index left behind at %s: %s", head.hex(), error)

    # -- inside -------------------------------------------------------------------------------------------------

    def _ask(self, head: Oid, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        try:
            return self._answer(self._database(), head, question)
        except sqlite3.OperationalError as error:
            logger.debug("provenance index cannot be used (%s): answering from memory", error)
            return self._answer(self._in_memory(), head, question)
        except sqlite3.DatabaseError as error:
            logger.warning("provenance index %s is damaged (%s): building it again", self._path, error)
            self._forget()
            return self._answer(self._database(), head, question)

    def _answer(
        self, database: sqlite3.Connection, head: Oid, question: Callable[[sqlite3.Connection], Answer]
    ) -> Answer:
        database.execute("PRAGMA busy_timeout = 10000")
        self._index(database, head)
        return question(database)

    def _database(self) -> sqlite3.Connection:
        if _first_user.setdefault("pid", os.getpid()) != os.getpid():
            raise sqlite3.OperationalError("this process was forked from one that uses SQLite")
        if not hasattr(self._local, "handle"):
            handle = _Handle(self._path)
            handle.database.execute("PRAGMA journal_mode = WAL")
            handle.database.execute("PRAGMA synchronous = NORMAL")
            handle.database.executescript(_SCHEMA)
            self._local.handle = handle
        return self._local.handle.database

    def _in_memory(self) -> sqlite3.Connection:
        if not hasattr(self._local, "memory"):
            self._local.memory = _Handle(":memory:")
            self._local.memory.database.executescript(_SCHEMA)
        return self._local.memory.database

    def _forget(self) -> None:
        if hasattr(self._local, "handle"):
            del self._local.handle
        for name in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + name).unlink(missing_ok=True)

    def _index(self, database: sqlite3.Connection, head: Oid) -> None:
        missing = self._missing(database, head)
        for start in range(0, len(missing), _BATCH):
            database.execute("BEGIN IMMEDIATE")
            try:
                for commit in missing[start : start + _BATCH]:
                    self._index_commit(database, commit)
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def _missing(self, database: sqlite3.Connection, head: Oid) -> list[StoredCommit]:
        """Commits of the history of `head` that are not indexed, parents before children."""
        ordered: list[StoredCommit] = []
        seen: set[Oid] = set()
        stack = [(head, False)]
        while stack:
            oid, expanded = stack.pop()
            if expanded:
                ordered.append(self._store.commit(oid))
            elif oid not in seen and _seq(database, oid) is None:
                seen.add(oid)
                stack.append((oid, True))
                stack += [(parent, False) for parent in self._store.commit(oid).parents]
        return ordered

    def _index_commit(self, database: sqlite3.Connection, commit: StoredCommit) -> None:
        if _seq(database, commit.oid) is not None:
            return  # another process was quicker
        parents = [row for parent in set(commit.parents) if (row := _seq(database, parent)) is not None]
        generation = 1 + max((generation for _, generation in parents), default=0)
        seq = database.execute(
            "INSERT INTO commits (id, time, generation) VALUES (?, ?, ?)", (commit.oid, commit.time, generation)
        ).lastrowid
        database.executemany("INSERT INTO parents VALUES (?, ?)", [(seq, parent) for parent, _ in parents])
        writes = dict(self._writes(commit))
        database.executemany(
            "INSERT OR IGNORE INTO writes VALUES (?, ?, ?)",
            [(path, _NOTHING if blob is None else blob, seq) for path, blob in writes.items()],
        )
        database.executemany("INSERT OR IGNORE INTO small_objects VALUES (?, ?)", self._small_objects(writes))

    def _writes(self, commit: StoredCommit) -> Iterator[tuple[str, Oid | None]]:
        """Paths at which a commit differs from each parent, and what it put there."""
        first, *others = [self._store.commit(parent).tree for parent in commit.parents] or [None]
        for path, _, blob in self._trees.diff(first, commit.tree):
            if all(self._trees.find(other, path) != blob for other in others):
                yield path, blob

    def _small_objects(self, writes: dict[str, Oid | None]) -> Iterator[tuple[bytes, Oid]]:
        for blob in writes.values():
            if blob is not None and Pointer.decode(data := self._store.read(blob)) is None:
                yield hashlib.sha256(data).digest(), blob

    def _descends(self, database: sqlite3.Connection, head: Oid, oid: Oid, generation: int) -> bool:
        if head == oid:
            return True
        return bool(
            database.execute(
                f"{_ANCESTRY} SELECT 1 FROM up WHERE id = :oid LIMIT 1",
                {"head": head, "floor": generation, "oid": oid},
            ).fetchone()
        )


def _seq(database: sqlite3.Connection, oid: Oid) -> tuple[int, int] | None:
    """Row number and generation of an indexed commit."""
    return database.execute("SELECT seq, generation FROM commits WHERE id = ?", (oid,)).fetchone()
