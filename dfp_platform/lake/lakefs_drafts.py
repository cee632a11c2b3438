"""Compare-and-swap on lakeFS, which has none of its own: a hidden branch, one object that every write changes, a merge.

A write is prepared on a hidden branch made from the head it is based on. There it also changes the *token* of its
target, an object named after the target branch, to bytes nobody else writes. lakeFS merges path by path and refuses a
path that both sides changed differently, so of two writes based on one head the second is refused, whatever else they
touch. The merge is one step on the server: killed before it, a write is not there; killed after it, it is whole.
"""

from __future__ import annotations

import io
import logging
import os
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from dfp_platform.errors import DfpError, NotFoundError, ReadOnlyError, UnknownOutcomeError, UnreachableError
from dfp_platform.lake.lakefs_content import SHA256, Source, Wanted
from dfp_platform.lake.lakefs_history import PART, History
from dfp_platform.lake.lakefs_repository import Repository, Strategy
from dfp_platform.lake.lakefs_server import TRIES, LostAnswerError, Refused, wait_for_server

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

INTERNAL = "~"
"""How paths begin that no lake path can: what the keeper itself puts on branches."""

DRAFTS = "_dfp-"
"""How names of hidden branches begin; no branch of a lake can have such a name."""

AT_ONCE = 8
"""Requests of one call that are under way at the same time."""

ABANDONED_AFTER_S = 86_400.0
"""Age at which a hidden branch is a dead writer's."""

_SWEEP_EVERY = 256
_dice = secrets.SystemRandom()  # not `random`: trainings seed it alike in every process

_locks: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
"""Threads of one process take turns at a branch instead of refusing one another."""

os.register_at_fork(after_in_child=_locks.clear)  # a thread that held one is not there in the child


def token_path(branch: str) -> str:
    """Where a branch's token lies. Each branch has its own, so that merges by other tools do not clash on it."""
    return f"{INTERNAL}dfp/heads/{branch}"


def in_turn(repository: Repository, branch: str) -> threading.Lock:
    """The lock under which this process writes to a branch."""
    return _locks[f"{repository.server.address}/{repository.name}", branch]


def pause(again: int) -> None:
    """Wait before trying again on a head that another writer moved."""
    time.sleep(_dice.uniform(0.0, min(1.0, 0.02 * 2**again)))


