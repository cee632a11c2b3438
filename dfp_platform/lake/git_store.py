"""The bare git repository of an embedded lake: objects by id, and refs that move only from where they were seen."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, Option

from dfp_platform.errors import CorruptLakeError
from dfp_platform.lake.durable import locked_file
from dfp_platform.schemas import Commit, CommitId

Oid = bytes
"""Names a git object: 20 bytes."""

BRANCHES, TAGS = "refs/heads/", "refs/tags/"
_METADATA = "Dfp-Metadata: "


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

    Everything written is on disk (fsync) when the call returns. Refs are written by lakes only, under one lock.
    """

    def __init__(self, folder: Path, lock: Path) -> None:
        self.folder = folder
        self._lock = lock
        self._local = threading.local()
        self._commit = lru_cache(maxsize=16_384)(self._parse_commit)
        # Both are switches of the process: pygit2 has none for one repository.
        pygit2.option(Option.ENABLE_FSYNC_GITDIR, True)
        pygit2.option(Option.SET_OWNER_VALIDATION, False)  # a volume may belong to another user; no hook is ever run

    @classmethod
    def create(cls, folder: Path, lock: Path) -> GitStore:
        """An empty repository at `folder`."""
        pygit2.init_repository(str(folder), bare=True, initial_head="main")
        return cls(folder, lock)

    # -- objects ------------------------------------------------------------------------------------------------

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
        author = pygit2.Signature("dfp", "dfp@localhost", seconds, 0)
        text = _format_text(message, metadata or {})
        made = self._repository.create_commit(
            None, author, author, text, pygit2.Oid(raw=tree), [pygit2.Oid(raw=parent) for parent in parents]
        )
        return made.raw

    def commit(self, oid: Oid) -> StoredCommit:
        """Read a commit. Raises CorruptLakeError if it is missing or no commit."""
        return self._commit(oid)

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
        with locked_file(self._lock):
            yield

    def move_ref(self, name: str, before: Oid | None, after: Oid | None) -> bool:
        """Set a ref (None: delete) if it still is `before` (None: absent); False if not. Hold `refs_locked`."""
        if self.ref(name) != before:
            return False
        try:
            self._set_ref(name, after)
        except (pygit2.GitError, pygit2.AlreadyExistsError, OSError):
            # Only lakes write refs and this one holds their lock, so the writer that left this file is dead.
            left_by_the_dead = self.folder / f"{name}.lock"
            if not left_by_the_dead.exists():
                raise
            left_by_the_dead.unlink()
            self._set_ref(name, after)
        return True

    # -- inside -------------------------------------------------------------------------------------------------

    @property
    def _repository(self) -> pygit2.Repository:
        local = self._local
        if getattr(local, "pid", None) != os.getpid():
            local.repository, local.pid = pygit2.Repository(str(self.folder)), os.getpid()
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
        return self._repository.odb.write(kind, data).raw

    def _set_ref(self, name: str, target: Oid | None) -> None:
        if target is None:
            self._repository.lookup_reference(name).delete()
        else:
            self._repository.create_reference(name, pygit2.Oid(raw=target), force=True)


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
