"""The history a lake shows on lakeFS: its own commits, without those that only prepared them.

lakeFS gives a merge the hidden branch it came from as second parent. What the lake means is kept in the commit's
metadata, beside the user's: keys that begin with `dfp.` are ours, with `.lakefs.` the server's.
"""

from __future__ import annotations

import heapq
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from threading import Lock

from dfp_platform.lake.ancestry import descends, merge_bases
from dfp_platform.lake.git_store import Oid
from dfp_platform.lake.lakefs_repository import PAGE, Record, Repository
from dfp_platform.schemas import Commit, CommitId

TOKEN = "dfp.token"
"""Names one write, so that it is found again after a lost answer."""

PART = "dfp.part"
"""On a commit that only prepared the write it names."""

SOURCE = "dfp.source"
"""On a merge: the commit that was brought."""

SEALED = "dfp.sealed"
"""On the last commit of a branch that is being deleted."""

_MESSAGE, _METADATA = "dfp.message", "dfp.metadata"
_RESERVED = ("dfp.", ".lakefs.", "::lakefs::")
_NO_MESSAGE = "(no message)"
_FETCHED_AT_ONCE = 100
_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Place:
    """A commit's place in history, as `ancestry` asks for it; the generation stands for the time."""

    parents: tuple[Oid, ...]
    time: int


class History:
    """Commits of one repository. They never change, so what was fetched once is remembered."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = Lock()

    def find(self, ref: str) -> Record | None:
        """The commit a ref names now, an id without asking twice."""
        known = self._records.get(ref)
        if known is not None:
            return known
        found = self._repository.commit_of(ref)
        return None if found is None else self.keep(found)

    def keep(self, record: Record) -> Record:
        """Remember a commit."""
        with self._lock:
            self._records[record.id] = record
            if len(self._records) > _REMEMBERED:
                self._records.popitem(last=False)
        return record

    def record(self, commit: str) -> Record:
        """A commit by its whole id. What lies below it is fetched with it, since it is asked for next."""
        known = self._records.get(commit)
        if known is not None:
            return known
        for record in islice(self._repository.log(commit, amount=_FETCHED_AT_ONCE), _FETCHED_AT_ONCE):
            self.keep(record)
        return self._records[commit]

    def merge_bases(self, left: str, right: Sequence[str]) -> list[str]:
        """The best common ancestors of `left` and a merge of all `right`; several after a criss-cross."""
        found = merge_bases(self._place, bytes.fromhex(left), [bytes.fromhex(one) for one in right])
        return [oid.hex() for oid in found]

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether `ancestor` is `commit` or one it was built on."""
        return descends(self._place, bytes.fromhex(commit), bytes.fromhex(ancestor))

    def walk(self, head: str) -> Iterator[Record]:
        """The lake's commits below a head, newest first and children before parents.

        Clocks of several servers may disagree, so a commit is shown only when all its children were: those have higher
        generations, and are counted before it comes to its turn.
        """
        first = self.record(head)
        children = {head: 0}
        uncounted, ready = [(-first.generation, head)], [_newest_first(first)]
        while ready:
            record = heapq.heappop(ready)[-1]
            yield record
            for parent in map(self.record, dict.fromkeys(parents_of(record))):
                self._count_children(children, uncounted, down_to=parent.generation)
                children[parent.id] -= 1
                if children[parent.id] == 0:
                    heapq.heappush(ready, _newest_first(parent))

    def touching(self, head: str, path: str) -> Iterator[Record]:
        """The lake's commits below a head among which are all that changed a path; the server finds them.

        The newest alone is asked for first: often it is the answer, and the server goes through history one by one.
        """
        seen: set[str] = set()
        newest = self._repository.log(head, amount=1, path=path, only=True)
        for found in chain(newest, self._repository.log(head, amount=_FETCHED_AT_ONCE, path=path)):
            record = self._whole(self.keep(found), head)
            if record is not None and record.id not in seen:
                seen.add(record.id)
                yield record

    def find_write(self, ref: str, token: str) -> Record | None:
        """The commit of a branch's own line that a write made, if it is among the newest."""
        line = self._repository.log(ref, amount=_FETCHED_AT_ONCE, first_parent=True)
        newest = islice(line, _FETCHED_AT_ONCE)
        return next((self.keep(record) for record in newest if record.metadata.get(TOKEN) == token), None)

    def _count_children(self, children: dict[str, int], uncounted: list[tuple[int, str]], *, down_to: int) -> None:
        while uncounted and -uncounted[0][0] >= down_to:
            for parent in dict.fromkeys(parents_of(self.record(heapq.heappop(uncounted)[1]))):
                if parent not in children:
                    children[parent] = 0
                    heapq.heappush(uncounted, (-self.record(parent).generation, parent))
                children[parent] += 1

    def _whole(self, record: Record, head: str) -> Record | None:
        """The write that a preparing commit belongs to; any other commit as it is."""
        token = record.metadata.get(PART)
        if token is None:
            return record
        below = self._repository.log(head, amount=PAGE)
        return next((self.keep(found) for found in below if found.metadata.get(TOKEN) == token), None)

    def _place(self, oid: Oid) -> Place:
        record = self.record(oid.hex())
        return Place(tuple(bytes.fromhex(parent) for parent in parents_of(record)), record.generation)


def parents_of(record: Record) -> tuple[str, ...]:
    """What the lake takes for a commit's parents: of a merge, the target and what was brought."""
    if TOKEN not in record.metadata:
        return record.parents  # made by another tool
    source = record.metadata.get(SOURCE)
    return record.parents[:1] if source is None else (*record.parents[:1], source)


def as_commit(record: Record) -> Commit:
    """A commit as the lake shows it."""
    theirs = {key: value for key, value in record.metadata.items() if not key.startswith(_RESERVED)}
    return Commit(
        id=CommitId(record.id),
        parents=tuple(CommitId(parent) for parent in parents_of(record)),
        message=record.metadata.get(_MESSAGE, record.message),
        time=datetime.fromtimestamp(record.time, UTC),
        metadata={**theirs, **json.loads(record.metadata.get(_METADATA, "{}"))},
    )


def written_message(message: str) -> str:
    """What lakeFS is told as message; it may refuse an empty one."""
    return message.strip() or _NO_MESSAGE


def written_metadata(message: str, metadata: Mapping[str, str] | None, **ours: str) -> dict[str, str]:
    """What lakeFS keeps with a commit: the user's metadata in plain sight, and what only the lake reads.

    Args:
        ours: by the names of this module in lower case: `token`, `source`, `sealed`.
    """
    given = dict(metadata or {})
    clashing = {key: value for key, value in given.items() if key.startswith(_RESERVED)}
    kept = {key: value for key, value in given.items() if key not in clashing}
    kept |= {f"dfp.{name}": value for name, value in ours.items()}
    if clashing:
        kept[_METADATA] = json.dumps(clashing, sort_keys=True)
    if written_message(message) != message:
        kept[_MESSAGE] = message
    return kept


def _newest_first(record: Record) -> tuple[int, int, str, Record]:
    return -record.time, -record.generation, record.id, record
