"""What crashed runs left behind is brought to a clean end: one idempotent function, called from anywhere.

The next run, a sensor's tick and `dfp publish` call it. It never publishes; it seals the branch of a dead
run, finishes what follows a merge that had happened, and makes Dagster's record equal to the lake.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import dagster as dg

from dfp_platform.errors import FencedError, NotFoundError, UnreachableError
from dfp_platform.lake.ownership import Ownership, read_ownership, transaction_prefix, transition
from dfp_platform.models.tracking import end_runs
from dfp_platform.publishing.gate import Reason
from dfp_platform.publishing.publication import PUBLISHED_TAG, Publisher
from dfp_platform.publishing.truth import tell_truth
from dfp_platform.publishing.workers import WORKER_TAG, worker_died
from dfp_platform.resources.dagster_internals import (
    failed_runs,
    report_run_ended,
    report_step_failed,
    unfinished_runs,
    unfinished_steps,
)
from dfp_platform.resources.tracking import TRACKED_TAG
from dfp_platform.schemas import CommitId
from dfp_platform.settings import settings

_RUN_PREFIX = "run-"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was mended: runs sealed, runs whose publication was finished, orphaned ephemeral branches removed.

    `waiting` runs were merged, but what follows a merge fails still: the next call tries again. `ended` names runs of
    MLflow whose process was dead.
    """

    sealed: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


def reconcile(publisher: Publisher, *, except_run: str | None = None) -> Reconciled:
    """Bring every dead run to a clean end.

    Args:
        except_run: the run that calls, which is alive.
    """
    sealed, finished, waiting = [], [], []
    _bury(publisher)
    heads = publisher.lake.branches()
    for branch, head in heads.items():
        run_id = branch.removeprefix(_RUN_PREFIX)
        if not branch.startswith(_RUN_PREFIX) or run_id == except_run:
            continue
        owner = read_ownership(publisher.lake, head)
        if not _is_dead(publisher, run_id, owner):
            continue
        if owner is None or owner.run_id != run_id:
            publisher.forget_branch(run_id)  # it died between making the branch and marking it: nothing is on it
        elif (commit := _merged(publisher, owner, head)) is not None:
            (finished if _finished(publisher, owner, commit) else waiting).append(run_id)
        elif owner.state == "publishing" and owner.reasons:
            _wait_again(publisher, branch)
            sealed.append(run_id)
        elif owner.state in ("open", "publishing"):
            _seal(publisher, owner, branch)
            sealed.append(run_id)
    swept = _sweep(publisher, heads, except_run)
    return Reconciled(tuple(sealed), tuple(finished), tuple(waiting), swept, _end_tracked(publisher))


def _end_tracked(publisher: Publisher) -> tuple[str, ...]:
    """End MLflow's runs of dead runs of Dagster. MLflow is asked only if one died that had begun to track."""
    dead = failed_runs(publisher.instance, tag=TRACKED_TAG, value="open")
    if not dead:
        return ()

    def is_dead(run_id: str) -> bool:
        run = publisher.instance.get_run_by_id(run_id)
        return run is not None and run.is_finished

    try:
        ended = end_runs(uri=settings().mlflow_uri, is_dead=is_dead)
    except UnreachableError as error:  # the next call tries again
        logger.warning("%s", error.message)
        return ()
    for run in dead:
        publisher.instance.add_run_tags(run.run_id, {TRACKED_TAG: "ended"})
    return ended


def _finished(publisher: Publisher, owner: Ownership, commit: CommitId) -> bool:
    """Do what follows the merge of a dead run. What fails there must not keep other runs from beginning."""
    try:
        publisher.finish(owner.run_id, str(owner.target), commit)
    except Exception:
        logger.exception("run %s is published, but what follows its merge failed", owner.run_id)
        return False
    return True


def _bury(publisher: Publisher) -> None:
    """Tell Dagster of runs whose leading process is gone without a word."""
    for run in unfinished_runs(publisher.instance):
        if worker_died(_worker(publisher, run)):
            report_run_ended(publisher.instance, run, success=bool(run.tags.get(PUBLISHED_TAG)))


def _worker(publisher: Publisher, run: dg.DagsterRun) -> str:
    """The process that leads a run; empty where a re-execution has only inherited its parent's, and not begun."""
    parent = publisher.instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    worker = run.tags.get(WORKER_TAG, "")
    return "" if parent is not None and parent.tags.get(WORKER_TAG) == worker else worker


def _is_dead(publisher: Publisher, run_id: str, owner: Ownership | None) -> bool:
    """The run has ended; or Dagster has never heard of it and nobody renewed its lease."""
    run = publisher.instance.get_run_by_id(run_id)
    if run is None:
        return owner is not None and owner.lease_until < time.time()
    return run.is_finished


def _merged(publisher: Publisher, owner: Ownership, head: str) -> CommitId | None:
    """The commit of its target that carries a run, if its merge had happened; what should have followed it had not."""
    lake, target = publisher.lake, owner.target
    if target is None or target not in lake.branches():
        return None
    found = publisher.published_commit(owner.run_id, target, since=owner.base)
    return lake.resolve(target) if found is None and lake.merge_base(head, target) == head else found


def _wait_again(publisher: Publisher, branch: str) -> None:
    """A later try to publish a held-back run was cut short: what the hold-back recorded holds still."""

    def waits(owner: Ownership) -> Ownership | None:
        return replace(owner, state="held") if owner.state == "publishing" else None

    with suppress(NotFoundError, FencedError):
        transition(publisher.lake, branch, waits, message="waits again")


def _seal(publisher: Publisher, owner: Ownership, branch: str) -> None:
    run = publisher.instance.get_run_by_id(owner.run_id)
    steps = unfinished_steps(publisher.instance, run) if run is not None else ()
    complete = run is not None and not steps
    if run is not None and complete:
        # Dagster re-executes only what failed: a recorded failure of the last step gives it a handle
        steps = (report_step_failed(publisher.instance, run, "the run died before it was published"),)
    publisher.record_verdicts(owner.run_id)
    reason = Reason("status", f"the run ended as {run.status.value if run else 'unknown'} before it was published")
    publisher.hold(owner.run_id, (reason,), steps=steps, complete=complete, redo=not complete)
    tell_truth(publisher.instance, publisher.lake, publisher.graph, held_back=branch)


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
