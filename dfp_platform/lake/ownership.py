"""Who may write to a run's branch: a marker on the branch itself that every write expects.

Step processes outlive a killed run and go on writing. So a run's branch carries one small object, `_run/owner`, naming
the run that owns it and the branch's state. A write reads the marker at the head it is based on and commits with that
head expected: once another run has taken the branch, or publication has begun, an old writer can change nothing.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, Literal

from dfp_platform.errors import DfpError, FencedError, NotFoundError, ReadOnlyError, StaleHeadError
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.lake.sweeper import Sweeper
from dfp_platform.schemas import MAIN, Commit, CommitId, Difference, ObjectStat

OWNER_PATH = "_run/owner"
"""Where the marker lies. It is never merged into a target."""

LEASE_SECONDS = 24 * 3600.0
"""How long a run may own its branch without renewing; a backstop for runs whose Dagster record is lost."""

State = Literal["open", "publishing", "held", "sealed"]


@dataclass(frozen=True, slots=True)
class Ownership:
    """The marker of a run's branch.

    Attributes:
        run_id: the run that owns the branch.
        target: the branch it publishes to; None: it publishes nowhere.
        base: the commit of the target that it started from.
        state: `open` (its steps may write), `publishing`, `held` (not published, waiting), `sealed` (its run is dead).
        lease_until: seconds since the epoch after which nobody may write under this marker.
        reasons: why it was held back, as sentences.
        steps: the steps recorded as failed by the hold-back, so that the run can be re-executed.
        complete: every step had succeeded when it was held back.
        redo: the recorded steps have to be executed again; otherwise a re-execution of just these only publishes.
    """

    run_id: str
    target: str | None
    base: CommitId
    state: State = "open"
    lease_until: float = 0.0
    reasons: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    complete: bool = False
    redo: bool = True

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Ownership:
        raw: dict[str, Any] = json.loads(data)
        raw |= {"reasons": tuple(raw["reasons"]), "steps": tuple(raw["steps"])}
        return cls(**raw)


def run_branch(run_id: str) -> str:
    """The branch of a run."""
    return f"run-{run_id}"


def transaction_prefix(run_id: str) -> str:
    """How the names of a run's ephemeral branches start."""
    return f"tx-{run_id}-"


def read_ownership(lake: Lake, ref: str) -> Ownership | None:
    """The marker at a ref; None where there is none (not a run's branch)."""
    try:
        return Ownership.from_bytes(lake.read(ref, OWNER_PATH))
    except NotFoundError:
        return None


def open_run_branch(lake: Lake, ownership: Ownership, *, source: str) -> CommitId:
    """Make the branch of a run from `source` and mark it as owned, with a fresh lease; return its head."""
    branch = run_branch(ownership.run_id)
    lake.create_branch(branch, source)
    marker = replace(ownership, lease_until=time.time() + LEASE_SECONDS)
    return lake.commit(branch, {OWNER_PATH: marker.to_bytes()}, message=f"run {ownership.run_id} begins")


def renew_lease(lake: Lake, run_id: str) -> None:
    """Make the lease of a run's branch full again once half of it is used. Raises FencedError: the marker is gone."""
    now = time.time()

    def renewed(owner: Ownership) -> Ownership | None:
        if owner.run_id != run_id or owner.lease_until - now > LEASE_SECONDS / 2:
            return None
        return replace(owner, lease_until=now + LEASE_SECONDS)

    transition(lake, run_branch(run_id), renewed, message=f"run {run_id} goes on")


def transition(lake: Lake, branch: str, change: Callable[[Ownership], Ownership | None], *, message: str) -> CommitId:
    """Compare-and-swap the marker of a branch; `change` gets the marker and returns the new one, or None to leave it.

    Raises:
        FencedError: there is no marker any more.
    """
    while True:
        head = lake.resolve(branch)
        found = read_ownership(lake, head)
        if found is None:
            raise FencedError(f"branch {branch} has no owner any more", branch=branch)
        wanted = change(found)
        if wanted is None or wanted == found:
            return head
        try:
            return lake.commit(branch, {OWNER_PATH: wanted.to_bytes()}, message=message, expect=head)
        except StaleHeadError:
            continue


def left_behind(lake: Lake, *, before: float) -> dict[str, CommitId]:
    """Branches of runs that nobody has touched for long and nobody may write any more: held back, dead, replayed.

    Args:
        before: seconds since the epoch; branches that moved since are left out.
    Returns:
        Branch → head, to be expected by whoever deletes it.
    """
    found = {}
    for branch, head in lake.branches().items():
        if branch.startswith(run_branch("")) and lake.show(head).time.timestamp() < before:
            owner = read_ownership(lake, head)
            waits = owner is not None and owner.state in ("held", "sealed")
            if owner is not None and (waits or owner.lease_until < time.time()):
                found[branch] = head
    return found


