"""The embedded lake's own garbage: objects by sha-256 and git objects that no kept commit reaches.

Safe beside writers, and wherever it is killed. A writer that finds its content in `objects/` renews the file's time
first; a file is renamed away before its time is looked at for good, so one of the two notices the other. Git objects go
while refs stand still, and a writer that began before writes its own again (`GitStore.announce_sweep`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from dfp_platform.lake.forgotten import Forgotten
from dfp_platform.lake.git_store import BRANCHES, TAGS, GitStore, Oid
from dfp_platform.lake.leases import Leases
from dfp_platform.lake.objects import ObjectFiles, Pointer
from dfp_platform.lake.packing import objects_held, packs_are_older, repack_without
from dfp_platform.lake.sweeper import Sweeper, SweepProgress, Swept
from dfp_platform.lake.trees import Trees
from dfp_platform.schemas import CommitId

_BATCH = 500
"""Git objects removed while refs stand still."""

_DIGEST = 64
"""Letters of a sha-256, with which the name of every file in `objects/` begins."""


class EmbeddedSweeper(Sweeper):
    """See `Sweeper`. Its store is opened for this alone."""

    def __init__(self, store: GitStore, files: ObjectFiles, leases: Leases, forgotten: Forgotten) -> None:
        self._store = store
        self._files = files
        self._leases = leases
        self._forgotten = forgotten
        self._trees = Trees(store)

    def oldest_lease(self) -> float | None:
        return self._leases.oldest()

    def unnamed_commits(self, *, since: float) -> Collection[CommitId]:
        named = self._history(self._heads())
        return {
            CommitId(oid.hex())
            for oid in self._store.objects()
            if oid not in named and self._store.is_commit(oid) and not self._is_older(oid, since)
        }

    def refs_held(self) -> AbstractContextManager[None]:
        return self._store.refs_locked()

    def forget_all_but(self, kept: Collection[CommitId], *, older_than: float) -> None:
        alive = _oids(kept)
        others = (oid for oid in self._store.objects() if oid not in alive and self._store.is_commit(oid))
        self._forgotten.add({oid for oid in others if self._is_older(oid, older_than)})

    def _is_older(self, commit: Oid, moment: float) -> bool:
        """Whether a commit was made before a moment for certain: git keeps whole seconds."""
        return self._store.commit(commit).time + 1 < moment

    def is_forgotten(self, commit: CommitId) -> bool:
        return bytes.fromhex(commit) in self._forgotten.commits()

    def sweep(
        self,
        kept: Collection[CommitId],
        *,
        shared: Collection[str],
        older_than: float,
        delete: bool,
        progress: SweepProgress | None = None,
    ) -> dict[str, Swept]:
        self._files.restore_aside()
        digests = self._digests(_oids(kept))
        garbage = [file for file in self._aged_objects(older_than) if not _is_needed(file, digests, shared)]
        found = {"objects": _measured(garbage)}
        if delete:
            for number, file in enumerate(garbage):
                self._remove(file, older_than)
                if progress is not None:
                    progress("removing objects", number + 1, len(garbage))
            self._files.sweep_incoming()
        return {**found, "git objects": self._sweep_git(_oids(kept), older_than, delete=delete)}

    # -- objects/ -----------------------------------------------------------------------------------------------

    def _digests(self, commits: Collection[Oid]) -> set[str]:
        """The sha-256 of every object of these commits, of small ones too: engines may have asked for their files."""
        seen, blobs, digests = set[Oid](), set[Oid](), set[str]()
        for commit in commits:
            for blob in self._trees.reach(self._store.commit(commit).tree, seen):
                if blob not in blobs:
                    blobs.add(blob)
                    data = self._store.read(blob)
                    pointer = Pointer.decode(data)
                    digests.add(hashlib.sha256(data).hexdigest() if pointer is None else pointer.sha256)
        return digests

    def _aged_objects(self, older_than: float) -> Iterator[Path]:
        for shelf in self._files.folder.glob("[0-9a-f][0-9a-f]"):
            for file in shelf.iterdir():
                if _age_of(file) < older_than:
                    yield file

    def _remove(self, file: Path, older_than: float) -> None:
        """Remove a file unless a writer has come back to it: from where nobody finds it, its age is certain."""
        aside = self._files.aside(file.name)
        with suppress(FileNotFoundError):  # another sweep was quicker
            os.rename(file, aside)
            if _age_of(aside) < older_than:
                aside.unlink()
            else:
                os.rename(aside, file)
                aside.unlink(missing_ok=True)  # it may have become a second name of the same file meanwhile

    # -- git ----------------------------------------------------------------------------------------------------

    def _heads(self) -> list[Oid]:
        return [oid for kind in (BRANCHES, TAGS) for oid in self._store.refs(kind).values()]

    def _history(self, commits: Collection[Oid]) -> set[Oid]:
        """These commits and all they were built on."""
        seen, stack = set[Oid](), list(commits)
        while stack:
            oid = stack.pop()
            if oid not in seen:
                seen.add(oid)
                stack += self._store.commit(oid).parents
        return seen

    def _reachable(self, kept: Collection[Oid]) -> set[Oid]:
        """Every git object of the whole history of all refs and of the kept commits."""
        commits = self._history([*self._heads(), *kept])
        seen = set[Oid](commits)
        for commit in commits:
            tree = self._store.commit(commit).tree
            seen.update(list(self._trees.reach(tree, seen)))
        return seen

    def _sweep_git(self, kept: Collection[Oid], older_than: float, *, delete: bool) -> Swept:
        loose = self._store.loose_objects()
        everything = set(self._store.objects())
        garbage = everything - self._reachable(kept)
        files = {oid: file for oid, file in loose.items() if oid in garbage and _age_of(file) < older_than}
        packed = garbage - loose.keys() if packs_are_older(self._store, older_than) else set[Oid]()
        found = _measured(files.values()) + Swept(len(packed))
        if delete and files:
            self._remove_loose(files, older_than)
        if delete and packed:
            repack_without(self._store, packed, reachable=lambda: self._reachable(kept), older_than=older_than)
        return found

    def _remove_loose(self, files: dict[Oid, Path], older_than: float) -> None:
        """Commits first, so that whoever is stopped half way leaves no commit that lacks something."""
        with objects_held(self._store, wait=True):  # who packs has listed what is loose, and reads it
            there = {oid: file for oid, file in files.items() if file.exists()}
            ordered = sorted(there, key=lambda oid: not self._store.is_commit(oid))
            for start in range(0, len(ordered), _BATCH):
                with self._store.refs_locked():
                    self._store.announce_sweep()
                    for oid in ordered[start : start + _BATCH]:
                        if _age_of(there[oid]) < older_than:  # git renews the time of what is written once more
                            there[oid].unlink(missing_ok=True)


def _oids(commits: Collection[CommitId]) -> set[Oid]:
    return {bytes.fromhex(commit) for commit in commits}


def _is_needed(file: Path, digests: Collection[str], shared: Collection[str]) -> bool:
    return file.name[:_DIGEST] in digests or str(file) in shared


def _age_of(file: Path) -> float:
    """When a file was last written or asked for; never, if it is gone: then it is no garbage of ours."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _measured(files: Collection[Path]) -> Swept:
    """Several names of one file are one file."""
    found = {}
    for file in files:
        with suppress(FileNotFoundError):
            status = file.stat()
            found[status.st_ino] = status.st_size
    return Swept(len(found), sum(found.values()))
