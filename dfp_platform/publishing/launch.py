"""Starting runs from Python: what `dfp run`, `dfp demo` and tests call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from dfp_platform.errors import NotFoundError, PermanentError
from dfp_platform.lake import open_lake
from dfp_platform.lake.ownership import read_ownership, run_branch
from dfp_platform.publishing.branching import BASE_TAG, BRANCH_TAG
from dfp_platform.publishing.catching_up import Judge
from dfp_platform.publishing.promotions import settle
from dfp_platform.publishing.publication import PUBLISHED_TAG, Outcome, Publisher
from dfp_platform.publishing.reconciler import reconcile
from dfp_platform.publishing.workers import WORKER_TAG, this_worker
from dfp_platform.resources.dagster_internals import Graph, configured_instance, failed_steps, graph_of
from dfp_platform.resources.dagster_judging import judge_here, repository_in
from dfp_platform.resources.dagster_launching import launch_here, reexecute_here
from dfp_platform.resources.dagster_partitions import Span, tags_of
from dfp_platform.schemas import CommitId
from dfp_platform.settings import settings

DEFINITIONS = "dfp_platform.definitions"
MAIN_JOB = "main_line"
"""The job that makes everything, from raw rows to the report."""

INGEST_JOB = "ingest_on_spark"
"""The job that makes the raw table of a data set from files, by Spark."""

JUDGES_TAG = "lake/judges"
"""Run tag: the run for which this one judges again what was merged."""

Progress = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        run_id: its id in Dagster.
        success: whether it ended as SUCCESS, which implies that it was published (or had no target).
        published_commit: the target's head that carries its results; None if held back.
        branch: its branch in the lake (gone once published).
        reasons: why it was not published.
        seconds: wall-clock.
        steps: seconds of each step that ended, by step key.
        failed: steps that failed, with the message.
    """

    run_id: str
    success: bool
    published_commit: str | None
    branch: str
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    steps: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def run_job(
    *,
    job: str = MAIN_JOB,
    selection: Sequence[str] | None = None,
    branch: str | None = None,
    base: str | None = None,
    partitions: Span | None = None,
    run_config: Mapping[str, Any] | None = None,
    progress: Progress = lambda event: None,
    instance: dg.DagsterInstance | None = None,
    module: str = DEFINITIONS,
) -> RunOutcome:
    """Run a job in this process, under the publishing executor.

    Args:
        selection: asset keys as paths, ``models/autoencoder``; None: everything.
        branch: branch to publish to; None: the configured one.
        base: an old ref to read; without `branch` such a run publishes nowhere.
        partitions: which partitions of partitioned assets to make; None: all.
        progress: called with each Dagster event.
        instance: where the run is recorded; None: this project's.
    """
    asked = tags_of(partitions) if partitions else {}
    tags = {BRANCH_TAG: branch, BASE_TAG: base, WORKER_TAG: this_worker(), **asked}
    chosen = [dg.AssetKey(path.split("/")) for path in selection] if selection is not None else None
    with _instance(instance) as recorded:
        return _followed(
            recorded,
            lambda on_start: launch_here(
                recorded,
                module,
                job=job,
                selection=chosen,
                tags={name: value for name, value in tags.items() if value},
                run_config=run_config,
                on_start=on_start,
            ),
            progress,
        )


def rerun(
    run_id: str,
    *,
    whole: bool = False,
    progress: Progress = lambda event: None,
    instance: dg.DagsterInstance | None = None,
    module: str = DEFINITIONS,
) -> RunOutcome:
    """Re-execute a run in this process, as it was configured: from its failure, or as a whole; else as `run_job`.

    Raises:
        NotFoundError: no such run. PermanentError: it still runs.
    """
    with _instance(instance) as recorded:
        run = recorded.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            graph = graph_of(repository_in(module).get_definition().asset_graph)
            _ended_run(Publisher(open_lake(settings().lake_uri), recorded, graph, settle), run_id)
        return _followed(
            recorded,
            lambda on_start: reexecute_here(
                recorded, module, run_id, whole=whole, tags={WORKER_TAG: this_worker()}, on_start=on_start
            ),
            progress,
        )


def publish_run(run_id: str, *, instance: dg.DagsterInstance, graph: Graph, module: str = DEFINITIONS) -> Outcome:
    """Try again to publish a run that was held back, through the same gate; idempotent.

    Args:
        module: where checks are found that have to judge again what was merged with the target.

    Raises:
        NotFoundError: no such run. PermanentError: it still runs.
    """
    judge = judge_in(repository_in(module), instance, run_id)
    publisher = Publisher(open_lake(settings().lake_uri), instance, graph, settle, judge)
    return publisher.publish_again(_ended_run(publisher, run_id))


def _ended_run(publisher: Publisher, run_id: str) -> dg.DagsterRun:
    """The run, after Dagster was told of those whose process is gone: it may be one of them.

    Raises:
        NotFoundError: no such run. PermanentError: it still runs.
    """
    if publisher.instance.get_run_by_id(run_id) is None:
        raise NotFoundError(f"no run {run_id}", hint="`dfp lake branches` shows which runs wait", run_id=run_id)
    reconcile(publisher)
    run = publisher.instance.get_run_by_id(run_id)
    if run is None or not run.is_finished:
        raise PermanentError(f"run {run_id} still runs", hint="it publishes by itself when it ends", run_id=run_id)
    return run


def judge_in(
    repository: Any, instance: dg.DagsterInstance, run_id: str, run_config: Mapping[str, Any] | None = None
) -> Judge:
    """Judges in a run of its own that reads one commit and publishes nowhere.

    Args:
        repository: the code location that has the checks.
        run_id: the run for whose sake it is.
    """
    loggers = {"loggers": config} if (config := (run_config or {}).get("loggers")) else {}

    def judge(commit: CommitId, checks: Sequence[tuple[str, str]]) -> str:
        tags = {BASE_TAG: commit, JUDGES_TAG: run_id}
        return judge_here(instance, repository, checks, tags=tags, run_config=loggers)

    return judge


def outcome_of(
    instance: dg.DagsterInstance, run_id: str, *, seconds: float = 0.0, steps: Mapping[str, float] | None = None
) -> RunOutcome:
    """How a run ended, from Dagster's record and the lake."""
    run = instance.get_run_by_id(run_id)
    branch = run_branch(run_id)
    lake = open_lake(settings().lake_uri, create=True)
    owner = read_ownership(lake, branch) if branch in lake.branches() else None
    return RunOutcome(
        run_id=run_id,
        success=run is not None and run.is_success,
        published_commit=(run.tags.get(PUBLISHED_TAG) or None) if run else None,
        branch=branch,
        reasons=owner.reasons if owner else (),
        seconds=seconds,
        steps=steps or {},
        failed=failed_steps(instance, run_id),
    )


def _followed(
    instance: dg.DagsterInstance, start: Callable[[Callable[[str], None]], Iterator[Any]], progress: Progress
) -> RunOutcome:
    """Tell `progress` of each event of a run that is started here, and say how it ended."""
    started, ids, steps = time.monotonic(), [], {}
    for event in start(ids.append):
        if event.is_step_success:
            steps[str(event.step_key)] = event.step_success_data.duration_ms / 1000
        progress(event)
    return outcome_of(instance, ids[0], seconds=time.monotonic() - started, steps=steps)


def _instance(given: dg.DagsterInstance | None) -> AbstractContextManager[dg.DagsterInstance]:
    """The given instance, else that of this stack; on a laptop, the one that `dagster dev` in the root shows too."""
    if given is not None:
        return nullcontext(given)
    return configured_instance()
