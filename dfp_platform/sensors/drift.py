"""Launches a training where the published drift report says that what the model sees has moved too far."""

from dataclasses import dataclass

import dagster as dg

from dfp_platform.assets.choices import DRIFT_REPORT
from dfp_platform.errors import DfpError, NotFoundError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.publishing.branching import BRANCH_TAG
from dfp_platform.sensors.autostart import sensor_status
from dfp_platform.sensors.jobs import TRAIN
from dfp_platform.serving.drift import DriftReport
from dfp_platform.settings import settings

DRIFT_TAG = "dfp/drift"
"""Run tag: the score for which a run was launched."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one look at the report comes to.

    Attributes:
        said: one sentence for people.
        run_key: of the run that is wanted; empty: none is.
        score: of the report; None: there is none.
    """

    said: str
    run_key: str = ""
    score: float | None = None


def wish(report: DriftReport | None, *, branch: str, limit: float) -> Wish:
    """Whether a report asks for a training. One of the same model and data asks for the same run, whenever it was made.

    Args:
        report: what is published on the branch; None: nothing.
        limit: the setting as it is now, which may have changed since the report was made.
    """
    if report is None:
        return Wish(f"no drift report is on {branch} yet. next: dfp run --select {DRIFT_REPORT}")
    version = f"v{report.version}" if report.version else report.content[:12]
    about = f"{report.model} {version} on data {report.data[:12]}"
    if report.score is None:
        return Wish(f"the drift of {about} is not known: too few apps to compare")
    if report.score < limit:
        return Wish(f"drift of {about} is {report.score:.3f}, below {limit:g}", score=report.score)
    key = f"drift-{branch}-{report.content[:16]}-{report.data[:16]}"
    return Wish(f"drift of {about} is {report.score:.3f}, not below {limit:g}", key, report.score)


def published_report(lake: Lake, branch: str) -> DriftReport | None:
    """The drift report that stands on a branch; None: there is no such branch, or nothing there."""
    try:
        return DriftReport.from_json(lake.read(branch, f"{DRIFT_REPORT}/report.json"))
    except NotFoundError:
        return None


@dg.sensor(
    name="retrain_on_drift",
    job_name=TRAIN,
    minimum_interval_seconds=300,
    default_status=sensor_status("retrain_on_drift"),
    description="Launches the job train, once for each model and training table, where the score of reports/drift has "
    "reached DFP_DRIFT_LIMIT.",
)
def retrain_on_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One tick; the run's key is that of model and data, so no restart or second daemon doubles it."""
    branch = settings().branch
    try:
        found = wish(
            published_report(open_lake(settings().lake_uri, create=True), branch),
            branch=branch,
            limit=settings().drift_limit,
        )
    except DfpError as error:
        return dg.SkipReason(f"the lake was not read: {error.message}")
    if not found.run_key:
        return dg.SkipReason(found.said)
    launched = context.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": found.run_key}), limit=1)
    if launched:
        run = launched[0]
        return dg.SkipReason(f"{found.said}; run {run.run_id} was launched for it and is {run.status.value}")
    tags = {BRANCH_TAG: branch, DRIFT_TAG: f"{found.score:.3f}"}
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=found.run_key, tags=tags)])
