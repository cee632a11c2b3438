"""One content id for any asset: equal content, equal id, however often and in whatever layout it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from dfp_platform.catalog.names import is_pointer
from dfp_platform.catalog.pointers import parse_pointer
from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.schemas import ObjectStat


def content_of(lake: Lake, ref: str, path: str) -> str:
    """The content id of what an asset owns at `ref`: hex, equal for equal content.

    A table is its schema and rows, free of order, files and history; any other object is the sha-256 of its bytes;
    a folder is the hash of the content ids of all that lies beneath it, by path within the folder.

    Raises:
        NotFoundError: no such ref, or nothing at this path.
    """
    commit = lake.resolve(ref)
    found = [entry for entry in lake.list(commit, path) if entry.path == path or entry.path.startswith(f"{path}/")]
    if not found:
        raise NotFoundError(
            f"nothing lies at {path} at {ref}", hint="`dfp lake show` lists what does", path=path, ref=ref
        )
    if found[0].path == path:
        return _object_content(lake, commit, found[0])
    return folder_content((entry.path[len(path) + 1 :], _object_content(lake, commit, entry)) for entry in found)


def content_at(lake: Lake, ref: str, path: str) -> str:
    """Content id of what an asset owns at a ref, as `content_of` tells it; empty if nothing is there."""
    try:
        return content_of(lake, ref, path)
    except NotFoundError:
        return ""


def folder_content(entries: Iterable[tuple[str, str]]) -> str:
    """The content id of a folder, from the path within it and the content id of each object."""
    canonical = json.dumps(sorted(entries), separators=(",", ":"))
    return hashlib.sha256(f"dfp folder 1\n{canonical}".encode()).hexdigest()


def table_content(*, schema: str, rows: int, rows_hash: str) -> str:
    """The content id of a table, from its schema hash, row count and multiset hash of rows."""
    return hashlib.sha256(f"dfp table 1\n{schema}\n{rows}\n{rows_hash}".encode()).hexdigest()


def _object_content(lake: Lake, commit: str, entry: ObjectStat) -> str:
    if is_pointer(entry.path):
        return parse_pointer(lake.read(commit, entry.path), path=entry.path).content
    return entry.sha256
