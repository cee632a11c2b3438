"""Which commit here is the copy of a commit of another lake: an index over history in SQLite, made as it is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

ORIGIN = "origin"
"""Metadata of a commit that was brought: the id of the commit it is a copy of."""

Looked = Callable[[str], tuple[Sequence[str], Mapping[str, str]]]
"""Parents and metadata of a commit, by its id."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS origins (origin TEXT, id TEXT, PRIMARY KEY (origin, id)) WITHOUT ROWID;
"""


class OriginIndex:
    """Answers from a file of its own. Losing it loses nothing: it is built again from history.

    Every connection is closed after one answer: such questions are rare, and processes fork.
    """

    def __init__(self, path: Path, look: Looked) -> None:
        self._path = path
        self._look = look

    def copies(self, origin: str, heads: Iterable[str]) -> list[str]:
        """The copies, below these heads or once below others, of the commit whose id begins so.

        Only what no earlier question has seen is looked at. Empty if the beginning fits several originals.
        """
        try:
            return self._answer(self._path, origin, heads)
        except sqlite3.OperationalError:  # a disk that cannot be written, or a file that stays locked
            return self._answer(None, origin, heads)
        except sqlite3.DatabaseError:  # damaged: built again
            for name in ("", "-journal"):
                self._path.with_name(self._path.name + name).unlink(missing_ok=True)
            return self._answer(self._path, origin, heads)

    def _answer(self, path: Path | None, origin: str, heads: Iterable[str]) -> list[str]:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path or ":memory:", timeout=10.0)) as database:
            database.executescript(_SCHEMA)
            with database:
                self._catch_up(database, heads)
            rows = database.execute(
                "SELECT origin, id FROM origins WHERE origin >= ? AND origin < ?", (origin, origin + "g")
            ).fetchall()
        return [commit for _, commit in rows] if len({found for found, _ in rows}) == 1 else []

    def _catch_up(self, database: sqlite3.Connection, heads: Iterable[str]) -> None:
        stack = list(heads)
        while stack:
            commit = stack.pop()
            if database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (commit,)).rowcount:
                parents, metadata = self._look(commit)
                if found := metadata.get(ORIGIN):
                    database.execute("INSERT OR IGNORE INTO origins VALUES (?, ?)", (found, commit))
                stack += parents
