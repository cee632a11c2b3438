"""Branches and tags of a lakeFS repository by the lake's rules of names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from dfp_platform.errors import (
    AlreadyExistsError,
    DfpError,
    InvalidNameError,
    NotFoundError,
    ReadOnlyError,
    StaleHeadError,
    UnknownOutcomeError,
)
from dfp_platform.lake.interface import checked_ref_name
from dfp_platform.lake.lakefs_drafts import DRAFTS, pause
from dfp_platform.lake.lakefs_history import SEALED, History, as_commit, parents_of
from dfp_platform.lake.lakefs_repository import Record, Repository
from dfp_platform.lake.lakefs_server import LostAnswerError, Refused
from dfp_platform.lake.origins import OriginIndex

_HEX = re.compile(r"[0-9a-f]{7,64}")
_RACES = 5
"""How often a name is tried for that another makes a ref of the other kind of at the same time."""

_LOOKS_LIKE_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Refs:
    """What names mean in one repository, and how names are made and forgotten.

    Args:
        origins: file for what is remembered of commits that were brought from other lakes.
    """

    def __init__(self, repository: Repository, history: History, uri: str, origins: Path) -> None:
        self._repository = repository
        self._history = history
        self._uri = uri
        self._origins = OriginIndex(origins, partial(_looked_at, history))

    def record(self, ref: str) -> Record:
        """The commit a ref names. Raises NotFoundError."""
        found = self._history.find(ref) if _is_ref_name(ref) else None
        if found is None and _HEX.fullmatch(ref):
            found = self._copy_of(ref)
        if found is None:
            raise self.unknown(ref, "branch, tag or commit")
        return found

    def head(self, branch: str) -> str:
        """Where a branch that can be written stands. Raises ReadOnlyError for a tag or commit, NotFoundError."""
        head = self._repository.head(branch) if _is_ref_name(branch) else None
        if head is None:
            self.record(branch)
            raise ReadOnlyError(
                f"{branch} is a tag or a commit and cannot be written",
                hint=f"make a branch from it: create_branch(name, {branch!r})",
                ref=branch,
            )
        if SEALED in self.record(head).metadata:
            raise NotFoundError(f"branch {branch} is being deleted", hint="if it stays, delete it again", branch=branch)
        return head

    def expected(self, branch: str, head: str, expect: str | None) -> str:
        """The head, if it is the expected one. Raises StaleHeadError."""
        if expect is not None and head != expect:
            raise StaleHeadError(
                f"{branch} is at {head}, not at {expect} as expected",
                hint="read the branch again and repeat the work on what is there now",
                branch=branch,
                expected=expect,
                actual=head,
            )
        return head

    def branches(self) -> dict[str, str]:
        """Every branch of the lake and its head."""
        return {name: head for name, head in self._repository.branches() if not name.startswith(DRAFTS)}

    def create_branch(self, name: str, target: str) -> None:
        """A branch at a commit. Raises AlreadyExistsError, InvalidNameError, UnknownOutcomeError."""
        _check_new_name(name)
        for again in range(_RACES):
            self._refuse_tag(name)
            self._make_branch(name, target)
            if self._repository.tagged(name) is None:
                return
            self.forget_branch(name)  # made as a tag by another at the same time, who may give it back too
            pause(again)
        self._refuse_tag(name)
        raise _raced_for("branch", name)

    def forget_branch(self, name: str) -> None:
        """Delete a branch. Raises NotFoundError."""
        try:
            self._repository.delete_branch(name)
        except Refused as refused:
            raise self._not_forgotten("branch", name, refused) from refused

    def create_tag(self, name: str, target: str) -> None:
        """A tag on a commit; the same again is no error. Raises AlreadyExistsError, InvalidNameError."""
        _check_new_name(name)
        for again in range(_RACES):
            self._refuse_branch(name)
            try:
                self._repository.create_tag(name, target)
            except Refused as refused:
                if self._repository.tagged(name) != target:
                    raise self._not_made("tag", name, refused) from refused
            if self._repository.head(name) is None:
                return
            self.forget_tag(name)  # made as a branch by another at the same time, who may give it back too
            pause(again)
        self._refuse_branch(name)
        raise _raced_for("tag", name)

    def forget_tag(self, name: str) -> None:
        """Delete a tag. Raises NotFoundError."""
        try:
            self._repository.delete_tag(checked_ref_name(name))
        except Refused as refused:
            raise self._not_forgotten("tag", name, refused) from refused

    def unknown(self, name: str, kind: str) -> NotFoundError:
        """The error for a name that nothing has, with those that are near."""
        names = [*self.branches(), *(tag for tag, _ in self._repository.tags())]
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`dfp lake branches` lists what is there"
        return NotFoundError(f"no {kind} {name!r} in the lake at {self._uri}", hint=hint, ref=name)

    # -- inside --------------------------------------------------------------------------------------------------

    def _make_branch(self, name: str, target: str) -> None:
        try:
            self._repository.create_branch(name, target)
        except Refused as refused:
            raise self._not_made("branch", name, refused) from refused
        except LostAnswerError as error:
            raise UnknownOutcomeError(
                f"the lakeFS server was told to make branch {name} and did not answer: {error.message}",
                hint="look whether the branch is there before trying again",
                branch=name,
            ) from error

    def _copy_of(self, origin: str) -> Record | None:
        """The commit that was brought here from another lake, where it had this id."""
        heads = [*self.branches().values(), *(commit for _, commit in self._repository.tags())]
        found = map(self._history.find, self._origins.copies(origin, heads))
        return next((record for record in found if record is not None), None)

    def _refuse_tag(self, name: str) -> None:
        if self._repository.tagged(name) is not None:
            raise AlreadyExistsError(f"{name} is a tag already", hint="choose another name", branch=name)

    def _refuse_branch(self, name: str) -> None:
        if self._repository.head(name) is not None:
            raise AlreadyExistsError(f"{name} is a branch already", hint="choose another name", tag=name)

    def _not_made(self, kind: str, name: str, refused: Refused) -> DfpError:
        if refused.status == 409:
            refuse_other_kind = self._refuse_tag if kind == "branch" else self._refuse_branch
            refuse_other_kind(name)
            hint = "choose another name, or delete it first" if kind == "branch" else "tags never move"
            return AlreadyExistsError(f"{kind} {name} is there already", hint=hint, **{kind: name})
        return ReadOnlyError(f"lakeFS did not make {kind} {name}: {refused.said}", **{kind: name})

    def _not_forgotten(self, kind: str, name: str, refused: Refused) -> DfpError:
        if refused.status == 404:
            return self.unknown(name, kind)
        return ReadOnlyError(
            f"lakeFS did not delete {kind} {name}: {refused.said}",
            hint="look at the hooks and protection rules",
            **{kind: name},
        )


def _looked_at(history: History, commit: str) -> tuple[tuple[str, ...], Mapping[str, str]]:
    record = history.record(commit)
    return parents_of(record), as_commit(record).metadata


def _check_new_name(name: str) -> None:
    if _LOOKS_LIKE_ID.fullmatch(checked_ref_name(name)):
        raise InvalidNameError(f"{name} looks like a commit id", hint="choose another name", name=name)


def _raced_for(kind: str, name: str) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"others were after the name {name} at the same time", hint="try again, or choose another name", **{kind: name}
    )


def _is_ref_name(name: str) -> bool:
    """Whether `name` could be a branch, a tag or a commit id; lakeFS would read more into one (`main~1`)."""
    with suppress(InvalidNameError):
        return bool(checked_ref_name(name))
    return False
