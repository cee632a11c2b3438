"""The embedded lake: a folder with a bare git repository and content-addressed files beside it."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from dfp_platform.errors import (
    CorruptLakeError,
    NotFoundError,
)
from dfp_platform.lake.adoption import adopted
from dfp_platform.lake.ancestry import descends, merge_bases
from dfp_platform.lake.embedded_refs import EmbeddedRefs
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.forgotten import Forgotten
from dfp_platform.lake.git_store import BRANCHES, TAGS, GitStore, Oid
from dfp_platform.lake.index import ProvenanceIndex
from dfp_platform.lake.interface import Content, Lake, checked_path
from dfp_platform.lake.leases import Leases
from dfp_platform.lake.merging import base_tree, refuse_clashes
from dfp_platform.lake.objects import INLINE_LIMIT, ObjectFiles, Pointer, Progress
from dfp_platform.lake.operations import Operations, timed
from dfp_platform.lake.origins import OriginIndex
from dfp_platform.lake.packing import LOOSE_LIMIT, pack_if_many
from dfp_platform.lake.protected import Protected
from dfp_platform.lake.sweeper import Sweeper
from dfp_platform.lake.trees import Trees
from dfp_platform.lake.trouble import told_clearly
from dfp_platform.lake.turns import turn_at
from dfp_platform.schemas import MAIN, Commit, CommitId, Difference, ObjectStat

_HEX = re.compile(r"[0-9a-f]{7,40}")
_REMEMBERED_SIZES = 20_000
_WHOLE_ID = re.compile(r"[0-9a-f]{40}")

Rebuild = Callable[[Oid], Oid | None]
"""Makes, from a branch's head, the commit that shall follow it; None if nothing would change."""


