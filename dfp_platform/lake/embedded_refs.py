"""The refs of an embedded lake: what a name means, how branches and tags come and go, which branch is protected."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from dfp_platform.errors import AlreadyExistsError, InvalidNameError, NotFoundError, ReadOnlyError, StaleHeadError
from dfp_platform.lake.forgotten import Forgotten
from dfp_platform.lake.git_store import BRANCHES, TAGS, GitStore, Oid
from dfp_platform.lake.interface import Lake, checked_ref_name, is_ref_name
from dfp_platform.lake.origins import OriginIndex
from dfp_platform.lake.protected import Protected
from dfp_platform.schemas import MAIN, CommitId

_HEX = re.compile(r"[0-9a-f]{7,40}")
_HEX_ELSEWHERE = re.compile(r"[0-9a-f]{7,64}")
_WHOLE_ID = re.compile(r"[0-9a-f]{40}")


class EmbeddedRefs(Lake):
    """The part of `EmbeddedLake` that knows refs."""

    _store: GitStore
    _forgotten: Forgotten
    _protected: Protected
    _turns: Path
    _origins: OriginIndex

    def resolve(self, ref: str) -> CommitId:
        return CommitId(self._resolve(ref).hex())

    # -- refs ---------------------------------------------------------------------------------------------------

    def branches(self) -> dict[str, CommitId]:
        return {name: CommitId(oid.hex()) for name, oid in self._store.refs(BRANCHES).items()}

    def create_branch(self, name: str, source: str = MAIN) -> CommitId:
        self._check_new_name(name)
        with self._store.refs_locked():
            if self._store.ref(TAGS + name) is not None:
                raise AlreadyExistsError(f"{name} is a tag already", hint="choose another name", branch=name)
            target = self._resolve_kept(source)
            if not self._store.move_ref(BRANCHES + name, None, target):
                raise AlreadyExistsError(
                    f"branch {name} is there already", hint="choose another name, or delete it first", branch=name
                )
        return CommitId(target.hex())

    def delete_branch(self, name: str, *, expect: CommitId | None = None) -> None:
        if name == MAIN:
            raise ReadOnlyError("main is never deleted", hint="revert what should not be there", branch=name)
        self._protected.refuse(name)
        with self._store.refs_locked():
            head = self._head(name)
            self._expected(name, head, expect)
            self._store.move_ref(BRANCHES + name, head, None)
        (self._turns / name).unlink(missing_ok=True)

    def tags(self) -> dict[str, CommitId]:
        return {name: CommitId(oid.hex()) for name, oid in self._store.refs(TAGS).items()}

    def tag(self, name: str, ref: str) -> CommitId:
        self._check_new_name(name)
        with self._store.refs_locked():
            if self._store.ref(BRANCHES + name) is not None:
                raise AlreadyExistsError(f"{name} is a branch already", hint="choose another name", tag=name)
            target = self._resolve_kept(ref)
            if not self._store.move_ref(TAGS + name, None, target) and self._store.ref(TAGS + name) != target:
                raise AlreadyExistsError(
                    f"tag {name} names another commit", hint="tags never move: choose another name", tag=name
                )
        return CommitId(target.hex())

    def delete_tag(self, name: str) -> None:
        with self._store.refs_locked():
            target = self._store.ref(TAGS + checked_ref_name(name))
            if target is None:
                raise self._unknown(name, "tag")
            self._store.move_ref(TAGS + name, target, None)

    def protected_branches(self) -> frozenset[str]:
        return self._protected.branches()

    def protect_branch(self, name: str) -> None:
        with self._store.refs_locked():
            self._head(name)
            self._protected.add(name)

    def unprotect_branch(self, name: str) -> None:
        with self._store.refs_locked():
            self._protected.remove(name)

    # -- inside: names ------------------------------------------------------------------------------------------

    def _resolve(self, ref: str) -> Oid:
        if is_ref_name(ref):
            for kind in (BRANCHES, TAGS):
                if (target := self._store.ref(kind + ref)) is not None:
                    return target
            if _HEX.fullmatch(ref) and (found := self._store.find_commit(ref)) is not None:
                return found
            if _HEX_ELSEWHERE.fullmatch(ref) and (found := self._copy_of(ref)) is not None:
                return found
        raise self._unknown(ref, "branch, tag or commit")

    def _copy_of(self, origin: str) -> Oid | None:
        """The commit that was brought here from another lake, where it had this id."""
        heads = [*self._store.refs(BRANCHES).values(), *self._store.refs(TAGS).values()]
        copies = self._origins.copies(origin, (head.hex() for head in heads))
        return next((found for copy in copies if (found := self._store.find_commit(copy)) is not None), None)

    def _resolve_kept(self, ref: str) -> Oid:
        """The commit a ref names, for a ref that shall reach it too. Raises NotFoundError: collected as garbage."""
        return self._forgotten.refuse(self._resolve(ref))

    def _head(self, branch: str) -> Oid:
        """Where a branch stands. Raises ReadOnlyError for a tag or commit, NotFoundError."""
        head = self._store.ref(BRANCHES + branch) if is_ref_name(branch) else None
        if head is not None:
            return head
        self._resolve(branch)
        raise ReadOnlyError(
            f"{branch} is a tag or a commit and cannot be written",
            hint=f"make a branch from it: create_branch(name, {branch!r})",
            ref=branch,
        )

    def _unknown(self, name: str, kind: str) -> NotFoundError:
        near = difflib.get_close_matches(name, [*self.branches(), *self.tags()], n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`dfp lake branches` lists what is there"
        return NotFoundError(f"no {kind} {name!r} in the lake at {self.uri}", hint=hint, ref=name)

    def _check_new_name(self, name: str) -> None:
        if _WHOLE_ID.fullmatch(checked_ref_name(name)):
            raise InvalidNameError(f"{name} looks like a commit id", hint="choose another name", name=name)

    def _expected(self, branch: str, head: Oid, expect: CommitId | None) -> None:
        if expect is not None and head.hex() != expect:
            raise StaleHeadError(
                f"{branch} is at {head.hex()}, not at {expect} as expected",
                hint="read the branch again and repeat the work on what is there now",
                branch=branch,
                expected=expect,
                actual=head.hex(),
            )
