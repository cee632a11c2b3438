"""What is told of Dagster: runs by job and end, what waits in the queue, whether sensors tick, what grew old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client.core import Metric

from dfp_platform.metrics.families import counter, gauge
from dfp_platform.resources.dagster_activity import (
    Instigator,
    Run,
    instigators,
    newest_runs,
    runs_named,
    runs_under_way,
    ticks,
)
from dfp_platform.resources.dagster_events import asset_paths, freshness_states, newest_change, run_changes
from dfp_platform.resources.dagster_history import heartbeats

if TYPE_CHECKING:
    import dagster as dg

ENDS = ("success", "failure", "canceled")
"""How runs end."""

_NEWEST_RUNS = 200
_CHANGES = 500

Name = tuple[str, str]
"""Of a sensor or schedule: its name and kind."""


@dataclass(eq=False)
class RunsPart:
    """The part `runs` of the page. Ends are counted from the exporter's start on: records of old runs may be deleted.

    Attributes:
        ended: by job and end, how many.
        last: by job and end, when one last ended, in seconds since 1970; by job, how long a success last took.
    """

    instance: dg.DagsterInstance
    ended: Counter[Name] = field(default_factory=Counter)
    last: dict[Name, float] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    _after: int | None = None

    def __call__(self) -> list[Metric]:
        """What is told now."""
        if self._after is None:
            self._after = newest_change(self.instance)
            self._remember(newest_runs(self.instance, limit=_NEWEST_RUNS)[::-1])
        self._count()
        jobs = sorted({job for job, _ in self.last})
        return [
            counter(
                "dfp_runs",
                "Runs that ended since the exporter began.",
                [((job, end), self.ended[job, end]) for job in jobs for end in ENDS],
                ["job_name", "status"],
            ),
            gauge(
                "dfp_run_timestamp_seconds",
                "When a run of the job last ended so, in seconds since 1970.",
                [(name, at) for name, at in sorted(self.last.items())],
                ["job_name", "status"],
            ),
            gauge(
                "dfp_run_last_success_seconds",
                "Seconds that the job's last success took.",
                [((job,), seconds) for job, seconds in sorted(self.took.items())],
                ["job_name"],
            ),
            *under_way_families(runs_under_way(self.instance)),
        ]

    def _count(self) -> None:
        """Take in the runs that ended since the last look."""
        changes = run_changes(
            self.instance, after=self._after or 0, statuses=("SUCCESS", "FAILURE", "CANCELED"), limit=_CHANGES
        )
        found = runs_named(self.instance, [change.run_id for change in changes])
        for change in changes:
            if (run := found.get(change.run_id)) is not None:
                self.ended[run.job, change.status.lower()] += 1
                self._remember([run])
            self._after = change.id

    def _remember(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.ended is None:
                continue
            self.last[run.job, run.status.lower()] = run.ended
            if run.status == "SUCCESS" and run.started is not None:
                self.took[run.job] = run.ended - run.started


def under_way_families(runs: Sequence[Run]) -> list[Metric]:
    """How many runs wait and go on, and since when the oldest does."""
    queued = [run.created for run in runs if run.status == "QUEUED"]
    going = [run.started for run in runs if run.status == "STARTED" and run.started is not None]
    by_status = Counter(run.status.lower() for run in runs)
    return [
        gauge(
            "dfp_runs_under_way",
            "Runs that are not over.",
            [
                ((status,), by_status[status])
                for status in ("queued", "not_started", "starting", "started", "canceling")
            ],
            ["status"],
        ),
        gauge(
            "dfp_run_oldest_timestamp_seconds",
            "Since when the oldest run waits in the queue, or goes on, in seconds since 1970.",
            [((status,), min(since)) for status, since in (("queued", queued), ("started", going)) if since],
            ["status"],
        ),
    ]


@dataclass(eq=False)
class SensorsPart:
    """The part `sensors` of the page: ticks, counted from the exporter's start on, the daemon, and what grew old."""

    instance: dg.DagsterInstance
    ticked: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    last: dict[Name, float] = field(default_factory=dict)

    def __call__(self) -> list[Metric]:
        """What is told now."""
        known = instigators(self.instance)
        for each in known:
            self._count(each)
        names = [(each.name, each.kind) for each in known]
        return [
            gauge(
                "dfp_ticker_on",
                "1 if a sensor or schedule is turned on.",
                [((each.name, each.kind), float(each.running)) for each in known],
                ["name", "kind"],
            ),
            counter(
                "dfp_ticks",
                "Ticks that ended since the exporter began.",
                [((*name, status), self.ticked[*name, status]) for name in names for status in _TICK_ENDS],
                ["name", "kind", "status"],
            ),
            gauge(
                "dfp_tick_timestamp_seconds",
                "When it last ticked, in seconds since 1970.",
                [(name, self.last[name]) for name in names if name in self.last],
                ["name", "kind"],
            ),
            gauge(
                "dfp_daemon_heartbeat_timestamp_seconds",
                "When a kind of Dagster's daemon was last heard, in seconds since 1970.",
                [((kind.lower(),), at) for kind, (at, _) in sorted(heartbeats(self.instance).items())],
                ["daemon"],
            ),
            self._freshness(),
        ]

    def _count(self, each: Instigator) -> None:
        name = (each.name, each.kind)
        before = self.last.get(name)
        for tick in ticks(self.instance, each, after=before):
            if before is not None:
                self.ticked[*name, tick.status] += 1
            self.last[name] = tick.time

    def _freshness(self) -> Metric:
        states = Counter(freshness_states(self.instance, asset_paths(self.instance)).values())
        return gauge(
            "dfp_assets",
            "Assets by how their freshness policy judges them: pass, warn (old), fail (overdue).",
            [((state,), states[state.upper()]) for state in ("pass", "warn", "fail")],
            ["freshness"],
        )


_TICK_ENDS = ("skipped", "success", "failure")
