"""Lake paths in git trees: sharded, walked in path order, compared and merged without looking at what is equal.

A path `a/b/c` is kept at `a/b/~5f/c`: the last part lies in a shard folder named by its hash, so that a namespace of
10,000 tables is 256 small trees, and an object `a/b` can stand beside `a/b/c`. `~` cannot occur in a lake path.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dfp_platform.lake.git_store import GitStore, Oid

Entries = Mapping[bytes, Oid]

_CACHED_TREES = 512


@dataclass(slots=True)
class Merged:
    """Outcome of a three-way merge: the tree, with our side where both changed a path, and those paths."""

    tree: Oid | None
    clashes: dict[str, tuple[Oid | None, Oid | None, Oid | None]] = field(default_factory=dict)
    """By path: blob of base, ours and theirs."""


class Trees:
    """Sharded trees of one git store. An empty tree is None."""

    def __init__(self, store: GitStore) -> None:
        self._store = store
        self._entries = lru_cache(maxsize=_CACHED_TREES)(lambda oid: _parse(store.read(oid)))

    def find(self, root: Oid | None, path: str) -> Oid | None:
        """The blob at `path`."""
        oid = root
        for key in _keys(path):
            if oid is None:
                return None
            oid = self.entries(oid).get(key)
        return oid

    def entries(self, oid: Oid | None) -> Entries:
        """What a tree names."""
        return {} if oid is None else self._entries(oid)

    def walk(self, root: Oid | None, prefix: str = "") -> Iterator[tuple[str, Oid]]:
        """Every path that starts with `prefix`, and its blob, in path order."""
        for path, _, blob in self.diff(None, root, prefix):
            if blob is not None:
                yield path, blob

    def diff(
        self, left: Oid | None, right: Oid | None, prefix: str = "", at: str = ""
    ) -> Iterator[tuple[str, Oid | None, Oid | None]]:
        """Paths that start with `prefix` and whose blobs differ, with both blobs, in path order. `at` is where the
        two trees stand."""
        if left == right:
            return
        rest = prefix[len(at) :]
        before, after = self.entries(left), self.entries(right)
        found: list[tuple[str, Oid | None, Oid | None]] = []
        for name in _differing(before, after):
            if _is_shard(name):
                if "/" not in rest:
                    found += self._diff_shard(before.get(name), after.get(name), rest)
                continue
            folder = _decode(name) + "/"
            if folder.startswith(rest) or rest.startswith(folder):
                found.append((folder, before.get(name), after.get(name)))
        found.sort(key=lambda item: item[0])
        for name, old, new in found:
            if name.endswith("/"):
                yield from self.diff(old, new, prefix, at + name)
            else:
                yield at + name, old, new

    def apply(self, root: Oid | None, changes: Mapping[str, Oid | None]) -> Oid | None:
        """The tree after putting a blob (None: nothing) at each path."""
        nested: dict[bytes, Any] = {}
        for path, blob in changes.items():
            *folders, last = _keys(path)
            place = nested
            for key in folders:
                place = place.setdefault(key, {})
            place[last] = blob
        return self._apply(root, nested)

    def merge(self, base: Oid | None, ours: Oid | None, theirs: Oid | None) -> Merged:
        """Three-way merge by path."""
        merged = Merged(None)
        merged.tree = self._merge(base, ours, theirs, "", merged)
        return merged

    def reach(self, root: Oid | None, seen: set[Oid], *, leaf: bool = False) -> Iterator[Oid]:
        """Every blob beneath a tree, but nothing beneath the trees in `seen`, to which all that are met are added."""
        if root is None or root in seen:
            return
        seen.add(root)
        for name, oid in self.entries(root).items():
            if leaf:
                yield oid
            else:
                yield from self.reach(oid, seen, leaf=_is_shard(name))

    def keep(self, tree: Oid | None) -> Oid:
        """The tree as git names it, the empty one too."""
        return self._store.write_tree(b"") if tree is None else tree

    def _diff_shard(
        self, left: Oid | None, right: Oid | None, rest: str
    ) -> Iterator[tuple[str, Oid | None, Oid | None]]:
        before, after = self.entries(left), self.entries(right)
        for name in _differing(before, after):
            plain = _decode(name)
            if plain.startswith(rest):
                yield plain, before.get(name), after.get(name)

    def _apply(self, oid: Oid | None, changes: Mapping[bytes, Any]) -> Oid | None:
        before = self.entries(oid)
        after = dict(before)
        for key, change in changes.items():
            new = self._apply(before.get(key), change) if isinstance(change, dict) else change
            if new is None:
                after.pop(key, None)
            else:
                after[key] = new
        if after == before:
            return oid if before else None
        return self._write(after, leaf=not isinstance(next(iter(changes.values())), dict))

    def _merge(self, base: Oid | None, ours: Oid | None, theirs: Oid | None, at: str, merged: Merged) -> Oid | None:
        if ours == theirs or base == theirs:
            return ours
        if base == ours:
            return theirs
        olds, mine, yours = self.entries(base), self.entries(ours), self.entries(theirs)
        leaf = at.endswith("~")
        after: dict[bytes, Oid] = {}
        for name in olds.keys() | mine.keys() | yours.keys():
            three = olds.get(name), mine.get(name), yours.get(name)
            if leaf:
                new = _merge_blob(three, at[:-1] + _decode(name), merged)
            elif _is_shard(name):
                new = self._merge(*three, at + "~", merged)
            else:
                new = self._merge(*three, at + _decode(name) + "/", merged)
            if new is not None:
                after[name] = new
        return ours if after == mine else self._write(after, leaf=leaf)

    def _write(self, entries: Entries, *, leaf: bool) -> Oid | None:
        if not entries:
            return None
        if leaf:
            data = b"".join(b"100644 %b\0%b" % (name, entries[name]) for name in sorted(entries))
        else:
            data = b"".join(b"40000 %b\0%b" % (n, entries[n]) for n in sorted(entries, key=lambda n: n + b"/"))
        return self._store.write_tree(data)


def _merge_blob(three: tuple[Oid | None, Oid | None, Oid | None], path: str, merged: Merged) -> Oid | None:
    base, ours, theirs = three
    if ours == theirs or base == theirs:
        return ours
    if base == ours:
        return theirs
    merged.clashes[path] = three
    return ours


def _differing(left: Entries, right: Entries) -> set[bytes]:
    return {name for name, _ in left.items() ^ right.items()}


def _keys(path: str) -> list[bytes]:
    *folders, last = (_encode(part) for part in path.split("/"))
    return [*folders, b"~%02x" % (zlib.crc32(last) & 0xFF), last]


def _encode(part: str) -> bytes:
    """A part as git may name it: git refuses `.git` in any case."""
    return (f"~{part}" if part[:4].lower() == ".git" else part).encode()


def _decode(name: bytes) -> str:
    return name.decode().removeprefix("~")


def _is_shard(name: bytes) -> bool:
    return name.startswith(b"~") and not name.startswith(b"~.")


def _parse(data: bytes) -> Entries:
    """A tree in git's encoding: ``mode SP name NUL oid`` repeated."""
    entries, at = {}, 0
    while at < len(data):
        space = data.index(b" ", at)
        end = data.index(b"\0", space)
        entries[data[space + 1 : end]] = data[end + 1 : end + 21]
        at = end + 21
    return entries
