"""Objects of a lakeFS repository at commits: their size and digest, and where their content is to be had."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

from dfp_platform.errors import NotFoundError
from dfp_platform.lake.lakefs_content import SHA256, Wanted, digest_of, opened
from dfp_platform.lake.lakefs_drafts import in_parallel, internal
from dfp_platform.lake.lakefs_history import History
from dfp_platform.lake.lakefs_repository import PAGE, Repository, Stored
from dfp_platform.lake.objects import INLINE_LIMIT, ObjectFiles, Pointer
from dfp_platform.schemas import MAIN, Difference, ObjectStat

NOT_FOR_ENGINES = ("local://", "mem://")
"""Stores that only the lakeFS server itself can read."""

_REMEMBERED = 50_000
_SEARCHED_COMMITS = 200


class _Unknown:
    """Stands for an answer that is not remembered; None is one that is."""


_UNKNOWN = _Unknown()


@dataclass(frozen=True, slots=True)
class Found:
    """An object at a commit and its address in the store."""

    stat: ObjectStat
    address: str


class Objects:
    """What lies at commits. A commit never changes, so every answer is remembered.

    Args:
        copies: folder for files of objects whose store no engine can read.
    """

    def __init__(self, repository: Repository, history: History, copies: Path) -> None:
        self._repository = repository
        self._history = history
        self._copies = copies
        self._found: OrderedDict[tuple[str, str], Found | None] = OrderedDict()
        self._digests: OrderedDict[str, str] = OrderedDict()
        self._held: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = Lock()

    def find(self, commit: str, path: str) -> Found | None:
        """What lies at a path of a commit."""
        key = (commit, path)
        known = self._found.get(key, _UNKNOWN)
        if not isinstance(known, _Unknown):
            return known
        stored = self._repository.stat(commit, path)
        found = self._measured(commit, stored) if stored else None
        self._remember(key, found)
        return found

    def find_all(self, commit: str, paths: Collection[str]) -> dict[str, Found | None]:
        """What lies at each of some paths."""
        return dict(zip(paths, in_parallel(lambda path: self.find(commit, path), paths), strict=True))

    def list(self, commit: str, prefix: str) -> Iterator[ObjectStat]:
        """Every object of a commit whose path starts with `prefix`, in path order."""
        for stored in self._repository.list(commit, prefix):
            if not internal(stored.path):
                found = self._measured(commit, stored)
                self._remember((commit, stored.path), found)
                yield found.stat

    def diff(self, left: str, right: str, prefix: str) -> Iterator[Difference]:
        """Every path whose bytes differ between two commits, in path order."""
        paths = (path for path in self._repository.diff(left, right, prefix) if not internal(path))
        while some := list(islice(paths, PAGE)):
            before, after = self.find_all(left, some), self.find_all(right, some)
            for path in some:
                if digest(before[path]) != digest(after[path]):
                    yield Difference(path, _stat(before[path]), _stat(after[path]))

    def missing(self, commit: str, wanted: Wanted) -> Wanted:
        """The part of what is wanted that is not so at a commit yet."""
        found = self.find_all(commit, list(wanted))
        return {
            path: source
            for path, source in wanted.items()
            if digest(found[path]) != (source.sha256 if source else None)
        }

    def locate(self, stat: ObjectStat, near: Sequence[str]) -> tuple[str, str] | None:
        """A commit and path with this content: where it was seen, at `stat.path` of some ref, or below `near`."""
        known = self._held.get(stat.sha256)
        if known is not None and digest(self.find(*known)) == stat.sha256:
            return known
        for commit in self._candidates(stat.path, near):
            if digest(self.find(commit, stat.path)) == stat.sha256:
                return commit, stat.path
        return None

    def address(self, found: Found, commit: str) -> str:
        """Where an engine reads an object: in the store, or a file of its own if the store is the server's alone."""
        if not found.address.startswith(NOT_FOR_ENGINES):
            return found.address
        stat = found.stat
        pointer = Pointer(stat.sha256, stat.size)
        self._copies.mkdir(parents=True, exist_ok=True)
        files = ObjectFiles(self._copies)
        if stat.size <= INLINE_LIMIT:
            return str(files.keep_small(self._repository.read(commit, stat.path) if stat.size else b"", stat.path))
        if not files.holds(pointer, stat.path):
            with opened(self._repository, commit, stat.path, stat.size) as stream:
                files.stage(stream, stat.path)
        return str(files.file_of(pointer, stat.path))

    # -- inside --------------------------------------------------------------------------------------------------

    def _candidates(self, path: str, near: Sequence[str]) -> Iterator[str]:
        yield from near
        yield from (commit for _, commit in self._repository.branches())
        yield from (commit for _, commit in self._repository.tags())
        for head in (*near, MAIN):
            yield from (record.id for record in islice(self._history.touching(head, path), _SEARCHED_COMMITS))

    def _measured(self, commit: str, stored: Stored) -> Found:
        sha256 = next((value for key, value in stored.metadata.items() if key.lower().endswith(SHA256)), None)
        if sha256 is None:  # uploaded by another tool
            if (sha256 := self._digests.get(stored.address)) is None:
                sha256 = digest_of(self._repository, commit, stored.path, stored.size)
            self._digests[stored.address] = sha256
            _forget_oldest(self._digests)
        return Found(ObjectStat(stored.path, stored.size, sha256), stored.address)

    def _remember(self, key: tuple[str, str], found: Found | None) -> None:
        with self._lock:
            self._found[key] = found
            _forget_oldest(self._found)
            if found is not None:
                self._held[found.stat.sha256] = key
                _forget_oldest(self._held)


def digest(found: Found | None) -> str | None:
    """What tells contents apart; None where nothing lies."""
    return found.stat.sha256 if found else None


def not_there(ref: str, path: str) -> NotFoundError:
    """The error for an object that is not at a ref."""
    return NotFoundError(
        f"no object {path} at {ref}", hint=f"`dfp lake show {ref}` lists what is there", ref=ref, path=path
    )


def _stat(found: Found | None) -> ObjectStat | None:
    return found.stat if found else None


def _forget_oldest(remembered: OrderedDict) -> None:
    if len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)
