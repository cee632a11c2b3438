"""Commits whose files garbage collection may have removed: the log still shows them, and no ref may reach them anew."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from dfp_platform.errors import NotFoundError
from dfp_platform.lake.durable import write_whole_file
from dfp_platform.lake.git_store import Oid


class Forgotten:
    """The file `forgotten`: one commit id a line. Written by whoever holds the lake's lock on refs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[object, frozenset[Oid]] = (None, frozenset())

    def commits(self) -> Collection[Oid]:
        """All of them; read again only when the file has changed."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return frozenset()
        version = status.st_mtime_ns, status.st_ino
        if self._read[0] != version:
            self._read = version, frozenset(bytes.fromhex(line) for line in self._file.read_text().split())
        return self._read[1]

    def add(self, commits: Collection[Oid]) -> None:
        """Forget these too, for good once this returns."""
        known = set(self.commits())
        if not known.issuperset(commits):
            lines = sorted(oid.hex() for oid in known | set(commits))
            write_whole_file(self._file, "\n".join(lines).encode() + b"\n")

    def refuse(self, commit: Oid) -> Oid:
        """The commit itself. Raises NotFoundError: it is forgotten."""
        if commit in self.commits():
            raise NotFoundError(
                f"commit {commit.hex()} was collected as garbage: what it held may be gone",
                hint="`dfp lake log` shows newer commits; tag what shall stay for ever",
                commit=commit.hex(),
            )
        return commit
