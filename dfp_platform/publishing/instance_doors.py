"""Doors that only Dagster can try: its records, its daemon, the code location, and what dead runs left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

import dagster as dg

from dfp_platform.errors import NotFoundError
from dfp_platform.lake import open_lake
from dfp_platform.probes.interface import Door, Finding
from dfp_platform.publishing.promotions import settle
from dfp_platform.publishing.publication import Publisher
from dfp_platform.publishing.reconciler import reconcile
from dfp_platform.resources.dagster_history import heartbeats, started_by_time
from dfp_platform.resources.dagster_internals import Graph, unfinished_runs
from dfp_platform.settings import Settings

OPENED_WITHIN = 15.0
"""Seconds for Dagster's records: opening them is work of this process."""

SILENT_AFTER = 120.0
"""Seconds without a heartbeat after which a daemon is taken for dead; it has one every 30."""

MENDING_SECONDS = 120.0
"""Within which what dead runs left has to be mended: promotions may load features and models."""


@dataclass(frozen=True, slots=True)
class Dagster:
    """Dagster as these doors ask it.

    Attributes:
        instance: opens its records.
        graph: loads the code location.
        run_id: the run that asks, which is alive; None: none does.
    """

    instance: Callable[[], AbstractContextManager[dg.DagsterInstance]]
    graph: Callable[[], Graph]
    run_id: str | None = None

    def opened_once(self, at: Settings) -> None:
        """Opening the records imports Dagster's storage."""
        with self.instance():
            pass

    def loaded(self, at: Settings) -> None:
        """All that mending needs."""
        self.opened_once(at)
        self.graph()

    def records(self, at: Settings, seconds: float) -> Finding:
        """How many runs are known, and how many are under way."""
        with self.instance() as opened:
            runs, going = opened.get_runs_count(), len(unfinished_runs(opened))
        return Finding("Dagster's records ok", {"runs": runs, "under way": going})

    def daemon(self, at: Settings, seconds: float) -> Finding:
        """Whether sensors and schedules are at work."""
        with self.instance() as opened:
            return judged_daemon(heartbeats(opened), started_by_time(opened), now=time.time())

    def code(self, at: Settings, seconds: float) -> Finding:
        """What the code location has."""
        found = self.graph()
        checks = sum(len(names) for names in found.required.values())
        return Finding("Code location ok", {"assets": len(found.dependencies), "blocking checks": checks})

    def dead_runs(self, at: Settings, seconds: float) -> Finding:
        """Brings what crashed runs left to a clean end."""
        try:
            lake = open_lake(at.lake_uri)
        except NotFoundError:
            return Finding("no run has written anything yet")
        with self.instance() as opened:
            mended = reconcile(Publisher(lake, opened, self.graph(), settle), except_run=self.run_id)
        return judged_mending({what: runs for what, runs in asdict(mended).items() if runs})


def instance_doors(dagster: Dagster) -> tuple[Door, ...]:
    """The doors."""
    code, mending = "make definitions tells more", "its log tells what could not be mended; the next run tries again"
    return (
        Door(
            "dagster",
            "Dagster's records can be read.",
            dagster.records,
            "look at DFP_HOME and dagster.yaml",
            load=dagster.opened_once,
            seconds=OPENED_WITHIN,
        ),
        Door(
            "daemon",
            "Sensors and schedules are at work.",
            dagster.daemon,
            "make dev, or start dagster-daemon",
            load=dagster.opened_once,
        ),
        Door(
            "code",
            "Assets, checks and jobs can be loaded.",
            dagster.code,
            code,
            load=lambda at: dagster.graph(),
            seconds=60,
        ),
        Door(
            "dead runs",
            "What crashed runs left is brought to a clean end.",
            dagster.dead_runs,
            mending,
            load=dagster.loaded,
            seconds=MENDING_SECONDS,
        ),
    )


def judged_daemon(beats: Mapping[str, tuple[float, str]], started: int, *, now: float) -> Finding:
    """What the last heartbeats of daemons mean.

    Args:
        beats: by daemon: when, in seconds since 1970, and the first error it reported (empty: none).
        started: sensors and schedules that somebody turned on.
        now: likewise.
    """
    if not beats:
        return Finding("no daemon was ever started here: sensors and schedules rest", status="not used")
    latest = max(when for when, _ in beats.values())
    if now - latest > SILENT_AFTER:
        hint = f"make dev: {started} sensors and schedules are turned on and rest meanwhile"
        return Finding(f"no daemon since {_ago(now - latest)}", {}, "warning", hint)
    facts = {"daemons": len(beats), "turned on": started}
    broken = [f"{name}: {error}" for name, (_, error) in beats.items() if error]
    if broken:
        return Finding(f"a daemon reports an error: {broken[0]}", facts, "warning", "its log tells more")
    silent = sorted(name for name, (when, _) in beats.items() if now - when > SILENT_AFTER)
    if silent:
        return Finding(f"silent: {', '.join(silent)}", facts, "warning", "start the daemon again")
    return Finding("Daemon ok", facts)


def judged_mending(mended: Mapping[str, tuple[str, ...]]) -> Finding:
    """What the reconciler mended, by what it did, and what is left to a person."""
    if not mended:
        return Finding("No dead run")
    told = {f"{what} {len(runs)}": ", ".join(each[:12] for each in runs[:3]) for what, runs in mended.items()}
    sealed = mended.get("sealed", ())
    hint = f"`dfp rerun {sealed[0]}` carries it on" if sealed else "nothing: it is mended"
    if "waiting" in mended:
        hint = "what follows their merge fails still: the other doors tell why; the next run tries again"
    return Finding("Dead runs were brought to an end", told, "warning", hint)


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} seconds ago"
