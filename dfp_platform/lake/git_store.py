"""The bare git repository of an embedded lake: objects by id, and refs that move only from where they were seen."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel, ObjectType, Option

from dfp_platform.errors import CorruptLakeError, NotFoundError, UnknownOutcomeError
from dfp_platform.lake.durable import locked_file, sync_file, sync_folder, write_whole_file
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.journal import GitObject, Journal, oid_of
from dfp_platform.lake.trouble import told_clearly
from dfp_platform.schemas import MAIN, Commit, CommitId

logger = logging.getLogger(__name__)

Oid = bytes
"""Names a git object: 20 bytes."""

BRANCHES, TAGS = "refs/heads/", "refs/tags/"
_METADATA = "Dfp-Metadata: "
_REMEMBERED_COMMITS = 16_384
_LOOSE_NAME = re.compile(r"[0-9a-f]{38}")


@dataclass(frozen=True, slots=True)
class StoredCommit:
    """A commit as git has it. `time` is seconds since 1970, never before that of a parent."""

    oid: Oid
    tree: Oid
    parents: tuple[Oid, ...]
    time: int
    text: str

    def as_record(self) -> Commit:
        """The same, as the lake shows it."""
        message, metadata = _parse_text(self.text)
        return Commit(
            id=CommitId(self.oid.hex()),
            parents=tuple(CommitId(parent.hex()) for parent in self.parents),
            message=message,
            time=datetime.fromtimestamp(self.time, UTC),
            metadata=metadata,
        )


class GitStore:
    """Objects and refs of one bare repository, from any thread and after a fork.

    A ref that has moved, and all it reaches, is on disk; objects that no ref names yet may not be. Refs are written by
    lakes only, under one lock.
    """

    def __init__(self, folder: LakeFolder) -> None:
        self.folder = folder.repository
        self._lock = folder.refs_lock
        self._sweeps = folder.sweeps
        self._journal = Journal(folder.journal)
        self._local = threading.local()
        self._commits: dict[Oid, StoredCommit] = {}
        # A volume may belong to another user, and no hook is ever run. pygit2 has no such switch for one repository.
        pygit2.option(Option.SET_OWNER_VALIDATION, False)

    @classmethod
    def create(cls, folder: LakeFolder) -> GitStore:
        """A repository in the folder of a lake, whose `main` is one empty commit."""
        pygit2.init_repository(str(folder.repository), bare=True, initial_head="main")
        for name in ("HEAD", "config"):  # all that libgit2 left unsynced and git cannot do without
            write_whole_file(folder.repository / name, (folder.repository / name).read_bytes())
        store = cls(folder)
        store.mend_if_restarted()
        first = store.write_commit(store.write_tree(b""), [], "a new lake")
        with store.refs_locked():
            store.move_ref(BRANCHES + MAIN, None, first)
        return store

    # -- objects ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """From here on, what this thread writes belongs to the next ref it moves; what a failed attempt wrote, not."""
        self._local.unkept = []
        self._local.sweep = self._last_sweep()

    def read(self, oid: Oid) -> bytes:
        """The bytes of an object. Raises CorruptLakeError if it is missing or damaged."""
        return self._read(oid)[1]

    def write_blob(self, data: bytes) -> Oid:
        """Keep a blob."""
        return self._write(ObjectType.BLOB, data)

    def write_tree(self, data: bytes) -> Oid:
        """Keep a tree, given in git's own encoding."""
        return self._write(ObjectType.TREE, data)

    def write_commit(
        self, tree: Oid, parents: Sequence[Oid], message: str, metadata: Mapping[str, str] | None = None
    ) -> Oid:
        """Keep a commit that no ref names yet."""
        seconds = max([int(time.time()), *(self.commit(parent).time for parent in parents)])
        who = f"dfp <dfp@localhost> {seconds} +0000"
        head = [
            f"tree {tree.hex()}",
            *(f"parent {parent.hex()}" for parent in parents),
            f"author {who}",
            f"committer {who}",
        ]
        text = "\n".join(head) + "\n\n" + _format_text(message, metadata or {})
        return self._write(ObjectType.COMMIT, text.encode())

    def commit(self, oid: Oid) -> StoredCommit:
        """Read a commit. Raises CorruptLakeError if it is missing or no commit."""
        found = self._commits.get(oid)
        if found is None:
            found = self._parse_commit(oid)
            if len(self._commits) >= _REMEMBERED_COMMITS:
                self._commits.clear()
            self._commits[oid] = found
        return found

    def _parse_commit(self, oid: Oid) -> StoredCommit:
        kind, data = self._read(oid)
        if kind != ObjectType.COMMIT:
            raise CorruptLakeError(
                f"git object {oid.hex()} is not a commit", path=oid.hex(), expected="commit", actual=kind
            )
        head, _, text = data.partition(b"\n\n")
        lines = [line.split(b" ", 1) for line in head.split(b"\n") if not line.startswith(b" ")]
        seconds = next(int(rest.rsplit(b" ", 2)[1]) for key, rest in lines if key == b"committer")
        return StoredCommit(
            oid=oid,
            tree=next(bytes.fromhex(rest.decode()) for key, rest in lines if key == b"tree"),
            parents=tuple(bytes.fromhex(rest.decode()) for key, rest in lines if key == b"parent"),
            time=seconds,
            text=text.decode(errors="replace"),
        )

    def find_commit(self, name: str) -> Oid | None:
        """The commit whose hex id is `name`, or begins so and is the only one."""
        repository = self._repository
        try:
            found = repository.get(name)
        except (ValueError, pygit2.GitError):
            return None
        return found.id.raw if isinstance(found, pygit2.Commit) else None

    # -- refs ---------------------------------------------------------------------------------------------------

    def ref(self, name: str) -> Oid | None:
        """What a full ref name (``refs/heads/main``) points at now."""
        try:
            target = self._repository.lookup_reference(name).target
        except (KeyError, pygit2.InvalidSpecError):
            return None
        return target.raw if isinstance(target, pygit2.Oid) else None

    def refs(self, kind: str) -> dict[str, Oid]:
        """All refs under `BRANCHES` or `TAGS`, by short name."""
        found = {}
        for name in sorted(self._repository.listall_references()):
            if name.startswith(kind) and (target := self.ref(name)) is not None:
                found[name.removeprefix(kind)] = target
        return found

    @contextmanager
    def refs_locked(self) -> Iterator[None]:
        """While inside, nobody else moves a ref of this lake."""
        with told_clearly(self.folder.parent), locked_file(self._lock):
            yield

    def move_ref(self, name: str, before: Oid | None, after: Oid | None) -> bool:
        """Set a ref (None: delete) if it still is `before` (None: absent); False if not. Hold `refs_locked`."""
        if self.ref(name) != before:
            return False
        if after is None:
            self._delete_ref(name)
        else:
            self._survive_sweep(after)
            self._journal.append(self._unkept)
            self.begin()
            self._write_ref(name, after)
        return True

    # -- keeping ------------------------------------------------------------------------------------------------

    @contextmanager
    def retiring_journal(self) -> Iterator[None]:
        """Pack inside: on success, what was journaled until now is dropped. One packer at a time."""
        with self.refs_locked():
            self._journal.retire()
        yield
        with self.refs_locked():
            self._journal.forget_retired()

    def loose_objects(self) -> dict[Oid, Path]:
        """Every object that has a file of its own."""
        return {
            bytes.fromhex(shelf.name + file.name): file
            for shelf in (self.folder / "objects").glob("[0-9a-f][0-9a-f]")
            for file in shelf.iterdir()
            if _LOOSE_NAME.fullmatch(file.name)
        }

    def mend_if_restarted(self) -> None:
        """After the machine was started anew, write again what the disk may have lost, and drop what it garbled."""
        if self._journal.mended():
            return
        try:
            with self.refs_locked():
                if not self._journal.mended():
                    for oid, file in self.loose_objects().items():
                        if not self._readable(oid):
                            file.unlink()
                    self._local.pid = None
                    self._journal.mend(self._restore)
        except OSError as error:  # who only reads may still read what is whole
            logger.warning("%s was not looked through after a restart of the machine: %s", self.folder, error)

    def _restore(self, found: GitObject) -> None:
        oid = oid_of(found)
        if not self._readable(oid):
            self._repository.odb.write(*found)
            name = oid.hex()
            file = self.folder / "objects" / name[:2] / name[2:]
            with file.open("rb") as stream:
                sync_file(stream.fileno())
            sync_folder(file.parent)

    def _readable(self, oid: Oid) -> bool:
        try:
            self._read(oid)
        except CorruptLakeError:
            return False
        return True

    # -- sweeping -----------------------------------------------------------------------------------------------

    def objects(self) -> Iterator[Oid]:
        """Every object there is, reachable or not."""
        self._local.pid = None
        return (oid.raw for oid in self._repository.odb)

    def is_commit(self, oid: Oid) -> bool:
        """Whether an object is a commit."""
        return self._read(oid)[0] == ObjectType.COMMIT

    def announce_sweep(self) -> None:
        """Tell every writer under way that objects go now: it writes its own again. Hold `refs_locked`."""
        write_whole_file(self._sweeps, os.urandom(8).hex().encode())

    def _last_sweep(self) -> tuple[int, int] | None:
        try:
            found = self._sweeps.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _survive_sweep(self, target: Oid) -> None:
        """If objects were swept since this write began, write its own again and look whether the others are there."""
        if getattr(self._local, "sweep", last := self._last_sweep()) == last:
            return
        self._local.pid, self._local.sweep = None, last
        for kind, data in self._unkept:
            self._repository.odb.write(kind, data)  # does nothing where the object is
        if (missing := self._first_missing(target)) is not None:
            raise NotFoundError(
                f"git object {missing.hex()}, which this write builds on, was collected as garbage meanwhile",
                hint="build on something that a branch or tag reaches",
                commit=target.hex(),
            )

    def _first_missing(self, target: Oid) -> Oid | None:
        """An object of a commit, its tree and its parents that is not there."""
        stack = [target]
        stack += self._parse_commit(target).parents
        while stack:
            oid = stack.pop()
            found = self._repository.get(pygit2.Oid(raw=oid))
            if found is None:
                return oid
            if isinstance(found, pygit2.Commit):
                stack.append(found.tree_id.raw)
            elif isinstance(found, pygit2.Tree):
                stack += [entry.id.raw for entry in found]
        return None

    # -- inside -------------------------------------------------------------------------------------------------

    @property
    def _repository(self) -> pygit2.Repository:
        local = self._local
        if getattr(local, "pid", None) != os.getpid():
            local.repository, local.pid = _open_repository(self.folder), os.getpid()
        return local.repository

    def _read(self, oid: Oid) -> tuple[int, bytes]:
        try:
            return self._repository.odb.read(pygit2.Oid(raw=oid))
        except (KeyError, pygit2.GitError, ValueError):
            self._local.pid = None  # another process may have packed: look again with fresh eyes
        try:
            return self._repository.odb.read(pygit2.Oid(raw=oid))
        except (KeyError, pygit2.GitError, ValueError) as error:
            raise CorruptLakeError(
                f"git object {oid.hex()} of {self.folder} cannot be read: {error}",
                hint="`dfp lake verify` lists what is damaged; restore refs.git from a backup",
                path=str(self.folder),
                expected=oid.hex(),
                actual=None,
            ) from error

    def _write(self, kind: ObjectType, data: bytes) -> Oid:
        self._unkept.append((kind, data))
        return self._repository.odb.write(kind, data).raw

    @property
    def _unkept(self) -> list[GitObject]:
        if not hasattr(self._local, "unkept"):
            self.begin()
        return self._local.unkept

    def _write_ref(self, name: str, target: Oid) -> None:
        try:
            write_whole_file(self.folder / name, target.hex().encode() + b"\n", through=self.folder)
        except OSError as error:
            if self.ref(name) != target:
                raise
            raise UnknownOutcomeError(
                f"{name} of {self.folder} moved to {target.hex()}, but the disk did not confirm it: {error}",
                hint="look at the disk, then at the branch, before writing again",
                ref=name,
                commit=target.hex(),
            ) from error

    def _delete_ref(self, name: str) -> None:
        reference = self._repository.lookup_reference(name)
        try:
            reference.delete()
        except (pygit2.GitError, pygit2.AlreadyExistsError, OSError):
            # Only lakes write refs and this one holds their lock, so the writer that left this file is dead.
            left_by_the_dead = self.folder / f"{name}.lock"
            if not left_by_the_dead.exists():
                raise
            left_by_the_dead.unlink()
            reference.delete()
        sync_folder((self.folder / name).parent)
        sync_folder(self.folder)


def _open_repository(folder: Path) -> pygit2.Repository:
    try:
        return pygit2.Repository(str(folder))
    except pygit2.GitError:  # a user whose own git configuration cannot be read; a lake needs none
        for level in (ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.SYSTEM):
            pygit2.option(Option.SET_SEARCH_PATH, level, "")
        return pygit2.Repository(str(folder))


def _format_text(message: str, metadata: Mapping[str, str]) -> str:
    """Message and metadata as one text, the metadata a last line that git takes for a trailer."""
    clean = message.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if not metadata and _METADATA not in clean:
        return clean + "\n"
    return f"{clean}\n\n{_METADATA}{json.dumps(dict(metadata), sort_keys=True)}\n"


def _parse_text(text: str) -> tuple[str, dict[str, str]]:
    body, found, line = text.removesuffix("\n").rpartition(f"\n\n{_METADATA}")
    if not found:
        return text.removesuffix("\n"), {}
    try:
        return body, json.loads(line)
    except ValueError:
        return text.removesuffix("\n"), {}
