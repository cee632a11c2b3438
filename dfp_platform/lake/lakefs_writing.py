"""Writes to a branch on lakeFS: prepared, landed, and prepared again where another writer was quicker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dfp_platform.errors import MergeConflictError, NotFoundError, StaleHeadError
from dfp_platform.lake.lakefs_content import Source, Wanted
from dfp_platform.lake.lakefs_drafts import drafted, foreign_tokens, pause
from dfp_platform.lake.lakefs_history import History, parents_of, written_message, written_metadata
from dfp_platform.lake.lakefs_merging import Merging, refuse_clashes
from dfp_platform.lake.lakefs_objects import Objects
from dfp_platform.lake.lakefs_refs import Refs
from dfp_platform.lake.lakefs_repository import Record, Repository

TRIES = 200
"""How often a write is put on a head that keeps moving before it is given up."""

Metadata = Mapping[str, str] | None


class Writing:
    """Commits, merges and reverts of one repository. Whoever calls holds `in_turn` for the branch."""

    def __init__(self, repository: Repository, history: History, objects: Objects, refs: Refs) -> None:
        self._repository = repository
        self._history = history
        self._objects = objects
        self._refs = refs
        self._merging = Merging(repository, history, objects)

    def put(
        self,
        branch: str,
        head: str,
        wanted: Wanted,
        message: str,
        metadata: Metadata,
        *,
        pinned: bool = False,
        seal: bool = False,
    ) -> str:
        """Have a branch hold what is wanted, by one commit, and return its head.

        A lost race costs two merges and no second upload: the head that won is brought to the hidden branch.

        Args:
            head: where the branch was seen to be.
            pinned: raise StaleHeadError if it is not there any more.
            seal: make a commit even if nothing changes, after which nobody writes to the branch any more.
        """
        expect = head if pinned else None
        ours = {"sealed": "true"} if seal else {}
        tries = iter(range(TRIES))
        for _ in tries:
            missing = self._objects.missing(head, wanted)
            if not missing and not seal:
                return head
            with drafted(self._repository, branch, head) as draft:
                draft.stage(missing)
                facts = written_metadata(message, metadata, token=draft.token, **ours)
                for again in tries:
                    made = draft.land(self._history, written_message(message), facts, squash=True)
                    if made is not None:
                        return made
                    pause(again)
                    head = self._refs.expected(branch, self._refs.head(branch), expect)
                    if not self._objects.missing(head, wanted):
                        return head
                    if not draft.bring(head, "dest-wins"):
                        break  # begin anew from that head
                    if late := self._objects.missing(draft.head, wanted):
                        draft.stage(late)
        raise _given_up(branch, head)

    def merge(
        self,
        theirs: str,
        into: str,
        settled: Wanted,
        message: str,
        metadata: Metadata,
        expect: str | None,
        *,
        source: str,
    ) -> str:
        """Merge a commit into a branch, in one commit, and return the branch's head.

        Args:
            settled: what shall stand at paths, whatever the sides say.
            source: what the commit is called in conflicts.
        """
        head = ""
        for again in range(TRIES):
            head = self._refs.expected(into, self._refs.head(into), expect)
            made = self._merge(head, theirs, into, settled, message, metadata, source)
            if made is not None:
                return made
            pause(again)
        raise _given_up(into, head)

    def revert(self, branch: str, undone: Record, message: str, metadata: Metadata) -> str:
        """Take a commit back by a new one, and return the branch's head."""
        head = ""
        for again in range(TRIES):
            head = self._refs.head(branch)
            wanted = self._taken_back(branch, head, undone)
            try:
                return self.put(branch, head, wanted, message, metadata, pinned=True)
            except StaleHeadError:
                pause(again)
        raise _given_up(branch, head)

    def writers(self, head: str, path: str) -> Iterator[Record]:
        """The commits below a head that changed an object themselves, newest first."""
        for record in self._history.touching(head, path):
            here, *before = (
                found.stat.sha256 if (found := self._objects.find(commit, path)) else None
                for commit in (record.id, *parents_of(record))
            )
            if here not in (before or [None]):
                yield record

    # -- inside --------------------------------------------------------------------------------------------------

    def _merge(
        self, head: str, theirs: str, into: str, settled: Wanted, message: str, metadata: Metadata, source: str
    ) -> str | None:
        """One try to merge on a head; None if the branch has moved."""
        bases = self._history.merge_bases(head, [theirs])
        if theirs in bases:
            return head
        if not bases:
            raise MergeConflictError(f"{source} and {into} have no history in common", conflicts=[])
        brought = self._merging.merge(bases, head, theirs, names=(into, source))
        refuse_clashes(brought.clashes, settled, f"merge {source} into {into}")
        if not set(brought.taken) - settled.keys() and not self._objects.missing(head, settled):
            return head
        with drafted(self._repository, into, head) as draft:
            draft.bring(theirs, "source-wins")
            changed = list(self._repository.diff(head, draft.head))
            mended = self._merging.mended(changed, head, theirs, brought)
            rest: dict[str, Source | None] = {path: mended[path] for path in mended.keys() - settled.keys()}
            rest |= self._objects.missing(draft.head, settled)
            rest |= dict.fromkeys(foreign_tokens(changed, into))
            draft.stage(rest)
            facts = written_metadata(message, metadata, token=draft.token, source=theirs)
            return draft.land(self._history, written_message(message), facts, squash=False)

    def _taken_back(self, branch: str, head: str, undone: Record) -> Wanted:
        if not self._history.descends(head, undone.id):
            raise NotFoundError(
                f"{undone.id} is not in the history of {branch}",
                hint=f"`dfp lake log {branch}` lists what can be reverted there",
                commit=undone.id,
                branch=branch,
            )
        parents = parents_of(undone)
        if not parents:
            return {}  # the empty commit every repository begins with
        names = (branch, "the state before it")
        brought = self._merging.three_way(undone.id, head, parents[0], names=names)
        refuse_clashes(brought.clashes, {}, f"revert {undone.id} on {branch}")
        return self._merging.sources(parents[0], brought.taken)


def _given_up(branch: str, head: str) -> StaleHeadError:
    return StaleHeadError(
        f"{branch} moved {TRIES} times while a write to it was prepared",
        hint="try again when fewer writers are at it",
        branch=branch,
        expected=head,
        actual=None,
    )
