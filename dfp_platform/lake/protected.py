"""Branches that only merges reach: a small file that names them."""

from __future__ import annotations

from pathlib import Path

from dfp_platform.errors import ReadOnlyError
from dfp_platform.lake.durable import write_whole_file


class Protected:
    """The file `protected`: one branch a line. Written by whoever holds the lake's lock on refs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def branches(self) -> frozenset[str]:
        """All of them."""
        try:
            return frozenset(self._file.read_text().split())
        except FileNotFoundError:
            return frozenset()

    def add(self, branch: str) -> None:
        """Protect a branch."""
        self._write(self.branches() | {branch})

    def remove(self, branch: str) -> None:
        """Protect a branch no longer."""
        self._write(self.branches() - {branch})

    def refuse(self, branch: str) -> None:
        """Raises ReadOnlyError: the branch is protected."""
        if branch in self.branches():
            raise ReadOnlyError(
                f"{branch} is protected: it is changed by merges only, and never deleted",
                hint=f"write on another branch and merge it, or `dfp lake protect {branch} --remove`",
                branch=branch,
            )

    def _write(self, branches: frozenset[str]) -> None:
        write_whole_file(self._file, "".join(f"{name}\n" for name in sorted(branches)).encode())
