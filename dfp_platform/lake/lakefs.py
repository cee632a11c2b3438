"""The lake on a lakeFS server: one repository, every promise of `Lake` kept over its HTTP interface."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import BinaryIO

from dfp_platform.errors import NotFoundError, ReadOnlyError
from dfp_platform.lake.interface import Content, Lake, checked_path, checked_ref_name
from dfp_platform.lake.lakefs_content import measured, opened
from dfp_platform.lake.lakefs_copies import remember_roots, remembered_roots
from dfp_platform.lake.lakefs_drafts import in_turn
from dfp_platform.lake.lakefs_folders import (
    copies_folder,
    operations_file,
    origins_file,
    storage_namespace,
    turns_folder,
    warehouse_of,
)
from dfp_platform.lake.lakefs_history import SEALED, History, as_commit, parents_of
from dfp_platform.lake.lakefs_objects import Found, Objects, digest, not_there
from dfp_platform.lake.lakefs_refs import Refs
from dfp_platform.lake.lakefs_repository import Repository
from dfp_platform.lake.lakefs_server import connect
from dfp_platform.lake.lakefs_writing import Writing
from dfp_platform.lake.objects import Progress
from dfp_platform.lake.operations import Operations, timed
from dfp_platform.lake.turns import turn_at
from dfp_platform.schemas import MAIN, Commit, CommitId, Difference, ObjectStat


class LakeFSLake(Lake):
    """A `Lake` in one lakeFS repository; any number of threads, processes and machines may hold one.

    Writes are prepared on hidden branches and land by one merge (see `lakefs_drafts`). Reads are pinned to a commit,
    so objects that another tool uploaded and did not commit are not seen.
    """

    progress: Progress | None = None
    """If set, called while a file or stream is sent: its lake path, and the bytes sent so far."""

    def __init__(self, repository: str, *, create: bool = False) -> None:
        self.uri = f"lakefs://{repository}"
        self._repository = Repository(connect(), repository)
        self.operations = Operations(operations_file(repository))
        namespace = storage_namespace(self._repository, create=create)
        self.warehouse = warehouse_of(namespace, repository)
        self._history = History(self._repository)
        self._objects = Objects(self._repository, self._history, copies_folder(repository))
        self._refs = Refs(self._repository, self._history, self.uri, origins_file(repository))
        self._writing = Writing(self._repository, self._history, self._objects, self._refs)

    def __reduce__(self) -> tuple[Callable[..., Lake], tuple[str]]:
        return LakeFSLake, (self._repository.name,)

    def __repr__(self) -> str:
        return f"LakeFSLake({self.uri!r})"

    # -- reading ------------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> CommitId:
        return CommitId(self._refs.record(ref).id)

    def stat(self, ref: str, path: str) -> ObjectStat:
        return self._found(ref, path)[1].stat

    def open(self, ref: str, path: str) -> BinaryIO:
        commit, found = self._found(ref, path)
        return opened(self._repository, commit, path, found.stat.size)

    def exists(self, ref: str, path: str) -> bool:
        return self._objects.find(self.resolve(ref), checked_path(path)) is not None

    def list(self, ref: str, prefix: str = "") -> Iterator[ObjectStat]:
        return self._objects.list(self.resolve(ref), prefix)

    def address(self, ref: str, path: str) -> str:
        commit, found = self._found(ref, path)
        return self._objects.address(found, commit)

    # -- writing ------------------------------------------------------------------------------------------------

    @timed("commit")
    def commit(
        self,
        branch: str,
        changes: Mapping[str, Content],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
        expect: CommitId | None = None,
    ) -> CommitId:
        for path in changes:
            checked_path(path)
        with in_turn(self._repository, branch):
            head = self._refs.expected(branch, self._refs.head(branch), expect)
            with measured(changes, lambda stat: self._objects.locate(stat, [head]), self.progress) as wanted:
                return CommitId(self._writing.put(branch, head, wanted, message, metadata, pinned=expect is not None))

    @timed("merge")
    def merge(
        self,
        source: str,
        into: str = MAIN,
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
        expect: CommitId | None = None,
        resolved: Mapping[str, Content] | None = None,
    ) -> CommitId:
        settled = resolved or {}
        for path in settled:
            checked_path(path)
        theirs = self.resolve(source)
        with (
            measured(settled, lambda stat: self._objects.locate(stat, [theirs]), self.progress) as wanted,
            in_turn(self._repository, into),
        ):
            made = self._writing.merge(theirs, into, wanted, message, metadata, expect, source=source)
        return CommitId(made)

    @timed("revert")
    def revert(
        self, branch: str, commit: str, *, message: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> CommitId:
        undone = self._refs.record(commit)
        subject = next(iter(as_commit(undone).message.splitlines()), undone.id)
        facts = {"reverts": undone.id, **(metadata or {})}
        with in_turn(self._repository, branch):
            return CommitId(self._writing.revert(branch, undone, message or f"revert: {subject}", facts))

    def _refuse_no_branch(self, ref: str) -> None:
        self._refs.head(ref)  # one question instead of a list of all branches

    def turn(self, branch: str) -> AbstractContextManager[None]:
        return turn_at(turns_folder(self._repository.name) / branch)

    # -- refs ---------------------------------------------------------------------------------------------------

    def branches(self) -> dict[str, CommitId]:
        return {name: CommitId(head) for name, head in self._refs.branches().items()}

    def create_branch(self, name: str, source: str = MAIN) -> CommitId:
        checked_ref_name(name)
        target = self.resolve(source)
        self._refs.create_branch(name, target)
        return target

    def delete_branch(self, name: str, *, expect: CommitId | None = None) -> None:
        if name == MAIN:
            raise ReadOnlyError("main is never deleted", hint="revert what should not be there", branch=name)
        if not self._sealed(name, expect):
            head = self._refs.expected(name, self._refs.head(name), expect)
            if expect is not None:  # lakeFS deletes whatever the head: a last commit keeps others from writing first
                with in_turn(self._repository, name):
                    self._writing.put(name, head, {}, "delete the branch", None, pinned=True, seal=True)
        self._refs.forget_branch(name)

    def tags(self) -> dict[str, CommitId]:
        return {name: CommitId(commit) for name, commit in self._repository.tags()}

    def tag(self, name: str, ref: str) -> CommitId:
        checked_ref_name(name)
        target = self.resolve(ref)
        self._refs.create_tag(name, target)
        return target

    def delete_tag(self, name: str) -> None:
        self._refs.forget_tag(name)

    # -- history ------------------------------------------------------------------------------------------------

    def show(self, ref: str) -> Commit:
        return as_commit(self._refs.record(ref))

    def log(self, ref: str = MAIN, *, path: str | None = None, limit: int | None = None) -> Iterator[Commit]:
        head = self.resolve(ref)
        found = self._history.walk(head) if path is None else self._writing.writers(head, checked_path(path))
        return (as_commit(record) for record in islice(found, limit))

    def diff(self, left: str, right: str, prefix: str = "") -> Iterator[Difference]:
        return self._objects.diff(self.resolve(left), self.resolve(right), prefix)

    def merge_base(self, left: str, right: str) -> CommitId | None:
        bases = self._history.merge_bases(self.resolve(left), [self.resolve(right)])
        return CommitId(bases[0]) if bases else None

    def provenance(self, ref: str, path: str) -> Commit:
        commit, found = self._found(ref, path)
        for record in self._writing.writers(commit, path):
            if digest(self._objects.find(record.id, path)) == found.stat.sha256:
                return as_commit(record)
        raise NotFoundError(f"no commit of {ref} is known to have written {path}", ref=ref, path=path)

    def verify(self) -> Sequence[str]:
        from dfp_platform.lake.lakefs_verification import damages

        return damages(self._repository)

    # -- table files of other lakes -----------------------------------------------------------------------------

    def moved_files(self) -> Mapping[str, str]:
        return {root: self.copies_place(root) for root in remembered_roots(self._repository)}

    def remember_copies(self, roots: Collection[str]) -> None:
        remember_roots(self._repository, roots)

    # -- inside -------------------------------------------------------------------------------------------------

    def _found(self, ref: str, path: str) -> tuple[CommitId, Found]:
        commit = self.resolve(ref)
        found = self._objects.find(commit, checked_path(path))
        if found is None:
            raise not_there(ref, path)
        return commit, found

    def _sealed(self, branch: str, expect: CommitId | None) -> bool:
        """Whether somebody began to delete the branch, at the expected head, and was stopped half way."""
        head = self._repository.head(checked_ref_name(branch))
        if head is None:
            return False
        record = self._refs.record(head)
        return SEALED in record.metadata and expect in (None, head, *parents_of(record))
