"""Three-way merges of commits on lakeFS by the lake's rules: what a merge brings, what clashes, criss-cross included.

lakeFS merges by itself too, from a base of its own choice. It is left to move the many objects; what it made is
compared with what these rules say, and mended before anything lands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dfp_platform.lake.conflicts import refuse_conflicts
from dfp_platform.lake.lakefs_content import Source
from dfp_platform.lake.lakefs_drafts import internal
from dfp_platform.lake.lakefs_history import History
from dfp_platform.lake.lakefs_objects import Found, Objects, digest
from dfp_platform.lake.lakefs_repository import Repository
from dfp_platform.schemas import Conflict


@dataclass(frozen=True, slots=True)
class Brought:
    """Outcome of a three-way merge: paths at which the source's state shall stand, and paths that clash, in words."""

    taken: Collection[str]
    clashes: Mapping[str, str]


class Merging:
    """Compares commits of one repository."""

    def __init__(self, repository: Repository, history: History, objects: Objects) -> None:
        self._repository = repository
        self._history = history
        self._objects = objects

    def three_way(self, base: str, ours: str, theirs: str, *, names: tuple[str, str]) -> Brought:
        """What `theirs` brings to `ours`, both seen from a commit `base`.

        Args:
            names: what ours and theirs are called in a clash.
        """
        return self._three_way({}, base, ours, theirs, names)

    def merge(self, bases: list[str], ours: str, theirs: str, *, names: tuple[str, str]) -> Brought:
        """The same with the best common ancestors of both: several are merged themselves first."""
        return self._three_way(self._between(bases), bases[0], ours, theirs, names)

    def mended(
        self, changed_by_server: Collection[str], ours: str, theirs: str, brought: Brought
    ) -> dict[str, Source | None]:
        """What has to be put on lakeFS's own merge of `theirs` into `ours` for it to be what was brought.

        Args:
            changed_by_server: paths at which that merge differs from `ours`.
        """
        changed = {path for path in changed_by_server if not internal(path) and path not in brought.clashes}
        taken = set(brought.taken)
        back = self.sources(ours, changed - taken)
        return {**back, **self.sources(theirs, taken - changed)}

    def sources(self, commit: str, paths: Collection[str]) -> dict[str, Source | None]:
        """What lies at paths of a commit, to be put elsewhere."""
        return {path: _source(commit, found) for path, found in self._objects.find_all(commit, sorted(paths)).items()}

    def changed(self, left: str, right: str) -> set[str]:
        """Lake paths at which the server sees a difference."""
        return {path for path in self._repository.diff(left, right) if not internal(path)}

    # -- inside --------------------------------------------------------------------------------------------------

    def _three_way(
        self, between: Mapping[str, str | None], base: str, ours: str, theirs: str, names: tuple[str, str]
    ) -> Brought:
        mine, yours = self.changed(base, ours), self.changed(base, theirs)
        both = sorted((mine & yours) | between.keys())
        states = [self._objects.find_all(commit, both) for commit in (base, ours, theirs)]
        taken, clashes = yours - mine - between.keys(), {}
        for path in both:
            old, my, your = (digest(state[path]) for state in states)
            old = between.get(path, old)
            if my == your or your == old:
                continue
            if my == old:
                taken.add(path)
            else:
                clashes[path] = _clash_in_words(old, my, your, *names)
        return Brought(taken, clashes)

    def _between(self, bases: list[str]) -> dict[str, str | None]:
        """Where the merge of several bases differs from the first: digests, a clash as one that equals no content."""
        merged: dict[str, str | None] = {}
        for known, base in enumerate(bases[1:], start=1):
            below = self._history.merge_bases(base, bases[:known])
            if not below:
                continue
            brought = self._three_way_of_bases(below, bases[0], merged, base)
            merged.update(brought)
        return merged

    def _three_way_of_bases(
        self, below: list[str], first: str, merged: Mapping[str, str | None], base: str
    ) -> dict[str, str | None]:
        under = self._between(below)
        paths = sorted(self.changed(below[0], first) | self.changed(below[0], base) | merged.keys() | under.keys())
        olds, firsts, others = (self._objects.find_all(commit, paths) for commit in (below[0], first, base))
        found: dict[str, str | None] = {}
        for path in paths:
            old = under.get(path, digest(olds[path]))
            mine, yours = merged.get(path, digest(firsts[path])), digest(others[path])
            if mine == yours or yours == old:
                continue
            found[path] = yours if mine == old else f"no common base: {old} {mine} {yours}"
        return found


def refuse_clashes(clashes: Mapping[str, str], settled: Collection[str], what: str) -> None:
    """Raise MergeConflictError for every clash that is not settled."""
    conflicts = [Conflict(path, words) for path, words in sorted(clashes.items()) if path not in settled]
    refuse_conflicts(conflicts, what)


def _source(commit: str, found: Found | None) -> Source | None:
    if found is None:
        return None
    return Source(found.stat.sha256, found.stat.size, held=(commit, found.stat.path))


def _clash_in_words(base: str | None, mine: str | None, yours: str | None, ours: str, theirs: str) -> str:
    if base is None:
        return f"added differently on {ours} and {theirs}"
    if mine is None:
        return f"removed on {ours}, changed on {theirs}"
    if yours is None:
        return f"changed on {ours}, removed on {theirs}"
    return f"changed differently on {ours} and {theirs}"
