"""Garbage collection over all refs: files of tables and objects that no kept commit reaches.

A file goes only if no commit that any ref reaches needs it, if it is older than the grace period, and if it is older
than every writer under way. A file that a writer commits is renewed first (`durable.sync_snapshots`), so what becomes
needed while this runs is young again, or its writer finds it gone and fails.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from dfp_platform.catalog.reached import ReachedFiles
from dfp_platform.catalog.warehouse import StoredFile, Warehouse, place_of
from dfp_platform.errors import ConfigurationError, CorruptLakeError
from dfp_platform.lake.interface import Lake
from dfp_platform.lake.leases import CLOCK_SLACK_S
from dfp_platform.lake.retention import kept_commits
from dfp_platform.lake.sweeper import SweepProgress, Swept
from dfp_platform.schemas import Commit, CommitId

GRACE_HOURS = 24.0
"""Age at which a file that nobody names is taken for garbage, unless told: longer than any writer takes to commit."""

_BATCH = 200
_FUTURE_S = 1.0

_COMMIT_S = 1.0
"""Commits know whole seconds. One that may be younger than what is garbage is not forgotten, so it keeps its files."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What garbage collection took, or would take.

    Attributes:
        deleted: whether it was taken.
        commits: commits whose files are all kept.
        kept_files: table files that they reach.
        older_than: seconds since 1970; only what was last written before then is garbage.
        found: garbage by kind: ``table files``, ``objects``, ``git objects``.
    """

    deleted: bool
    commits: int
    kept_files: int
    older_than: float
    found: dict[str, Swept] = field(default_factory=dict)

    @property
    def total(self) -> Swept:
        return sum(self.found.values(), Swept())


def collect_garbage(
    lake: Lake,
    *,
    delete: bool = False,
    grace_hours: float = GRACE_HOURS,
    history_days: float | None = None,
    progress: SweepProgress | None = None,
) -> Collected:
    """Find what no kept commit of a lake reaches, and with `delete` remove it. Safe to interrupt, kill and repeat.

    Args:
        grace_hours: what was written since stays, whoever names it or not.
        history_days: commits older than this, and than the grace, stay in the log, but only refs, merge bases and
            their parents keep their files; None: every commit that a ref reaches keeps its files.
    Raises:
        CorruptLakeError: a table cannot be followed, so nobody knows what it needs; nothing was removed.
        ConfigurationError: a grace or history below zero.
    """
    if grace_hours < 0 or (history_days is not None and history_days < 0):
        raise ConfigurationError("grace and history cannot be negative", hint="0 keeps nothing extra", setting="gc")
    collection = _Collection(lake, grace_hours=grace_hours, history_days=history_days, progress=progress)
    return collection.run(delete=delete)


class _Collection:
    def __init__(
        self, lake: Lake, *, grace_hours: float, history_days: float | None, progress: SweepProgress | None
    ) -> None:
        now = time.time()
        self._lake = lake
        self._sweeper = lake.sweeper()
        self._older_than = _cutoff(now - CLOCK_SLACK_S, grace_hours * 3_600.0, self._sweeper.oldest_lease())
        self._since = None if history_days is None else min(now - history_days * 86_400.0, self._older_than - _COMMIT_S)
        self._tell = progress or (lambda *_: None)
        self._warehouse = Warehouse(lake)
        self._reached = ReachedFiles(lake, broken=_refuse)
        # a commit that lost its race may name files whose writer has given up; what it lacks nobody needs
        self._reached_unnamed = ReachedFiles(lake, broken=lambda what: None)
        self._kept: dict[CommitId, Commit] = {}
        self._places: set[str] = set()
        self._heads: tuple[object, object] | None = None

    def run(self, *, delete: bool) -> Collected:
        self._warehouse.restore_aside()
        self._mark()
        garbage = self._garbage()
        found = {"table files": Swept(len(garbage), sum(file.size for file in garbage))}
        if delete:
            with self._sweeper.refs_held():
                self._mark()
                self._sweeper.forget_all_but(self._kept.keys(), older_than=self._older_than)
            self._remove(garbage)
        found |= self._sweeper.sweep(
            self._kept.keys(), shared=self._places, older_than=self._older_than, delete=delete, progress=self._tell
        )
        return Collected(delete, len(self._kept), len(self._places), self._older_than, found)

    def _mark(self) -> None:
        """Follow all that is to be kept now; what an earlier call followed is not looked at again."""
        heads = (self._lake.branches(), self._lake.tags())
        if heads == self._heads:
            return
        named = kept_commits(self._lake, since=self._since, sweeper=self._sweeper)
        unnamed = self._sweeper.unnamed_commits(since=self._older_than)
        kept = kept_commits(self._lake, since=self._since, unnamed=unnamed, sweeper=self._sweeper) if unnamed else named
        lost = {commit: record for commit, record in kept.items() if commit not in named}
        self._kept |= kept
        for file in chain(self._reached.of(named), self._reached_unnamed.of(lost)):
            self._places.add(place_of(file.location, file.io))
            if len(self._places) % 1000 == 0:
                self._tell("following tables", len(self._places), 0)
        self._heads = heads

    def _garbage(self) -> list[StoredFile]:
        return [file for file in self._warehouse.files() if self._is_garbage(file)]

    def _is_garbage(self, file: StoredFile) -> bool:
        return file.written < self._older_than and file.place not in self._places

    def _remove(self, garbage: Sequence[StoredFile]) -> None:
        for start, batch in _batches(garbage):
            with self._sweeper.refs_held():
                self._mark()
                aged = [file for file in batch if self._is_garbage(file)]
                self._warehouse.remove(aged, older_than=self._older_than)
            self._tell("removing table files", start + len(batch), len(garbage))
        self._warehouse.remove_empty_folders(older_than=self._older_than)


def _batches(files: Sequence[StoredFile]) -> Iterator[tuple[int, Sequence[StoredFile]]]:
    return ((start, files[start : start + _BATCH]) for start in range(0, len(files), _BATCH))


def _cutoff(now: float, grace_s: float, oldest_lease: float | None) -> float:
    """Before when a file must have been written to be garbage. A lease from the future tells of a clock that jumped
    back: then nothing is old for certain."""
    if oldest_lease is None:
        return now - grace_s
    return 0.0 if oldest_lease > now + _FUTURE_S else min(now - grace_s, oldest_lease)


def _refuse(what: str) -> None:
    raise CorruptLakeError(
        f"garbage collection removes nothing, as not every table can be followed: {what}",
        hint="`dfp lake verify` lists what is broken; revert or drop the table there",
    )
