"""Every kind of lake, by name, and one that is reopened for every call: what the contract suite runs over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfp_platform.lake import Lake, open_lake
from dfp_platform.schemas import CommitId
from tests.lakefs_double.places import new_repository

BIG = bytes(range(256)) * 512
"""128 KiB: too big to lie inline anywhere."""


class ReopenedLake:
    """A lake that remembers nothing between two calls: each goes to a keeper opened for it alone."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __getattr__(self, name: str) -> Any:
        return getattr(open_lake(self._uri), name)


def embedded(folder: Path) -> Lake:
    return open_lake(folder / "lake", create=True)


def reopened(folder: Path) -> Any:
    return ReopenedLake(open_lake(folder / "lake", create=True).uri)


def lakefs(folder: Path) -> Lake:
    return open_lake(new_repository(), create=True)


def lakefs_reopened(folder: Path) -> Any:
    return ReopenedLake(lakefs(folder).uri)


LAKES: dict[str, Callable[[Path], Lake]] = {
    "embedded": embedded,
    "embedded, reopened for every call": reopened,
    "lakefs": lakefs,
    "lakefs, reopened for every call": lakefs_reopened,
}


def paths(lake: Lake, ref: str = "main", prefix: str = "") -> list[str]:
    """The paths at a ref, as listed."""
    return [found.path for found in lake.list(ref, prefix)]


def contents(lake: Lake, ref: str = "main") -> dict[str, bytes]:
    """Everything at a ref."""
    return {found.path: lake.read(ref, found.path) for found in lake.list(ref)}


def put(lake: Lake, branch: str = "main", **objects: bytes | None) -> CommitId:
    """Commit objects whose paths are Python names: `a__b` stands for `a/b`."""
    changes = {name.replace("__", "/"): content for name, content in objects.items()}
    return lake.commit(branch, changes, message=f"put {', '.join(changes)}")
