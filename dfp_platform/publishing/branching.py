"""The branch a run begins on: forked from its target, from an old ref, or from the unpublished branch of its parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from dfp_platform.errors import AlreadyExistsError, MergeConflictError, NotFoundError, PermanentError
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.lake.ownership import (
    OWNER_PATH,
    Ownership,
    open_run_branch,
    read_ownership,
    run_branch,
    transition,
)
from dfp_platform.publishing.evidence import Heads, gather, settled_paths
from dfp_platform.publishing.publication import PUBLISHED_TAG, Publisher
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.verdicts import CHECKS
from dfp_platform.settings import settings

BRANCH_TAG = "lake/branch"
"""Run tag: the branch to publish to."""

BASE_TAG = "lake/base"
"""Run tag: an old ref to read instead of the target's head; without BRANCH_TAG such a run publishes nowhere."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run's beginning: whether it has only to publish what its parent left, and a sentence for the log."""

    only_publishes: bool
    sentence: str


def begin_run(publisher: Publisher, run: dg.DagsterRun, steps: Sequence[str], makers: Mapping[str, str]) -> Begun:
    """Open the branch of a run.

    Args:
        steps: the steps it will execute.
        makers: the step of its plan that makes each asset.
    Raises:
        NotFoundError: the target, base or parent is not there. PermanentError: the parent still runs.
    """
    parent = _unpublished_parent(publisher, run)
    if parent is not None:
        return _continue(publisher, run, parent, steps, makers)
    target = run.tags.get(BRANCH_TAG) or (None if BASE_TAG in run.tags else settings().branch)
    base = publisher.lake.resolve(run.tags.get(BASE_TAG) or target or settings().branch)
    _open(publisher.lake, Ownership(run.run_id, target, base), source=base)
    return Begun(False, f"works on {run_branch(run.run_id)}, made from {base[:12]}; target: {target or 'none'}")


def _open(lake: Lake, ownership: Ownership, *, source: str) -> None:
    try:
        open_run_branch(lake, ownership, source=source)
    except AlreadyExistsError:
        # the same run begins again after its worker was restarted between making the branch and marking it
        found = read_ownership(lake, run_branch(ownership.run_id))
        if found is not None and (found.run_id, found.state) == (ownership.run_id, "open"):
            return
        lake.delete_branch(run_branch(ownership.run_id))
        open_run_branch(lake, ownership, source=source)


def _unpublished_parent(publisher: Publisher, run: dg.DagsterRun) -> str | None:
    """The nearest ancestor whose branch still waits to be published; a parent that died at its start has none."""
    branches, ended = publisher.lake.branches(), run.parent_run_id
    while ended is not None:
        parent = publisher.instance.get_run_by_id(ended)
        if run_branch(ended) in branches:
            if parent is not None and not parent.is_finished:
                raise PermanentError(
                    f"run {ended} still runs", hint="wait for its end, or terminate it first", run_id=ended
                )
            owner = read_ownership(publisher.lake, run_branch(ended))
            return ended if owner is not None and owner.run_id == ended else None
        ended = None if parent is None or parent.tags.get(PUBLISHED_TAG) else parent.parent_run_id
    return None


def _continue(
    publisher: Publisher, run: dg.DagsterRun, parent: str, steps: Sequence[str], makers: Mapping[str, str]
) -> Begun:
    """Fork from the parent's branch after fencing the parent: its old processes can write nothing from here on."""
    lake = publisher.lake
    publisher.record_verdicts(parent)
    head = transition(
        lake, run_branch(parent), lambda o: replace(o, state="sealed"), message=f"run {run.run_id} takes over"
    )
    left = read_ownership(lake, head)
    if left is None:
        raise NotFoundError(f"branch {run_branch(parent)} has no owner", ref=run_branch(parent))
    fresh = Ownership(run.run_id, run.tags.get(BRANCH_TAG) or left.target, left.base)
    _open(lake, fresh, source=head)
    if left.complete and not left.redo and set(steps) == set(left.steps):
        return Begun(True, f"carries on {run_branch(parent)}, whose steps all succeeded: only publishes")
    caught_up = _catch_up(publisher, run.run_id, fresh.target, steps, makers)
    return Begun(False, f"carries on {run_branch(parent)}{caught_up}")


def _catch_up(
    publisher: Publisher, run_id: str, target: str | None, steps: Sequence[str], makers: Mapping[str, str]
) -> str:
    """Bring the target's newer state in, if every result it would make stale is made again by this run's steps."""
    lake, branch = publisher.lake, run_branch(run_id)
    if target is None:
        return ""
    head, there = lake.resolve(branch), lake.resolve(target)
    base = lake.merge_base(head, there)
    if base is None or base == there:
        return ""
    heads = Heads(run=head, target=there, base=base)
    stale = _stale(lake, publisher.graph, heads, run_id)
    if not all(makers.get(asset) in steps for asset in stale):
        return ""
    settled = {**settled_paths(lake, publisher.graph, heads), **_theirs(lake, publisher.graph, heads, stale)}
    settled[OWNER_PATH] = lake.read(head, OWNER_PATH)
    try:
        lake.merge(there, branch, message=f"catch up with {target}", expect=head, resolved=settled)
    except MergeConflictError:
        return ""
    return f", brought up to {target} at {there[:12]}"


def _stale(lake: Lake, graph: Graph, heads: Heads, run_id: str) -> tuple[str, ...]:
    """Results of the run that contradict the target now, and all that was made from them."""
    evidence = gather(lake, graph, heads, run_id=run_id, status="", failed_steps=())
    readers = (
        asset
        for asset in evidence.changed
        if any(dep in evidence.moved and dep not in evidence.changed for dep in evidence.dependencies[asset])
    )
    reached = graph.downstream([*evidence.overlap, *readers])
    return tuple(asset for asset in reached if asset in evidence.changed)


def _theirs(lake: Lake, graph: Graph, heads: Heads, stale: Sequence[str]) -> dict[str, Content]:
    """The target's side of every path of a stale asset that both changed; its steps will make it anew."""
    return {
        d.path: d.after
        for d in lake.diff(heads.base, heads.target)
        if graph.owner_of(d.path.removeprefix(CHECKS)) in stale
    }
