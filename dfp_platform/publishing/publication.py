"""Publishing one run's branch: verdicts, gate, merge, promotions; or the hold-back that says why not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile

import dagster as dg

from dfp_platform.errors import FencedError, MergeConflictError, NotFoundError, StaleHeadError
from dfp_platform.lake.interface import Lake
from dfp_platform.lake.ownership import OWNER_PATH, Ownership, read_ownership, run_branch, transition
from dfp_platform.publishing.catching_up import Catching, Check, Judge, mergeable
from dfp_platform.publishing.evidence import Heads, gather, new_verdicts, settled_paths
from dfp_platform.publishing.gate import Evidence, Reason, decide
from dfp_platform.publishing.truth import tell_truth
from dfp_platform.resources.dagster_internals import Graph, unfinished_steps
from dfp_platform.schemas import Commit, CommitId
from dfp_platform.settings import settings

PUBLISHED_TAG = "lake/published"
"""Run tag: the commit of the target that carries the run's results. Empty: not published (a tag cannot be removed)."""

PROPOSAL_TAG = "lake/proposal"
"""Run tag: what the run makes is not published at its end, but waits on its branch until somebody publishes it."""

Promote = Callable[[Lake, str], None]
"""Makes what lies outside the lake follow what a branch of it holds now; idempotent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a publication ended.

    Attributes:
        run_id: the run.
        branch: its branch.
        target: where it publishes to; None: nowhere, by intent (a replay).
        commit: the target's head that carries its results; None if it was held back, is a proposal or has no target.
        changed: whether publication made a commit (equal results make none).
        reasons: why it was held back.
    """

    run_id: str
    branch: str
    target: str | None
    commit: CommitId | None = None
    changed: bool = False
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes runs of one code location to one lake.

    Attributes:
        promote: makes what lies outside the lake follow a target.
        judge: runs checks again on tables that were merged with the target's; without it such a run is held back.
    """

    lake: Lake
    instance: dg.DagsterInstance
    graph: Graph
    promote: Promote
    judge: Judge | None = None

    def publish(self, run_id: str, *, allowed_status: str) -> Outcome:
        """Publish a run whose steps have ended, or hold it back. Safe to call again at any time.

        Where the target moves meanwhile it tries again, for `Settings.publishing_patience` seconds. A proposal waits
        on its branch until this is called again, once its run has ended.

        Args:
            allowed_status: the run status that publication expects: STARTED from its own executor, the ended status
                from a later try.
        Raises:
            FencedError: another run took the branch over, or it is gone.
        """
        branch = run_branch(run_id)
        owner = self._owner(branch, run_id)
        self._record_verdicts(branch, run_id)

        def resume() -> CommitId:
            return transition(self.lake, branch, _begin_publishing(run_id), message=f"run {run_id} is being published")

        head = resume()
        if owner.target is None:
            self.hold(run_id, (), steps=(), complete=True, redo=False)
            return Outcome(run_id, branch, None)
        if allowed_status == "STARTED" and self._is_proposal(run_id):
            proposed = Reason("proposal", f"a proposal: `dfp publish {run_id}` publishes it to {owner.target}")
            self.hold(run_id, (proposed,), steps=(), complete=True, redo=False)
            return Outcome(run_id, branch, owner.target)
        catching = Catching(self.lake, self.instance, self.graph, run_id, owner.target, resume, self.judge)
        tried = self._try_until_told(catching, head, allowed_status)
        if not tried.reasons:
            self.finish(run_id, owner.target, CommitId(str(tried.commit)))
        return tried

    def publish_again(self, run: dg.DagsterRun) -> Outcome:
        """Publish an ended run whose branch still waits; one that was published already says where."""
        branch, target = run_branch(run.run_id), run.tags.get(PUBLISHED_TAG)
        if branch not in self.lake.branches() and target:
            return Outcome(run.run_id, branch, None, commit=CommitId(target))
        outcome = self.publish(run.run_id, allowed_status=run.status.value)
        if outcome.reasons:
            owner = self._owner(branch, run.run_id)
            self.hold(run.run_id, outcome.reasons, steps=owner.steps, complete=owner.complete, redo=owner.redo)
        return outcome

    def finish(self, run_id: str, target: str, commit: CommitId) -> None:
        """What follows a merge, each step idempotent: promotions, the run's tag, the pages, the branch's end."""
        self.promote(self.lake, target)
        self.instance.add_run_tags(run_id, {PUBLISHED_TAG: commit})
        tell_truth(self.instance, self.lake, self.graph)
        for ended in (*self._ancestors(run_id), run_id):
            self.forget_branch(ended)

    def published_commit(self, run_id: str, target: str, *, since: CommitId) -> CommitId | None:
        """The merge commit of a run on `target` after the commit it started from, if it was published."""
        later = takewhile(lambda commit: commit.id != since, self.lake.log(target))
        return next((commit.id for commit in later if _carries(commit, run_id)), None)

    def forget_branch(self, run_id: str) -> None:
        """Delete the branch of a run; what was published of it the target reaches."""
        try:
            self.lake.delete_branch(run_branch(run_id))
        except NotFoundError:
            return

    def hold(
        self, run_id: str, reasons: tuple[Reason, ...], *, steps: tuple[str, ...], complete: bool, redo: bool
    ) -> None:
        """Write on the branch why the run was not published, and fence its writers; see `Ownership`."""

        def held(owner: Ownership) -> Ownership | None:
            if owner.run_id != run_id or owner.state == "sealed":
                return None
            sentences = tuple(reason.sentence for reason in reasons)
            return replace(owner, state="held", reasons=sentences, steps=steps, complete=complete, redo=redo)

        try:
            waits = "is a proposal" if any(reason.kind == "proposal" for reason in reasons) else "is held back"
            transition(self.lake, run_branch(run_id), held, message=f"run {run_id} {waits}")
        except (NotFoundError, FencedError):
            return

    def record_verdicts(self, run_id: str) -> None:
        """Put what the run's checks said on its branch, for a run that ends without publication."""
        try:
            self._record_verdicts(run_branch(run_id), run_id)
        except (NotFoundError, FencedError):
            return

    # -- steps of a publication ---------------------------------------------------------------------------------

    def _try_until_told(self, catching: Catching, head: CommitId, allowed_status: str) -> Outcome:
        """Try until the run is published or held back; held back too where the target moves for longer than patience.

        Judging takes its time, so what was merged is judged once whatever the patience.
        """
        run_id, target, branch = catching.run_id, catching.target, run_branch(catching.run_id)
        began, tries, judged = time.monotonic(), 0, False
        while True:
            tries += 1
            try:
                with self.lake.turn(target):
                    tried = self._try(catching, head, allowed_status)
                if isinstance(tried, Outcome):
                    return tried
                if not judged or time.monotonic() - began < settings().publishing_patience:
                    head, judged = catching.judged_again(*tried), True
                    continue
            except StaleHeadError:  # the target moved again; or the branch did, which its marker tells
                head = catching.resume()
                if time.monotonic() - began < settings().publishing_patience:
                    continue
            except MergeConflictError as error:
                return Outcome(run_id, branch, target, reasons=_conflicts(error))
            return Outcome(run_id, branch, target, reasons=(_busy(target, tries, time.monotonic() - began),))

    def _try(
        self, catching: Catching, head: CommitId, allowed_status: str
    ) -> Outcome | tuple[CommitId, tuple[Check, ...]]:
        """Merge, or say what holds the run back; or which checks have to judge, at which head, before it can be told.

        Raises:
            StaleHeadError: the target or the run's branch moved. MergeConflictError: what both changed clashes.
        """
        run_id, target = catching.run_id, catching.target
        heads, evidence, reasons = self._decide(head, target, run_id, allowed_status)
        if tables := mergeable(evidence, reasons):
            merged = catching.merged(heads, tables)
            heads, evidence, reasons = self._decide(merged, target, run_id, allowed_status)
        if checks := catching.unjudged(heads, evidence, reasons):
            return heads.run, checks
        if reasons:
            return Outcome(run_id, run_branch(run_id), target, reasons=reasons)
        commit = self._merge(heads, run_id, target)
        return Outcome(run_id, run_branch(run_id), target, commit, changed=commit != heads.target)

    def _owner(self, branch: str, run_id: str) -> Ownership:
        owner = read_ownership(self.lake, branch) if branch in self.lake.branches() else None
        if owner is None or owner.run_id != run_id:
            raise FencedError(
                f"branch {branch} is gone or belongs to {owner.run_id if owner else 'nobody'}",
                hint="the run was published already, or a re-execution took its branch over: `dfp lake log`",
                branch=branch,
            )
        return owner

    def _is_proposal(self, run_id: str) -> bool:
        run = self.instance.get_run_by_id(run_id)
        return run is not None and PROPOSAL_TAG in run.tags

    def _record_verdicts(self, branch: str, run_id: str) -> None:
        # not those of its ancestors: they are on the branch it carries on, and judged what stood there then
        said = new_verdicts(self.lake, self.lake.resolve(branch), self.instance, run_id)
        if said:
            self.lake.commit(branch, said, message=f"verdicts of run {run_id}", metadata={"run": run_id})

    def _ancestors(self, run_id: str) -> tuple[str, ...]:
        """Runs whose unpublished branch this one carries on, oldest first."""
        chain: list[str] = []
        run = self.instance.get_run_by_id(run_id)
        while run is not None and run.parent_run_id is not None:
            run = self.instance.get_run_by_id(run.parent_run_id)
            if run is None or run.tags.get(PUBLISHED_TAG):
                break
            chain.insert(0, run.run_id)
        return tuple(chain)

    def _heads(self, head: CommitId, target: str) -> Heads:
        there = self.lake.resolve(target)
        base = self.lake.merge_base(head, there)
        if base is None:
            raise NotFoundError(f"{target} and the run's branch share no history", ref=target)
        return Heads(run=head, target=there, base=base)

    def _decide(
        self, head: CommitId, target: str, run_id: str, allowed_status: str
    ) -> tuple[Heads, Evidence, tuple[Reason, ...]]:
        heads = self._heads(head, target)
        owner = read_ownership(self.lake, heads.run)
        run = self.instance.get_run_by_id(run_id)
        failed: tuple[str, ...] = ()
        if run is not None and owner is not None and allowed_status != "STARTED" and not owner.complete:
            # cancelled or killed, it may have failed no step and still have left half of its work undone
            failed = owner.steps or unfinished_steps(self.instance, run)
        status = run.status.value if run else "UNKNOWN"
        evidence = gather(self.lake, self.graph, heads, run_id=run_id, status=status, failed_steps=failed)
        return heads, evidence, decide(evidence, allowed_status=allowed_status)

    def _merge(self, heads: Heads, run_id: str, target: str) -> CommitId:
        settled = {**settled_paths(self.lake, self.graph, heads), OWNER_PATH: None}
        assets = sorted({a for d in self.lake.diff(heads.base, heads.run) if (a := self.graph.owner_of(d.path))})
        return self.lake.merge(
            heads.run,
            target,
            message=f"publish run {run_id}",
            metadata={"run": run_id, "published": json.dumps(assets)},
            expect=heads.target,
            resolved=settled,
        )