class EmbeddedLake(EmbeddedRefs):
    """A `Lake` in a local folder; any number of threads and processes may hold one.

    Small objects lie in git itself, big ones in `objects/` with a pointer in git. Order of writing is files, git
    objects, ref: whatever is killed, a ref names either the old or the new state, and both are whole.
    """

    progress: Progress | None = None
    """If set, called while a big object streams in: its lake path, and the bytes taken so far."""

    loose_limit: int = LOOSE_LIMIT
    """Loose git objects at which a commit packs them."""

    def __init__(self, root: Path, *, create: bool = False) -> None:
        folder = LakeFolder(root)
        if create and not folder.exists():
            with folder.being_born() as young:
                GitStore.create(young)
        folder.check()
        self.uri = str(folder.root)
        self.warehouse = str(folder.warehouse)
        self._folder = folder
        self._store = GitStore(folder)
        self._store.mend_if_restarted()
        self._trees = Trees(self._store)
        self._files = ObjectFiles(folder.objects)
        self._leases = Leases(folder.leases)
        self._forgotten = Forgotten(folder.forgotten)
        self._protected = Protected(folder.protected)
        self._turns = folder.turns
        self.operations = Operations(folder.operations)
        self._index = ProvenanceIndex(folder.index, self._store, self._trees)
        self._origins = OriginIndex(folder.origins, partial(_looked_at, self._store))
        self._measured: dict[Oid, tuple[int, str]] = {}

    def __reduce__(self) -> tuple[Callable[..., Lake], tuple[Path]]:
        return EmbeddedLake, (Path(self.uri),)

    def __repr__(self) -> str:
        return f"EmbeddedLake({self.uri!r})"

    # -- reading ------------------------------------------------------------------------------------------------

    def stat(self, ref: str, path: str) -> ObjectStat:
        return self._stat(path, self._blob(ref, path))

    def open(self, ref: str, path: str) -> BinaryIO:
        blob = self._store.read(self._blob(ref, path))
        pointer = Pointer.decode(blob)
        return io.BytesIO(blob) if pointer is None else self._files.file_of(pointer, path).open("rb")

    def exists(self, ref: str, path: str) -> bool:
        return self._trees.find(self._tree(ref), checked_path(path)) is not None

    def list(self, ref: str, prefix: str = "") -> Iterator[ObjectStat]:
        found = self._trees.walk(self._tree(ref), prefix)
        return (self._stat(path, blob) for path, blob in found)

    def address(self, ref: str, path: str) -> str:
        blob = self._store.read(self._blob(ref, path))
        pointer = Pointer.decode(blob)
        if pointer is None:
            return str(self._files.keep_small(blob, path))
        return str(self._files.file_of(pointer, path))

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
        self._expected(branch, self._head(branch), expect)
        self._protected.refuse(branch)

        def rebuild(head: Oid) -> Oid | None:
            before = self._store.commit(head).tree
            after = self._trees.keep(self._trees.apply(before, blobs))
            return None if after == before else self._store.write_commit(after, [head], message, metadata)

        with self.lease(f"commit to {branch}") if changes else nullcontext():
            blobs = self._stage(changes, self._head(branch))
            return self._advance(branch, rebuild, expect)

    def adopt_files(
        self,
        branch: str,
        files: Mapping[str, Path],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
    ) -> CommitId:
        with self.lease(f"adopt {len(files)} files"):
            changes = {path: adopted(self._files, file, checked_path(path)) for path, file in files.items()}
            return self.commit(branch, changes, message=message, metadata=metadata)

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
        theirs = self._resolve_kept(source)
        self._expected(into, self._head(into), expect)

        def rebuild(head: Oid) -> Oid | None:
            bases = merge_bases(self._store.commit, head, [theirs])
            if theirs in bases:
                return None
            before = self._store.commit(head).tree
            merged = self._trees.merge(
                base_tree(self._store, self._trees, bases), before, self._store.commit(theirs).tree
            )
            refuse_clashes(merged, settled, f"merge {source} into {into}", ours=into, theirs=source)
            after = self._trees.keep(self._trees.apply(merged.tree, settled))
            return None if after == before else self._store.write_commit(after, [head, theirs], message, metadata)

        with self.lease(f"merge {source} into {into}"):
            settled = self._stage(resolved or {}, theirs)
            return self._advance(into, rebuild, expect)

    @timed("revert")
    def revert(
        self, branch: str, commit: str, *, message: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> CommitId:
        self._store.begin()
        undone = self._store.commit(self._resolve_kept(commit))
        subject = next(iter(undone.as_record().message.splitlines()), undone.oid.hex())
        text = message or f"revert: {subject}"
        facts = {"reverts": undone.oid.hex(), **(metadata or {})}
        parent = self._store.commit(self._forgotten.refuse(undone.parents[0])).tree if undone.parents else None

        def rebuild(head: Oid) -> Oid | None:
            if not descends(self._store.commit, head, undone.oid):
                raise NotFoundError(
                    f"{undone.oid.hex()} is not in the history of {branch}",
                    hint=f"`dfp lake log {branch}` lists what can be reverted there",
                    commit=undone.oid.hex(),
                    branch=branch,
                )
            before = self._store.commit(head).tree
            merged = self._trees.merge(undone.tree, before, parent)
            refuse_clashes(merged, {}, f"revert {commit} on {branch}", ours=branch, theirs="the state before it")
            after = self._trees.keep(merged.tree)
            return None if after == before else self._store.write_commit(after, [head], text, facts)

        with self.lease(text):
            return self._advance(branch, rebuild, None)

    # -- history ------------------------------------------------------------------------------------------------

    def show(self, ref: str) -> Commit:
        return self._store.commit(self._resolve(ref)).as_record()

    def log(self, ref: str = MAIN, *, path: str | None = None, limit: int | None = None) -> Iterator[Commit]:
        found = self._index.history(self._resolve(ref), path=path and checked_path(path), limit=limit)
        return (self._store.commit(oid).as_record() for oid in found)

    def diff(self, left: str, right: str, prefix: str = "") -> Iterator[Difference]:
        found = self._trees.diff(self._tree(left), self._tree(right), prefix)
        return (
            Difference(path, self._stat(path, before) if before else None, self._stat(path, after) if after else None)
            for path, before, after in found
        )

    def merge_base(self, left: str, right: str) -> CommitId | None:
        bases = merge_bases(self._store.commit, self._resolve(left), [self._resolve(right)])
        return CommitId(bases[0].hex()) if bases else None

    def provenance(self, ref: str, path: str) -> Commit:
        head, blob = self._resolve(ref), self._blob(ref, path)
        writer = self._index.writer(head, path, blob)
        if writer is None:
            raise NotFoundError(f"no commit of {ref} is known to have written {path}", ref=ref, path=path)
        return self._store.commit(writer).as_record()

    def verify(self) -> Sequence[str]:
        from dfp_platform.lake.verification import damages

        return damages(GitStore(self._folder), self._files, skip=self._forgotten.commits())

    def moved_files(self) -> Mapping[str, str]:
        former = self._folder.former_locations()
        return {root: self.copies_place(root) for root in former if root != self.uri}

    def copies_place(self, root: str) -> str:
        """A lake that keeps table files in a folder has them where this one has: they share what they share."""
        return super().copies_place(root) if "://" in root else self.uri

    def remember_copies(self, roots: Collection[str]) -> None:
        self._folder.remember(roots)

    def lease(self, what: str) -> AbstractContextManager[None]:
        return self._leases.hold(what)

    @contextmanager
    def turn(self, branch: str) -> Iterator[None]:
        with told_clearly(self._folder.root), turn_at(self._turns / branch):
            yield

    def sweeper(self) -> Sweeper:
        from dfp_platform.lake.sweeping import EmbeddedSweeper

        return EmbeddedSweeper(GitStore(self._folder), self._files, self._leases, self._forgotten)

    # -- inside: content ----------------------------------------------------------------------------------------

    def _tree(self, ref: str) -> Oid:
        return self._store.commit(self._resolve(ref)).tree

    def _blob(self, ref: str, path: str) -> Oid:
        blob = self._trees.find(self._tree(ref), checked_path(path))
        if blob is None:
            raise NotFoundError(
                f"no object {path} at {ref}", hint=f"`dfp lake show {ref}` lists what is there", ref=ref, path=path
            )
        return blob

    def _stat(self, path: str, blob: Oid) -> ObjectStat:
        if (found := self._measured.get(blob)) is None:
            if len(self._measured) >= _REMEMBERED_SIZES:
                self._measured.clear()
            found = self._measured[blob] = _measure(self._store.read(blob))
        return ObjectStat(path, *found)

    def _stage(self, changes: Mapping[str, Content], head: Oid) -> dict[str, Oid | None]:
        """Keep the bytes of all changes, whose blobs no commit names yet."""
        for path in changes:
            checked_path(path)
        self._store.begin()
        blobs: dict[str, Oid | None] = {}
        for path, content in changes.items():
            if content is None:
                blobs[path] = None
            elif isinstance(content, ObjectStat):
                blobs[path] = self._held(content, path, head)
            else:
                blobs[path] = self._store.write_blob(self._files.stage(content, path, self.progress))
        return blobs

    def _held(self, found: ObjectStat, path: str, head: Oid) -> Oid:
        """The blob for an object the lake already has."""
        pointer = Pointer(found.sha256, found.size)
        if found.size > INLINE_LIMIT:
            if self._files.holds(pointer, path):
                return self._store.write_blob(pointer.encode())
        elif (content := self._files.small_content(found.sha256)) is not None:
            return self._store.write_blob(self._files.stage(content, path))
        else:
            for at in (head, *self._store.refs(BRANCHES).values(), *self._store.refs(TAGS).values()):
                if (blob := self._index.small_object(at, found.sha256)) is not None:
                    with suppress(CorruptLakeError):  # the index remembers what has been collected as garbage
                        return self._store.write_blob(self._store.read(blob))
        raise NotFoundError(
            f"the lake holds no object with the content of {found.path} (sha256 {found.sha256})",
            hint="commit its bytes instead of its ObjectStat",
            path=path,
            sha256=found.sha256,
        )

    # -- inside: moving a branch --------------------------------------------------------------------------------

    def _advance(self, branch: str, rebuild: Rebuild, expect: CommitId | None) -> CommitId:
        """Put the commit that `rebuild` makes on a branch, again if another writer was quicker."""
        head = self._head(branch)
        self._expected(branch, head, expect)
        made = rebuild(head)
        if made is None:
            return CommitId(head.hex())
        with self._store.refs_locked():
            if not self._store.move_ref(BRANCHES + branch, head, made):
                head = self._head(branch)
                self._expected(branch, head, expect)
                made = rebuild(head)  # under the lock: nobody can be quicker again
                if made is None:
                    return CommitId(head.hex())
                self._store.move_ref(BRANCHES + branch, head, made)
        self._index.catch_up(made)
        pack_if_many(self._store, self._files, limit=self.loose_limit)
        return CommitId(made.hex())


def _looked_at(store: GitStore, commit: str) -> tuple[tuple[CommitId, ...], Mapping[str, str]]:
    record = store.commit(bytes.fromhex(commit)).as_record()
    return record.parents, record.metadata


def _measure(blob: bytes) -> tuple[int, str]:
    pointer = Pointer.decode(blob)
    return (len(blob), hashlib.sha256(blob).hexdigest()) if pointer is None else (pointer.size, pointer.sha256)
