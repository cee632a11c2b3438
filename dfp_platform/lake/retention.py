"""Which commits of a lake stay whole: all that any ref reaches, or the recent ones and what they rest on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from dfp_platform.lake.interface import Lake
from dfp_platform.lake.sweeper import Sweeper
from dfp_platform.schemas import MAIN, Commit, CommitId

History = Mapping[CommitId, Commit]


def kept_commits(
    lake: Lake, *, since: float | None = None, unnamed: Collection[CommitId] = (), sweeper: Sweeper | None = None
) -> dict[CommitId, Commit]:
    """The commits whose files garbage collection leaves alone, by id; forgotten ones are never among them.

    Args:
        since: seconds since the epoch. Of the history of each ref only what was committed since is kept, and: the
            head, every commit at which two refs part (their merge base: a merge needs its files, a compaction that it
            undoes too), and the parents of all these (a revert needs them). None: the whole history.
        unnamed: commits that no ref names yet, or any more, and that count like heads of branches.
        sweeper: the lake's own; made anew unless given.
    """
    heads = {*lake.branches().values(), *lake.tags().values(), *unnamed}
    history = _reached(lake, heads)
    wanted = history.keys() if since is None else _recent(history, heads, since)
    keeper = sweeper or lake.sweeper()
    return {commit: history[commit] for commit in wanted if not keeper.is_forgotten(commit)}


def _reached(lake: Lake, heads: set[CommitId]) -> dict[CommitId, Commit]:
    found = {commit.id: commit for commit in lake.log(MAIN)}
    stack = list(heads)
    while stack:
        if (commit := stack.pop()) not in found:
            found[commit] = lake.show(commit)
            stack += found[commit].parents
    return found


def _recent(history: History, heads: set[CommitId], since: float) -> set[CommitId]:
    recent = {commit.id for commit in history.values() if commit.time.timestamp() >= since}
    kept = recent | heads | set(_partings(history, heads))
    return kept | {parent for commit in kept for parent in history[commit].parents}


def _partings(history: History, heads: set[CommitId]) -> Iterator[CommitId]:
    """Commits that several heads reach, but no single child of which all these do. Merge bases are among them."""
    reached_by = dict.fromkeys(history, 0)
    most_of_a_child = dict.fromkeys(history, 0)
    for number, head in enumerate(sorted(heads)):
        reached_by[head] |= 1 << number
    for commit in _children_first(history):
        mine = reached_by[commit]
        if mine.bit_count() > max(1, most_of_a_child[commit]):
            yield commit
        for parent in history[commit].parents:
            reached_by[parent] |= mine
            most_of_a_child[parent] = max(most_of_a_child[parent], mine.bit_count())


def _children_first(history: History) -> Iterator[CommitId]:
    waiting = Counter(parent for commit in history.values() for parent in commit.parents)
    ready = [commit for commit in history if not waiting[commit]]
    while ready:
        commit = ready.pop()
        yield commit
        for parent in history[commit].parents:
            waiting[parent] -= 1
            if not waiting[parent]:
                ready.append(parent)