class OwnedLake(Lake):
    """A lake as one run sees it: reads everything, writes only its own branch and only while it owns it.

    Args:
        lake: the lake itself.
        run_id: the run that writes; None writes nothing at all.
        metadata: put on every commit (run, asset, inputs, code version).
    """

    def __init__(self, lake: Lake, run_id: str | None, metadata: Mapping[str, str] | None = None) -> None:
        self._lake = lake
        self._run_id = run_id
        self._metadata = dict(metadata or {})
        self.uri = lake.uri
        self.warehouse = lake.warehouse
        self.operations = lake.operations

    def with_metadata(self, metadata: Mapping[str, str]) -> OwnedLake:
        """The same view whose commits carry `metadata` too."""
        return OwnedLake(self._lake, self._run_id, {**self._metadata, **metadata})

    # -- writing, fenced ----------------------------------------------------------------------------------------

    def commit(
        self,
        branch: str,
        changes: Mapping[str, Content],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
        expect: CommitId | None = None,
    ) -> CommitId:
        def write(head: CommitId) -> CommitId:
            return self._lake.commit(branch, changes, message=message, metadata=self._with(metadata), expect=head)

        return self._fenced(branch, write, expect=expect)

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
        def write(head: CommitId) -> CommitId:
            return self._lake.merge(
                source, into, message=message, metadata=self._with(metadata), expect=head, resolved=resolved
            )

        return self._fenced(into, write, expect=expect)

    @contextmanager
    def transaction(self, branch: str, *, message: str, metadata: Mapping[str, str] | None = None) -> Iterator[str]:
        name = f"{transaction_prefix(str(self._run_id))}{secrets.token_hex(4)}"
        self._fenced(branch, lambda head: self._lake.create_branch(name, head), expect=None)
        try:
            yield name
            self.merge(name, branch, message=message, metadata=metadata)
        finally:
            with suppress(NotFoundError):  # the reconciler may have swept it after this run was fenced
                self._lake.delete_branch(name)

    def revert(
        self, branch: str, commit: str, *, message: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> CommitId:
        raise ReadOnlyError("a run does not revert", hint="use `dfp lake revert`", branch=branch)

    def _fenced(self, branch: str, write: Callable[[CommitId], CommitId], *, expect: CommitId | None) -> CommitId:
        """Do one write on the head at which this run still owns the branch."""
        self._refuse_foreign(branch)
        while True:
            try:
                head = expect or self._lake.resolve(branch)
                self._refuse_unowned(branch, head)
                return write(head)
            except StaleHeadError:
                if expect is not None:
                    raise
            except NotFoundError as error:
                if error.fields.get("ref") == branch:
                    raise FencedError(f"branch {branch} is gone: its run has ended", branch=branch) from error
                raise

    def _refuse_foreign(self, branch: str) -> None:
        if self._run_id is None:
            raise ReadOnlyError(
                "the lake is written only by a run under the publishing executor",
                hint="start it with `dfp run`, the Dagster UI or `dagster job execute`; in a test use launch.run_job",
                branch=branch,
            )
        if branch != run_branch(self._run_id) and not branch.startswith(transaction_prefix(self._run_id)):
            raise ReadOnlyError(
                f"run {self._run_id} writes only to its own branch, not to {branch}",
                hint="results reach the target by publication",
                branch=branch,
            )

    def _refuse_unowned(self, branch: str, head: CommitId) -> None:
        found = read_ownership(self._lake, head)
        if found is None or found.run_id != self._run_id or found.state != "open":
            owner = "nobody" if found is None else f"run {found.run_id} ({found.state})"
            raise FencedError(
                f"branch {branch} belongs to {owner} now",
                hint="this writer outlived its run; end it",
                branch=branch,
                owner=found.run_id if found else None,
                writer=self._run_id,
            )
        if found.lease_until < time.time():
            raise FencedError(f"the lease of run {self._run_id} on {branch} ran out", branch=branch)

    def _with(self, metadata: Mapping[str, str] | None) -> dict[str, str]:
        return {**self._metadata, **(metadata or {})}

    # -- refs: a run moves none of them -------------------------------------------------------------------------

    def create_branch(self, name: str, source: str = MAIN) -> CommitId:
        raise _refused("create branches")

    def delete_branch(self, name: str, *, expect: CommitId | None = None) -> None:
        raise _refused("delete branches")

    def tag(self, name: str, ref: str) -> CommitId:
        raise _refused("tag")

    def delete_tag(self, name: str) -> None:
        raise _refused("delete tags")

    # -- reading ------------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> CommitId:
        return self._lake.resolve(ref)

    def stat(self, ref: str, path: str) -> ObjectStat:
        return self._lake.stat(ref, path)

    def open(self, ref: str, path: str) -> BinaryIO:
        return self._lake.open(ref, path)

    def list(self, ref: str, prefix: str = "") -> Iterator[ObjectStat]:
        return self._lake.list(ref, prefix)

    def address(self, ref: str, path: str) -> str:
        return self._lake.address(ref, path)

    def branches(self) -> dict[str, CommitId]:
        return self._lake.branches()

    def tags(self) -> dict[str, CommitId]:
        return self._lake.tags()

    def show(self, ref: str) -> Commit:
        return self._lake.show(ref)

    def log(self, ref: str = MAIN, *, path: str | None = None, limit: int | None = None) -> Iterator[Commit]:
        return self._lake.log(ref, path=path, limit=limit)

    def diff(self, left: str, right: str, prefix: str = "") -> Iterator[Difference]:
        return self._lake.diff(left, right, prefix)

    def merge_base(self, left: str, right: str) -> CommitId | None:
        return self._lake.merge_base(left, right)

    def provenance(self, ref: str, path: str) -> Commit:
        return self._lake.provenance(ref, path)

    def verify(self) -> Sequence[str]:
        return self._lake.verify()

    def protected_branches(self) -> frozenset[str]:
        return self._lake.protected_branches()

    def protect_branch(self, name: str) -> None:
        raise _refused("protect branches")

    def moved_files(self) -> Mapping[str, str]:
        return self._lake.moved_files()

    def remember_copies(self, roots: Collection[str]) -> None:
        raise _refused("bring other lakes")

    def lease(self, what: str) -> AbstractContextManager[None]:
        return self._lake.lease(f"run {self._run_id}: {what}")

    def turn(self, branch: str) -> AbstractContextManager[None]:
        return self._lake.turn(branch)

    def sweeper(self) -> Sweeper:
        raise _refused("collect garbage")


def _refused(what: str) -> DfpError:
    return ReadOnlyError(f"a run does not {what}", hint="that is the executor's part, or yours through `dfp lake`")
