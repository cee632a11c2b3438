"""Trains models anew when what they are trained on has changed in the lake, whoever changed it."""

import random
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import dagster as dg

from dfp_platform.assets.choices import LINE
from dfp_platform.errors import TransientError
from dfp_platform.lake import open_lake
from dfp_platform.publishing.branching import BASE_TAG, BRANCH_TAG
from dfp_platform.publishing.launch import MAIN_JOB
from dfp_platform.publishing.publication import PROPOSAL_TAG
from dfp_platform.publishing.staleness import Fact
from dfp_platform.resources.dagster_internals import graph_of, key_of
from dfp_platform.resources.dagster_launching import assets_of_job
from dfp_platform.sensors.autostart import sensor_status
from dfp_platform.sensors.jobs import TRAIN, writing
from dfp_platform.sensors.looking import Looking
from dfp_platform.sensors.schedules import UNFINISHED
from dfp_platform.sensors.watching import Attempt, Decision, Patience, Request, decide, from_cursor, to_cursor
from dfp_platform.settings import settings

RETRAINS_TAG = "lake/retrains"
"""Run tag: the branch whose models a run trains anew."""

REQUEST_TAG = "lake/retraining"
"""Run tag: the request it came from; a run that runs it again bears it too."""

_TOLD = 5
"""Branches that a skipped tick tells of."""

Job = Any
"""What `dg.define_asset_job` returns; Dagster does not export its type."""


def retrain_line(jobs: Iterable[Job]) -> dg.SensorDefinition:
    """The sensor for the models of the main line, which starts its jobs."""
    by_name = {job.name: job for job in jobs}
    return retraining([f"models/{name}" for name in LINE], train=by_name[TRAIN], rebuild=by_name[MAIN_JOB])


def retraining(
    models: Collection[str], *, train: Job, rebuild: Job, clock: Callable[[], float] = time.time
) -> dg.SensorDefinition:
    """The sensor that follows branches for the sake of some models.

    Args:
        models: their asset key paths.
        train: the job that makes them, and what follows from them, from tables that stand.
        rebuild: the job that makes all of the line; parts of it are run where tables do not follow from raw rows.
        clock: seconds since the epoch.
    """

    known: set[Fact] = set()

    @dg.sensor(
        name="retrain",
        jobs=[train, rebuild],
        minimum_interval_seconds=30,
        default_status=sensor_status("retrain"),
        description="Trains models anew on a branch whose training inputs changed, from the commit at which they "
        "changed. DFP_RETRAINING says whether that is published or proposed.",
    )
    def retrain(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        assert context.repository_def is not None
        graph = graph_of(context.repository_def.asset_graph)
        watches, now = from_cursor(context.cursor), clock()
        try:
            lake, looking = open_lake(settings().lake_uri, create=True), Looking(graph, models, known)
            looks = looking.looks(lake, settings().retraining_patterns, watches, draw=random.Random(now))
        except TransientError as error:
            return dg.SkipReason(f"the lake cannot be read now, the next tick tries again: {error}")
        attempts = attempts_at(context.instance, [branch for branch, look in looks.items() if look and look.stale])
        patience = Patience(settings().retraining_quiet_seconds, settings().retraining_wait_seconds)
        decision = decide(watches, looks, attempts, now=now, patience=patience)
        whole = assets_of_job(context.repository_def, rebuild.name)

        def run_of(request: Request) -> dg.RunRequest:
            if set(request.look.stale) <= set(models):
                return _run(request, train.name, writes=("models",))
            made = [asset for asset in graph.downstream(request.look.stale) if asset in whole]
            return _run(request, rebuild.name, writes=("tables", "models"), selection=made)

        return _result(decision, [run_of(request) for request in decision.requests])

    return retrain


def attempts_at(instance: dg.DagsterInstance, branches: Sequence[str]) -> dict[str, Attempt]:
    """The newest retraining of each branch that had one, in two questions however many branches there are.

    One that had ended may be overlooked behind ten newer ones for each branch; it is then asked for by the same key.
    """
    if not branches:
        return {}
    of = {RETRAINS_TAG: list(branches)}
    newest = instance.get_runs(dg.RunsFilter(tags=of), limit=10 * len(branches))
    under_way = instance.get_runs(dg.RunsFilter(tags=of, statuses=UNFINISHED))
    found: dict[str, Attempt] = {}
    for run in (*newest, *under_way):
        attempt = Attempt(run.run_id, run.status.value, run.is_finished, run.tags.get(REQUEST_TAG, ""))
        found.setdefault(run.tags[RETRAINS_TAG], attempt)
    return found


def _run(request: Request, job: str, *, writes: Sequence[str], selection: Sequence[str] | None = None) -> dg.RunRequest:
    """A run that reads the commit that was looked at, and publishes to its branch or leaves that to a person."""
    tags = {
        BRANCH_TAG: request.branch,
        BASE_TAG: request.look.head,
        RETRAINS_TAG: request.branch,
        REQUEST_TAG: request.key,
    }
    proposed = {} if settings().retraining == "publish" else {PROPOSAL_TAG: "true"}
    return dg.RunRequest(
        run_key=request.key,
        job_name=job,
        asset_selection=None if selection is None else [key_of(asset) for asset in selection],
        tags=tags | proposed | writing(*writes, branch=request.branch),
    )


def _result(decision: Decision, runs: Sequence[dg.RunRequest]) -> dg.SensorResult:
    told = "; ".join(decision.sentences[:_TOLD]) or "no branch fits DFP_RETRAINING_BRANCHES"
    if (more := len(decision.sentences) - _TOLD) > 0:
        told += f"; and {more} more branches"
    return dg.SensorResult(
        run_requests=runs, skip_reason=None if runs else dg.SkipReason(told), cursor=to_cursor(decision.watches)
    )