def _busy(target: str, tries: int, seconds: float) -> Reason:
    moved = f"{target} moved on each of {tries} tries to publish, for {seconds:.0f} s"
    return Reason("busy", f"{moved}; publish the run again when it is quieter (`dfp publish`)")


def _conflicts(error: MergeConflictError) -> tuple[Reason, ...]:
    """Those of tables each with its asset, so that a re-execution makes it anew."""
    return tuple(
        Reason(
            "conflict", f"{found.path} changed on the target too since the run began: {found.in_words()}", found.path
        )
        if found.table
        else Reason("conflict", f"{found.path}: {found.detail}")
        for found in error.conflicts
    )


def _carries(commit: Commit, run_id: str) -> bool:
    return commit.metadata.get("run") == run_id and "published" in commit.metadata


def _begin_publishing(run_id: str) -> Callable[[Ownership], Ownership]:
    def begin(owner: Ownership) -> Ownership:
        if owner.run_id != run_id:
            raise FencedError(
                f"run {owner.run_id} owns the branch now", branch=run_branch(run_id), owner=owner.run_id, writer=run_id
            )
        if owner.state == "sealed":
            raise FencedError(
                f"a re-execution of run {run_id} has taken over what it made",
                hint="publish or re-execute that one",
                branch=run_branch(run_id),
                owner=owner.run_id,
                writer=run_id,
            )
        return replace(owner, state="publishing")

    return begin
