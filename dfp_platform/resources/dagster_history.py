"""How long steps took, as Dagster 1.13 recorded it, and which step makes which asset.

Like `dagster_internals`: what is not its public interface is proven by a contract test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import dagster as dg

from dfp_platform.resources.dagster_internals import path_of

RUNS = 30
"""Newest ended runs that are looked at."""

SAMPLES = 10
"""Newest durations of a step that its median is taken of."""


ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
"""Statuses of a run that is over."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long some steps take one after the other.

    Attributes:
        seconds: median of each step's last successes, summed; None where no step has a history.
        steps: that median by step.
        runs: runs that these durations come from.
        unknown: steps that never succeeded here.
    """

    seconds: float | None = None
    steps: Mapping[str, float] = field(default_factory=dict)
    runs: int = 0
    unknown: tuple[str, ...] = ()


def steps_of_assets(asset_graph: Any) -> dict[str, tuple[str, ...]]:
    """The steps by which each asset is made and judged: its own first, then those of checks apart from it."""
    steps: dict[str, dict[str, None]] = defaultdict(dict)
    for definition in asset_graph.assets_defs:
        if not definition.is_executable:
            continue
        name = definition.node_def.name
        for key in definition.keys:
            steps[path_of(key)] = {name: None, **steps[path_of(key)]}
        for check in definition.check_keys:
            steps[path_of(check.asset_key)].setdefault(name)
    return {asset: tuple(found) for asset, found in steps.items()}


def estimate(instance: dg.DagsterInstance, steps: Collection[str]) -> Estimate:
    """How long these steps take, from the newest runs in which they succeeded."""
    taken: dict[str, list[float]] = {step: [] for step in steps}
    runs: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=ENDED), limit=RUNS if steps else 0):
        for step, seconds in _succeeded(instance, run.run_id):
            if step in taken and len(taken[step]) < SAMPLES:
                taken[step].append(seconds)
                runs.add(run.run_id)
        if all(len(known) == SAMPLES for known in taken.values()):
            break
    medians = {step: median(known) for step, known in taken.items() if known}
    return Estimate(
        seconds=sum(medians.values()) if medians else None,
        steps=medians,
        runs=len(runs),
        unknown=tuple(sorted(taken.keys() - medians.keys())),
    )


def _succeeded(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[str, float]]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_SUCCESS).records
    for record in records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            yield str(event.step_key), event.step_success_data.duration_ms / 1000


def heartbeats(instance: dg.DagsterInstance) -> dict[str, tuple[float, str]]:
    """When each kind of daemon was last heard, in seconds since 1970, and the first error it told of; empty: none."""
    return {
        kind: (beat.timestamp, beat.errors[0].message.strip().splitlines()[0] if beat.errors else "")
        for kind, beat in instance.get_daemon_heartbeats().items()
    }


def started_by_time(instance: dg.DagsterInstance) -> int:
    """Sensors and schedules that are turned on, by somebody or by their own default once a daemon has seen them."""
    states = instance.all_instigator_state() if instance.schedule_storage else []  # one in memory has none
    return sum(state.status.value in ("RUNNING", "DECLARED_IN_CODE", "AUTOMATICALLY_RUNNING") for state in states)
