"""Where two lines of history meet."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Protocol

from dfp_platform.lake.git_store import Oid

_LEFT, _RIGHT, _STALE, _BASE = 1, 2, 4, 8


class Ancestor(Protocol):
    """A commit as far as its place in history goes. `time` is never before that of a parent."""

    @property
    def parents(self) -> Sequence[Oid]: ...

    @property
    def time(self) -> int: ...


ReadCommit = Callable[[Oid], Ancestor]


def merge_bases(read: ReadCommit, left: Oid, right: Sequence[Oid]) -> list[Oid]:
    """The best common ancestors of `left` and of a merge of all `right`, newest first; several after a criss-cross.

    Walks only down to the point where nothing but common history is left.
    """
    marks: dict[Oid, int] = {}
    queue: list[tuple[int, Oid]] = []
    found: list[tuple[int, Oid]] = []

    def paint(oid: Oid, flags: int) -> None:
        if marks.get(oid, 0) & flags != flags:
            marks[oid] = marks.get(oid, 0) | flags
            heapq.heappush(queue, (-read(oid).time, oid))

    paint(left, _LEFT)
    for oid in right:
        paint(oid, _RIGHT)
    while queue:
        when, oid = heapq.heappop(queue)
        if marks[oid] & _STALE and all(marks[other] & _STALE for _, other in queue):
            break
        flags = marks[oid] & (_LEFT | _RIGHT | _STALE)
        if flags == _LEFT | _RIGHT:
            if not marks[oid] & _BASE:
                marks[oid] |= _BASE
                found.append((when, oid))
            flags |= _STALE
        for parent in read(oid).parents:
            paint(parent, flags)
    best = [oid for _, oid in sorted(found) if not marks[oid] & _STALE]
    return [oid for oid in best if not any(descends(read, other, oid) for other in best if other != oid)]


def descends(read: ReadCommit, oid: Oid, ancestor: Oid) -> bool:
    """Whether `ancestor` is `oid` or one of the commits it was built on. Commit times never run backwards."""
    floor = read(ancestor).time
    seen, queue = {oid}, [oid]
    while queue:
        current = queue.pop()
        if current == ancestor:
            return True
        for parent in read(current).parents:
            if parent not in seen and read(parent).time >= floor:
                seen.add(parent)
                queue.append(parent)
    return False
