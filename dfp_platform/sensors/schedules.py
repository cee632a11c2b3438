"""When jobs run by the clock. All are off until somebody turns them on, here by `DFP_AUTOSTART` or in the UI."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from dfp_platform.publishing.maintenance import maintenance
from dfp_platform.resources.dagster_history import ENDED
from dfp_platform.sensors.autostart import schedule_status
from dfp_platform.sensors.jobs import FEATURES, INGEST, MAINTAIN, MONITOR, TRAIN
from dfp_platform.settings import settings

UNFINISHED = [status for status in dg.DagsterRunStatus if status not in ENDED]
"""A job with a run in one of these is not started once more."""


@dataclass(frozen=True, slots=True)
class _When:
    """When a job runs, in UTC.

    Attributes:
        cron: minute, hour, day of the month, month, day of the week.
        told: its description.
    """

    job: str
    cron: str
    told: str


WHEN: Mapping[str, _When] = {
    "features_hourly": _When(FEATURES, "40 * * * *", "Features every hour: what is served follows the tables."),
    "ingest_daily": _When(INGEST, "10 1 * * *", "The source every night, at ten past one."),
    "monitor_daily": _When(MONITOR, "10 4 * * *", "Live traffic, drift and checks every morning, at ten past four."),
    "train_weekly": _When(TRAIN, "10 5 * * 0", "Models every Sunday at ten past five, whether or not data came."),
    "maintain_weekly": _When(MAINTAIN, "0 3 * * 0", "The lake's care every Sunday at three."),
}
"""By the schedule's name."""


def schedules() -> list[dg.ScheduleDefinition]:
    """All of them."""
    return [_schedule(name, when) for name, when in WHEN.items()]


def _schedule(name: str, when: _When) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job_name=when.job,
        cron_schedule=when.cron,
        default_status=schedule_status(name),
        description=f"{when.told} Skipped while a run of the job is not over.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        under_way = context.instance.get_runs(dg.RunsFilter(job_name=when.job, statuses=UNFINISHED), limit=1)
        if under_way:
            run = under_way[0]
            return dg.SkipReason(f"run {run.run_id} of {when.job} is not over ({run.status.value.lower()})")
        return dg.RunRequest(run_config=maintenance(settings().maintain) if when.job == MAINTAIN else None)

    return tick
