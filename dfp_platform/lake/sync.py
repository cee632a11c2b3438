"""Bring the branches, tags and history of one lake into another, commit by commit.

Every commit that is brought carries the id of its original in its metadata, so that a second sync brings only what is
new, and one in the other direction knows what it gave. Branches grow by the very calls that any writer uses, so it can
be interrupted, and both lakes written meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from dfp_platform.errors import AlreadyExistsError, CorruptLakeError, NotFoundError
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.lake.origins import ORIGIN
from dfp_platform.lake.sweeper import SweepProgress
from dfp_platform.schemas import MAIN, Commit, CommitId, Difference

EPHEMERAL = "tx-"
"""How the names of branches begin that are nobody's for long."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync brought.

    Attributes:
        commits: how many are new.
        branches: those that moved or came.
        tags: those that came.
        diverged: branches, and tags, that name something else in the target; they were left alone.
    """

    commits: int
    branches: tuple[str, ...]
    tags: tuple[str, ...]
    diverged: tuple[str, ...]


def sync_history(source: Lake, target: Lake, *, progress: SweepProgress | None = None) -> Synced:
    """Bring what `source` has and `target` lacks. What only `target` has stays as it is.

    A branch on which both went on is left alone and named in `diverged`: merge it by hand. Commits get new ids and
    times in the target; `dfp lake log` shows their origin.

    Raises:
        CorruptLakeError: a copy would not hold what its original holds.
    """
    sync = _Sync(source, target, progress)
    try:
        branches = [MAIN, *(name for name in sorted(source.branches()) if name != MAIN)]
        moved = tuple(name for name in branches if not name.startswith(EPHEMERAL) and sync.branch(name))
        tagged = tuple(name for name, commit in sorted(source.tags().items()) if sync.tag(name, commit))
    finally:
        sync.clean_up()
    return Synced(sync.made, moved, tagged, tuple(sync.diverged))


class _Sync:
    def __init__(self, source: Lake, target: Lake, progress: SweepProgress | None) -> None:
        self._source = source
        self._target = target
        self._tell = progress or (lambda *_: None)
        self._known = _pairs(source, target)
        self._helpers: list[str] = []
        self.made = 0
        self.diverged: list[str] = []

    def branch(self, name: str) -> bool:
        """Bring a branch; whether that changed anything."""
        anchor, chain = self._missing(self._source.resolve(name))
        there = self._target.branches().get(name)
        if there is not None and there != anchor:
            shared = self._target.merge_base(there, anchor)
            if shared == anchor and not chain:
                return False  # the target went on, and only there
            if shared != there or name == MAIN:
                self.diverged.append(name)
                return False
            # its new commits came along with another branch already; no call moves a branch to where others are
            self._target.delete_branch(name, expect=there)
            there = None
        if there is None:
            self._target.create_branch(name, anchor)
        for commit in chain:
            self._replay(commit, name)
        return bool(chain) or there is None

    def tag(self, name: str, commit: CommitId) -> bool:
        """Bring a tag; whether it is new."""
        wanted = self._brought(commit)
        if self._target.tags().get(name) == wanted:
            return False
        try:
            self._target.tag(name, wanted)
        except AlreadyExistsError:
            self.diverged.append(name)
            return False
        return True

    def clean_up(self) -> None:
        """Forget the branches that held side lines of history until a merge reached them."""
        for name in self._helpers:
            with suppress(NotFoundError):
                self._target.delete_branch(name)

    def _missing(self, head: CommitId) -> tuple[CommitId, list[Commit]]:
        """Commits on the line of first parents that the target lacks, oldest first, and the copy they go on from."""
        chain: list[Commit] = []
        commit = self._source.show(head)
        while commit.id not in self._known and commit.parents:
            chain.insert(0, commit)
            commit = self._source.show(commit.parents[0])
        if commit.id not in self._known:  # the beginning of a history of its own
            self._known[commit.id] = _first(self._target)
            if any(True for _ in self._source.list(commit.id)):
                chain.insert(0, commit)
        return self._known[commit.id], chain

    def _brought(self, commit: CommitId) -> CommitId:
        """The copy of a commit, brought on a branch of its own if it is on no branch that was."""
        if commit not in self._known:
            anchor, chain = self._missing(commit)
            helper = f"{EPHEMERAL}sync-{secrets.token_hex(6)}"
            self._target.create_branch(helper, anchor)
            self._helpers.append(helper)
            for each in chain:
                self._replay(each, helper)
        return self._known[commit]

    def _replay(self, commit: Commit, onto: str) -> None:
        facts = {**commit.metadata, ORIGIN: commit.id, "origin-time": commit.time.isoformat()}
        first, *merged = commit.parents or (None,)
        before = self._target.resolve(onto)
        with ExitStack() as opened:
            if merged:
                settled = self._contents(commit, self._settled(commit), opened)
                made = self._target.merge(
                    self._brought(merged[0]),
                    onto,
                    message=commit.message,
                    metadata=facts,
                    expect=before,
                    resolved=settled,
                )
            else:
                changed = {d.path for d in self._changes(first, commit.id)}
                contents = self._contents(commit, changed, opened)
                made = self._target.commit(onto, contents, message=commit.message, metadata=facts, expect=before)
        self._refuse_unequal(commit, before, made)
        self._known[commit.id] = made
        self.made += made != before
        self._tell("bringing commits", self.made, 0)

    def _settled(self, commit: Commit) -> set[str]:
        """Paths at which a merge is not what a merge by path makes of its parents."""
        ours, theirs = commit.parents[:2]
        base = self._source.merge_base(ours, theirs)
        from_ours, from_theirs = self._paths(ours, commit.id), self._paths(theirs, commit.id)
        both = from_ours & from_theirs
        if base is None:
            return from_ours | from_theirs
        return both | (self._paths(base, ours) & from_ours) | (self._paths(base, theirs) & from_theirs)

    def _contents(self, commit: Commit, paths: set[str], opened: ExitStack) -> dict[str, Content]:
        found: dict[str, Content] = dict.fromkeys(paths)
        for path in sorted(paths):
            if self._source.exists(commit.id, path):
                found[path] = _whole(self._source, commit.id, path, opened)
        return found

    def _paths(self, left: CommitId, right: CommitId) -> set[str]:
        return {difference.path for difference in self._source.diff(left, right)}

    def _changes(self, left: CommitId | None, right: CommitId) -> Iterator[Difference]:
        if left is None:
            return (Difference(found.path, None, found) for found in self._source.list(right))
        return self._source.diff(left, right)

    def _refuse_unequal(self, commit: Commit, before: CommitId, made: CommitId) -> None:
        first = commit.parents[0] if commit.parents else None
        wanted = _written(self._changes(first, commit.id))
        actual = _written(self._target.diff(before, made))
        if wanted != actual:
            raise CorruptLakeError(
                f"the copy of commit {commit.id} differs from it at {sorted(wanted.items() ^ actual.items())[0][0]}",
                hint="report this; the branch it was brought to can be reverted",
                path=commit.id,
            )


LARGE = 1 << 20
"""Bytes from which an object is streamed from lake to lake."""


def _whole(lake: Lake, commit: CommitId, path: str, opened: ExitStack) -> Content:
    if lake.stat(commit, path).size < LARGE:
        return lake.read(commit, path)
    return opened.enter_context(lake.open(commit, path))


def _pairs(source: Lake, target: Lake) -> dict[CommitId, CommitId]:
    """The copies in the target of commits of the source: brought from there, or given to it."""
    ours, theirs = _reached(source), _reached(target)
    found = {CommitId(origin): c.id for c in theirs.values() if (origin := c.metadata.get(ORIGIN)) in ours}
    given = {c.id: CommitId(origin) for c in ours.values() if (origin := c.metadata.get(ORIGIN)) in theirs}
    return found | given


def _reached(lake: Lake) -> Mapping[CommitId, Commit]:
    heads = {*lake.branches().values(), *lake.tags().values()}
    return {commit.id: commit for head in heads for commit in lake.log(head)}


def _first(lake: Lake) -> CommitId:
    """The commit that a lake was born with."""
    commit = lake.show(MAIN)
    while commit.parents:
        commit = lake.show(commit.parents[0])
    return commit.id


def _written(differences: Iterator[Difference]) -> dict[str, str]:
    return {d.path: d.after.sha256 if d.after else "" for d in differences}
