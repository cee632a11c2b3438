"""What crashed runs left behind is brought to a clean end: one idempotent function, called from anywhere.

The next run, a sensor's tick, `dfp doctor` and `dfp publish` call it. It never publishes; it seals the branch of a dead
run, finishes what follows a merge that had happened, and makes Dagster's record equal to the lake.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from dfp_platform.errors import FencedError, NotFoundError
from dfp_platform.lake.ownership import Ownership, read_ownership, transaction_prefix, worker_died
from dfp_platform.publishing.gate import Reason
from dfp_platform.publishing.publication import Publisher
from dfp_platform.publishing.truth import tell_truth
from dfp_platform.resources.dagster_internals import completed_all_steps, report_step_failed

_RUN_PREFIX = "run-"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was mended: runs sealed, runs whose publication was finished, orphaned ephemeral branches removed."""

    sealed: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()


def reconcile(publisher: Publisher, *, except_run: str | None = None) -> Reconciled:
    """Bring every dead run to a clean end.

    Args:
        except_run: the run that calls, which is alive.
    """
    sealed, finished = [], []
    heads = publisher.lake.branches()
    for branch, head in heads.items():
        run_id = branch.removeprefix(_RUN_PREFIX)
        if not branch.startswith(_RUN_PREFIX) or run_id == except_run:
            continue
        owner = read_ownership(publisher.lake, head)
        if owner is None or owner.run_id != run_id or not _is_dead(publisher, owner):
            continue
        if owner.target is not None and publisher.lake.merge_base(head, owner.target) == head:
            _finish(publisher, owner, head)
            finished.append(run_id)
        elif owner.state in ("open", "publishing"):
            _seal(publisher, owner, branch)
            sealed.append(run_id)
    return Reconciled(tuple(sealed), tuple(finished), _sweep(publisher, heads, except_run))


def _is_dead(publisher: Publisher, owner: Ownership) -> bool:
    """The run has ended, or its leading process is gone (then Dagster is told), or nobody renewed its lease."""
    run = publisher.instance.get_run_by_id(owner.run_id)
    if run is None:
        return worker_died(owner.worker) or owner.lease_until < time.time()
    if run.is_finished:
        return True
    if not worker_died(owner.worker):
        return False
    publisher.instance.report_run_failed(run, "its process ended without a word; found by the reconciler")
    return True


def _finish(publisher: Publisher, owner: Ownership, head: str) -> None:
    """The merge had happened: whatever should have followed it is done now."""
    target = str(owner.target)
    commit = publisher.published_commit(owner.run_id, target) or publisher.lake.resolve(target)
    publisher.finish(owner.run_id, target, commit)


def _seal(publisher: Publisher, owner: Ownership, branch: str) -> None:
    run = publisher.instance.get_run_by_id(owner.run_id)
    complete = run is not None and completed_all_steps(publisher.instance, run)
    steps: tuple[str, ...] = ()
    if run is not None and complete:
        # Dagster re-executes only what failed: a recorded failure of the last step gives it a handle
        steps = (report_step_failed(publisher.instance, run, "the run died before it was published"),)
    publisher.record_verdicts(owner.run_id)
    reason = Reason("status", f"the run ended as {run.status.value if run else 'unknown'} before it was published")
    publisher.hold(owner.run_id, (reason,), steps=steps, complete=complete, redo=not complete)
    if owner.target is not None:
        tell_truth(publisher.instance, publisher.lake, publisher.graph, owner.target, held_back=branch)


def _sweep(publisher: Publisher, heads: dict, except_run: str | None) -> tuple[str, ...]:
    """Remove ephemeral branches whose run is over."""
    swept = []
    for branch in heads:
        if not branch.startswith("tx-"):
            continue
        run_id = branch.removeprefix("tx-").rsplit("-", 1)[0]
        run = publisher.instance.get_run_by_id(run_id)
        if (
            run_id == except_run
            or run is None
            or not run.is_finished
            or not branch.startswith(transaction_prefix(run_id))
        ):
            continue
        try:
            publisher.lake.delete_branch(branch)
        except (NotFoundError, FencedError):
            continue
        swept.append(branch)
    return tuple(swept)
