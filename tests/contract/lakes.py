"""Every kind of lake, by name, and one that is reopened for every call: what the contract suite runs over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfp_platform.lake import Lake, open_lake


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


LAKES: dict[str, Callable[[Path], Lake]] = {
    "embedded": embedded,
    "embedded, reopened for every call": reopened,
}
