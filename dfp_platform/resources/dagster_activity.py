"""What Dagster 1.13 is doing: ticks of sensors and schedules, runs that wait, go on and end, as its records tell.

Like `dagster_internals`: what is not its public interface is proven by a contract test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, TickStatus

from dfp_platform.resources.dagster_history import ENDED

UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
"""Statuses of a run that is not over."""

TICKS = 200
"""Newest ticks of one sensor that one look takes in; more do not come between two looks."""


@dataclass(frozen=True, slots=True)
class Instigator:
    """A sensor or a schedule that Dagster's daemon has seen.

    Attributes:
        kind: `sensor` or `schedule`.
        running: it is turned on.
    """

    name: str
    kind: str
    running: bool
    state: InstigatorState


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick. `status` is skipped, success or failure; `time` when it began, in seconds since 1970."""

    status: str
    time: float


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as far as figures need it; times in seconds since 1970, None where it has not come that far.

    Attributes:
        created: when it was asked for.
    """

    run_id: str
    job: str
    status: str
    created: float
    started: float | None
    ended: float | None


def instigators(instance: dg.DagsterInstance) -> list[Instigator]:
    """Every sensor and schedule, by name."""
    states = instance.all_instigator_state() if instance.schedule_storage else []  # one in memory has none
    found = [
        Instigator(state.instigator_name, state.instigator_type.value.lower(), state.is_running, state)
        for state in states
    ]
    return sorted(found, key=lambda each: (each.kind, each.name))


def ticks(instance: dg.DagsterInstance, of: Instigator, *, after: float | None) -> list[Tick]:
    """The ticks that are over, oldest first: those that began after a moment, or the newest alone."""
    recorded = instance.get_ticks(
        of.state.instigator_origin_id,
        of.state.selector_id,
        after=after,
        limit=1 if after is None else TICKS,
        statuses=[status for status in TickStatus if status is not TickStatus.STARTED],
    )
    found = [Tick(tick.status.value.lower(), tick.timestamp) for tick in recorded]
    return sorted((tick for tick in found if after is None or tick.time > after), key=lambda tick: tick.time)


def runs_under_way(instance: dg.DagsterInstance) -> list[Run]:
    """Runs that wait or go on."""
    return _runs(instance, dg.RunsFilter(statuses=list(UNDER_WAY)))


def newest_runs(instance: dg.DagsterInstance, *, limit: int) -> list[Run]:
    """The runs that ended, the newest first."""
    return _runs(instance, dg.RunsFilter(statuses=ENDED), limit=limit)


def runs_named(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, Run]:
    """These runs by id, without those whose record is gone."""
    return {run.run_id: run for run in _runs(instance, dg.RunsFilter(run_ids=list(run_ids)))} if run_ids else {}


def _runs(instance: dg.DagsterInstance, wanted: dg.RunsFilter, limit: int | None = None) -> list[Run]:
    return [
        Run(
            run_id=record.dagster_run.run_id,
            job=record.dagster_run.job_name,
            status=record.dagster_run.status.value,
            created=record.create_timestamp.timestamp(),
            started=record.start_time,
            ended=record.end_time,
        )
        for record in instance.get_run_records(wanted, limit=limit)
    ]