@dataclass(slots=True)
class Draft:
    """A hidden branch on which one write is prepared. `head` is the commit it is at; `token` names the write."""

    repository: Repository
    branch: str
    head: str
    name: str = field(default_factory=lambda: f"{DRAFTS}{int(time.time()):x}-{secrets.token_hex(8)}")
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    def stage(self, wanted: Wanted) -> None:
        """Put what is wanted on the hidden branch, several objects at a time, and commit it with a new token."""
        gone = [path for path, source in wanted.items() if source is None]
        if gone:
            self.repository.remove(self.name, gone)
        kept = [(path, source) for path, source in wanted.items() if source is not None]
        data = self.token.encode()
        kept.append((token_path(self.branch), Source("", len(data), content=lambda: io.BytesIO(data))))
        in_parallel(self._put, kept)
        self.head = self.repository.commit(self.name, "prepare", {PART: self.token})

    def bring(self, commit: str, strategy: Strategy) -> bool:
        """Merge a commit into the hidden branch, clashes decided by the strategy; False if the server would not.

        A merge that brings nothing has to be made too, or the next one starts from what was common before, and clashes
        again. Old servers refuse it.
        """
        facts = {PART: self.token}
        try:
            self.head = self.repository.merge(commit, self.name, "prepare", facts, strategy=strategy, allow_empty=True)
        except Refused as refused:
            if not refused.nothing_to_do:
                raise
            return False
        return True

    def land(self, history: History, message: str, metadata: Mapping[str, str], *, squash: bool) -> str | None:
        """Merge the hidden branch into its target: the new head, or None if the target has moved.

        Raises:
            ReadOnlyError: uncommitted objects on the target, or a hook refused. NotFoundError: the target is gone.
            UnknownOutcomeError: no answer came, and nobody can be asked. UnreachableError: it never reached the server.
        """
        lost: LostAnswerError | None = None
        for again in range(TRIES):
            wait_for_server(again)
            try:
                return self.repository.merge(self.name, self.branch, message, metadata, squash=squash, once=True)
            except Refused as refused:
                if refused.status in (400, 409) and not refused.dirty:
                    landed = history.find_write(self.branch, self.token) if lost else None
                    if landed is not None or refused.status == 409:
                        return landed.id if landed else None
                raise self._not_taken(refused) from refused
            except LostAnswerError as error:  # it may have landed, and would land again as a commit without changes
                lost = error
                try:
                    if (landed := history.find_write(self.branch, self.token)) is not None:
                        return landed.id
                except (Refused, UnreachableError):
                    break
        raise self._unknown(lost) from lost

    def _put(self, item: tuple[str, Source]) -> None:
        path, source = item
        if source.held is not None:
            commit, held_path = source.held
            self.repository.copy(self.name, path, from_ref=commit, from_path=held_path)
        elif source.content is not None:
            metadata = {SHA256: source.sha256} if source.sha256 else {}
            self.repository.upload(self.name, path, source.content, source.size, metadata)

    def _unknown(self, lost: LostAnswerError | None) -> UnknownOutcomeError:
        return UnknownOutcomeError(
            f"the lakeFS server was told to move {self.branch} and did not answer{f': {lost.message}' if lost else ''}",
            hint=f"when it answers, look whether `lakectl log` of {self.branch} has {self.token} in its metadata",
            branch=self.branch,
            token=self.token,
            address=lost.fields.get("address") if lost else None,
        )

    def _not_taken(self, refused: Refused) -> DfpError:
        if refused.status == 404:
            return NotFoundError(f"branch {self.branch} was deleted meanwhile", branch=self.branch)
        if refused.dirty:
            return ReadOnlyError(
                f"branch {self.branch} of {self.repository.name} holds objects that were uploaded and not committed",
                hint=f"commit them or take them back: lakectl branch reset "
                f"lakefs://{self.repository.name}/{self.branch}",
                branch=self.branch,
            )
        return ReadOnlyError(
            f"lakeFS did not take the write to {self.branch}: {refused.said}",
            hint="look at the hooks and protection rules of the branch",
            branch=self.branch,
        )


@contextmanager
def drafted(repository: Repository, branch: str, head: str) -> Iterator[Draft]:
    """A hidden branch from `head` for a write to `branch`; forgotten afterwards, whatever came of it."""
    draft = Draft(repository, branch, head)
    repository.create_branch(draft.name, head, hidden=True)
    try:
        yield draft
    finally:
        try:
            repository.delete_branch(draft.name)
            if secrets.randbelow(_SWEEP_EVERY) == 0:
                sweep_drafts(repository)
        except DfpError as error:  # a leftover harms nobody, and a sweep takes it
            logger.debug("hidden branch %s was left behind: %s", draft.name, error)


def sweep_drafts(repository: Repository, *, older_than_s: float = ABANDONED_AFTER_S) -> list[str]:
    """Forget hidden branches that dead writers left; return their names."""
    oldest = time.time() - older_than_s
    left = [name for name, _ in repository.branches(prefix=DRAFTS, hidden=True) if _born(name) < oldest]
    for name in left:
        repository.delete_branch(name)
    return left


def in_parallel(function: Callable[[Item], Answer], items: Collection[Item]) -> list[Answer]:
    """The answers to all items, in their order, several asked for at the same time."""
    if len(items) <= 1:
        return [function(item) for item in items]
    pool = ThreadPoolExecutor(min(AT_ONCE, len(items)))
    try:
        return list(pool.map(function, items))
    finally:  # after an error or Ctrl-C, what has not begun does not begin
        pool.shutdown(cancel_futures=True)


def _born(name: str) -> float:
    try:
        return int(name.removeprefix(DRAFTS).partition("-")[0], 16)
    except ValueError:
        return float("inf")


def internal(path: str) -> bool:
    """Whether a path is the keeper's own."""
    return path.startswith(INTERNAL)


def foreign_tokens(paths: Iterable[str], branch: str) -> list[str]:
    """Tokens of other branches that a merge brought; they mean nothing on `branch`."""
    return [path for path in paths if internal(path) and path != token_path(branch)]
