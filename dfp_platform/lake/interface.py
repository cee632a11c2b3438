"""The one interface of a lake: git for data. `open_lake(uri)` gives one; keepers implement `Lake`."""

from __future__ import annotations

import hashlib
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from dfp_platform.errors import ConfigurationError, InvalidNameError, NotFoundError, ReadOnlyError
from dfp_platform.lake.operations import Operations, timed
from dfp_platform.lake.sweeper import Sweeper
from dfp_platform.schemas import MAIN, Commit, CommitId, Difference, ObjectStat

Content = bytes | Path | BinaryIO | ObjectStat | None
"""What a commit puts at a path: bytes, a file, a stream, an object the lake already holds, or None to remove it."""

LONGEST_PATH = 900
"""Letters of the longest path: what S3 takes, less what a keeper puts before it."""

_REF = re.compile(r"[a-z0-9][a-z0-9_-]{0,199}")
_PART = re.compile(r"[A-Za-z0-9._%=+@,-]+")


class Lake(ABC):
    """A versioned object store. A `ref` is a branch, a tag or a commit id.

    Safe to use from many threads and many processes at once. Every write is atomic over all its paths, durable once
    the call returns, and compare-and-swap on the head: a race is retried inside unless `expect` pins the head.
    """

    uri: str
    """What `open_lake` was given, in its canonical form."""

    warehouse: str
    """Where table files of every branch may lie: an absolute folder, or an ``s3://`` prefix. No branch owns it."""

    operations: Operations
    """What was done to it, counted and timed."""

    # -- reading ------------------------------------------------------------------------------------------------

    @abstractmethod
    def resolve(self, ref: str) -> CommitId:
        """The commit a ref names now. Raises NotFoundError."""

    @abstractmethod
    def stat(self, ref: str, path: str) -> ObjectStat:
        """Size and digest of one object. Raises NotFoundError."""

    @abstractmethod
    def open(self, ref: str, path: str) -> BinaryIO:
        """A seekable stream of one object. Raises NotFoundError."""

    @abstractmethod
    def list(self, ref: str, prefix: str = "") -> Iterator[ObjectStat]:
        """All objects whose path starts with `prefix` (any string), in path order."""

    @abstractmethod
    def address(self, ref: str, path: str) -> str:
        """Where an engine can read the object by itself: an absolute local path, or an ``s3://`` address."""

    @timed("read")
    def read(self, ref: str, path: str) -> bytes:
        """All bytes of one object. Raises NotFoundError."""
        with self.open(ref, path) as stream:
            return stream.read()

    def files(self, ref: str, folder: str) -> dict[str, bytes]:
        """All bytes of the objects beneath a folder at one commit, by their names below it; empty if none is there."""
        commit, prefix = self.resolve(ref), f"{folder}/"
        return {found.path.removeprefix(prefix): self.read(commit, found.path) for found in self.list(commit, prefix)}

    def exists(self, ref: str, path: str) -> bool:
        """Whether the object is there at `ref`."""
        return next((True for found in self.list(ref, path) if found.path == path), False)

    # -- writing ------------------------------------------------------------------------------------------------

    @abstractmethod
    def commit(
        self,
        branch: str,
        changes: Mapping[str, Content],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
        expect: CommitId | None = None,
    ) -> CommitId:
        """Apply all changes in one commit and return the branch's head.

        Changes that leave every path as it was make no commit: the head is returned as it is.

        Args:
            changes: by path. A stream is read from where it stands, and left there if it can seek.
            expect: the head this write is based on; if the branch has moved, StaleHeadError and nothing is written.
        Raises:
            StaleHeadError: `expect` is not the head. ReadOnlyError: `branch` is a tag or a commit.
            NotFoundError: no such branch. InvalidNameError: a path the lake cannot hold.
        """

    def adopt_files(
        self,
        branch: str,
        files: Mapping[str, Path],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
    ) -> CommitId:
        """Commit local files without copying their bytes where the keeper can: they then are the lake's files too.

        Args:
            files: by the lake path where each shall stand. They must not change any more: where nothing is copied they
                become read-only.
        Raises:
            What `commit` raises. InputError: a file changed meanwhile.
        """
        return self.commit(branch, dict(files), message=message, metadata=metadata)

    @abstractmethod
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
        """Three-way merge by path of `source` into the branch `into`, in one commit; return the new head.

        A source that brings nothing new makes no commit. A path changed differently on both sides is a conflict,
        unless `resolved` says what stands there afterwards.

        Raises:
            MergeConflictError: lists every conflict; nothing was written. StaleHeadError: `into` is not at `expect`.
        """

    @abstractmethod
    def revert(
        self, branch: str, commit: str, *, message: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> CommitId:
        """Take one commit of `branch` back by a new commit (a merge: against its first parent).

        Raises MergeConflictError where a later commit changed the same paths again.
        """

    @contextmanager
    def transaction(self, branch: str, *, message: str, metadata: Mapping[str, str] | None = None) -> Iterator[str]:
        """An ephemeral branch, made from `branch`, that is merged into it on success and deleted either way.

        Yields the ephemeral branch's name. An error inside leaves `branch` as it was.

        Raises:
            ReadOnlyError: `branch` is a tag or a commit. NotFoundError: no such branch.
        """
        self._refuse_no_branch(branch)
        name = f"tx-{secrets.token_hex(8)}"
        try:
            self.create_branch(name, branch)
            yield name
            self.merge(name, branch, message=message, metadata=metadata)
        finally:
            with suppress(NotFoundError):
                self.delete_branch(name)

    def _refuse_no_branch(self, ref: str) -> None:
        if ref not in self.branches():
            self.resolve(ref)
            raise ReadOnlyError(f"{ref} is a tag or a commit", hint="make a branch from it", ref=ref)

    def lease(self, what: str) -> AbstractContextManager[None]:
        """While inside, garbage collection removes nothing that was written since it was entered, by anyone.

        For writers whose files lie there a while before a branch names them. A keeper that knows no leases leaves
        them to the grace period.

        Args:
            what: who writes what, for people.
        """
        return nullcontext()

    def turn(self, branch: str) -> AbstractContextManager[None]:
        """While inside, writers of this machine who ask for it too do not write to `branch`.

        For writes that begin with reading the head and are done anew if it moves meanwhile: without turns the slowest
        writer starves. A courtesy (see `turns`): `expect` is what keeps writes apart.
        """
        return nullcontext()

    def sweeper(self) -> Sweeper:
        """What this keeper does for garbage collection (`catalog.collection` runs it)."""
        return Sweeper()

    # -- table files of other lakes -----------------------------------------------------------------------------

    @abstractmethod
    def moved_files(self) -> Mapping[str, str]:
        """Table files that lie elsewhere than their addresses say: what addresses begin with, and what stands for it.

        Those of lakes that were synced into this one, and of the folder in which it stood before it was moved.
        """

    def copies_place(self, root: str) -> str:
        """Where the files go that lie beneath `root` in another lake: a folder, or a prefix of the warehouse."""
        return f"{self.warehouse}/from-{hashlib.sha256(root.encode()).hexdigest()[:16]}"

    @abstractmethod
    def remember_copies(self, roots: Collection[str]) -> None:
        """From now on, `moved_files` leads from what lay beneath these roots to its copies (see `copies_place`)."""

    # -- refs ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def branches(self) -> dict[str, CommitId]:
        """Every branch and its head, by name."""

    @abstractmethod
    def create_branch(self, name: str, source: str = MAIN) -> CommitId:
        """A new branch at what `source` names. Raises AlreadyExistsError, InvalidNameError."""

    @abstractmethod
    def delete_branch(self, name: str, *, expect: CommitId | None = None) -> None:
        """Forget a branch. Its commits stay while another ref reaches them. `main` is never deleted (ReadOnlyError)."""

    @abstractmethod
    def tags(self) -> dict[str, CommitId]:
        """Every tag and its commit, by name."""

    @abstractmethod
    def tag(self, name: str, ref: str) -> CommitId:
        """Name a commit for ever. The same tag on the same commit is no error; on another, AlreadyExistsError."""

    @abstractmethod
    def delete_tag(self, name: str) -> None:
        """Forget a tag."""

    def protected_branches(self) -> frozenset[str]:
        """Branches that are changed by merges (and reverts) only: `commit` and `delete_branch` raise ReadOnlyError."""
        return frozenset()

    def protect_branch(self, name: str) -> None:
        """Protect a branch. Raises NotFoundError; ConfigurationError: the keeper has its own rules for that."""
        raise ConfigurationError(
            f"the lake at {self.uri} keeps its own rules of protection", hint="set them there", setting="lake"
        )

    def unprotect_branch(self, name: str) -> None:
        """Protect a branch no longer; one that is not protected is no error. Raises as `protect_branch`."""
        self.protect_branch(name)

    # -- history ------------------------------------------------------------------------------------------------

    @abstractmethod
    def show(self, ref: str) -> Commit:
        """The commit a ref names."""

    @abstractmethod
    def log(self, ref: str = MAIN, *, path: str | None = None, limit: int | None = None) -> Iterator[Commit]:
        """Commits reachable from `ref`, newest first and children before parents.

        Args:
            path: only commits that changed this object themselves; a merge that brought the change is not among them.
        """

    @abstractmethod
    def diff(self, left: str, right: str, prefix: str = "") -> Iterator[Difference]:
        """What `right` has that `left` has not, and the reverse, in path order."""

    @abstractmethod
    def merge_base(self, left: str, right: str) -> CommitId | None:
        """The newest commit both refs descend from."""

    @abstractmethod
    def provenance(self, ref: str, path: str) -> Commit:
        """The newest commit below `ref` that wrote what stands at `path` there (not the merge that brought it).

        By an index, in milliseconds. Raises NotFoundError.
        """

    @abstractmethod
    def verify(self) -> Sequence[str]:
        """Re-read everything every ref reaches and list what is missing or does not match its digest; empty is good."""


def checked_ref_name(name: str) -> str:
    """`name` if it can be a branch or tag on every keeper and on case-insensitive disks. Raises InvalidNameError."""
    if not _REF.fullmatch(name):
        raise InvalidNameError(
            f"{name!r} cannot name a branch or tag",
            hint="use lower-case letters, digits, '_' and '-', starting with a letter or digit",
            name=name,
        )
    return name


def is_ref_name(name: str) -> bool:
    """Whether `name` could be a branch, a tag or a commit id."""
    return _REF.fullmatch(name) is not None


def checked_path(path: str) -> str:
    """`path` if a lake can hold an object there. Raises InvalidNameError."""
    if len(path) > LONGEST_PATH or not all(
        _PART.fullmatch(part) and part not in (".", "..") for part in path.split("/")
    ):
        raise InvalidNameError(
            f"{path!r} cannot name an object",
            hint="use parts of letters, digits and ._%=+@,- joined by single '/'; no '/' at the ends, 900 letters",
            name=path,
        )
    return path
