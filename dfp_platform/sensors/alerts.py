"""Tells people of runs that failed or were held back, of checks that failed, and of data that grew old."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import dagster as dg

from dfp_platform.alerts import (
    Channel,
    Judged,
    RunEnd,
    Told,
    Waiting,
    alerts_of_run,
    alerts_of_states,
    channels_of,
    deliver,
    put_into,
)
from dfp_platform.errors import DfpError
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.lake.ownership import read_ownership, run_branch
from dfp_platform.publishing.branching import BASE_TAG, BRANCH_TAG
from dfp_platform.publishing.launch import JUDGES_TAG
from dfp_platform.publishing.publication import PUBLISHED_TAG
from dfp_platform.resources.dagster_events import (
    RunChange,
    freshness_states,
    newest_change,
    run_changes,
    step_errors,
    will_be_retried,
)
from dfp_platform.resources.dagster_internals import evaluations, path_of
from dfp_platform.resources.links import report_of
from dfp_platform.settings import settings

T = TypeVar("T")

_RUNS = 20
"""Runs that one tick looks at."""

_REPORTS = "reports/"

_SECONDS = 30.0
"""After which a tick sends no more: Dagster ends a tick that takes a minute."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """What the sensor remembers from tick to tick, kept by Dagster.

    Attributes:
        after: id of the last change of a run that was looked at; None: the first tick, which looks at none before it.
    """

    after: int | None = None
    told: Told = field(default_factory=Told)
    waiting: tuple[Waiting, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, stored: str | None) -> "Cursor":
        """What was stored; as of the first tick where that cannot be read, by another version perhaps."""
        try:
            held: dict[str, Any] = json.loads(stored or "")
            return cls(held["after"], Told(**held["told"]), tuple(Waiting(**each) for each in held["waiting"]))
        except (ValueError, KeyError, TypeError):
            return cls()


class AskedLake:
    """The lake as long as it answers: after one question in vain it is not asked again, so a tick stays short."""

    def __init__(self) -> None:
        self._lake: Lake | None = None
        self._away = False

    def asked(self, question: Callable[[Lake], T], otherwise: T) -> T:
        """The answer, or `otherwise` if the lake does not answer."""
        if self._away:
            return otherwise
        try:
            self._lake = self._lake or open_lake(settings().lake_uri)
            return question(self._lake)
        except (DfpError, OSError):
            self._away = True
            return otherwise


@dg.sensor(
    name="tell_people",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends alerts: runs that failed or were not published, checks that failed, drift, stale data. "
    "DFP_ALERT_URLS says where to, DFP_ALERT_ON of what; without any they are in the log alone.",
)
def tell_people(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One tick."""
    assert context.repository_def is not None
    began, at = time.monotonic(), settings()
    channels = channels_of(at.alert_urls.get_secret_value() if at.alert_urls else "")
    assets = [path_of(key) for key in context.repository_def.asset_graph.materializable_asset_keys]
    found, titles = _looked(context.instance, Cursor.of(context.cursor), channels, assets)
    left = deliver(found.waiting, channels, hurry=partial(_is_late, began))
    context.update_cursor(Cursor(found.after, found.told, tuple(left)).to_json())
    told = [*titles, *([f"{len(left)} wait to be sent"] if left else [])]
    return dg.SkipReason("; ".join(told) or "nothing to tell")


def _is_late(began: float) -> bool:
    return time.monotonic() - began > _SECONDS


def _looked(
    instance: dg.DagsterInstance, cursor: Cursor, channels: tuple[Channel, ...], assets: list[str]
) -> tuple[Cursor, list[str]]:
    """What is to be remembered after looking at what happened since, and the titles of the alerts that it is worth."""
    at, wanted = settings(), settings().alert_on.split()
    ui = at.ui_url.rstrip("/")
    if cursor.after is None:
        cursor = Cursor(newest_change(instance), cursor.told, cursor.waiting)
    told, after, alerts, lake = cursor.told, cursor.after, [], AskedLake()
    for change in run_changes(instance, after=cursor.after or 0, statuses=("SUCCESS", "FAILURE"), limit=_RUNS):
        after = change.id
        if (end := _end_of(instance, change, lake, ui)) is not None:
            new, told = alerts_of_run(end, told, wanted=wanted)
            alerts += new
    states = freshness_states(instance, assets)
    new, told = alerts_of_states(states, told, time=datetime.now(UTC), branch=at.branch, ui=ui, wanted=wanted)
    alerts += new
    waiting = put_into(cursor.waiting, alerts, channels)
    return Cursor(after, told, tuple(waiting)), [alert.title for alert in alerts]


def _end_of(instance: dg.DagsterInstance, change: RunChange, lake: AskedLake, ui: str) -> RunEnd | None:
    """How a run ended; None where that is no news: it starts again by itself, was published since, or only judged."""
    run = instance.get_run_by_id(change.run_id)
    if run is None or will_be_retried(run) or JUDGES_TAG in run.tags:
        return None
    published = run.tags.get(PUBLISHED_TAG, "")
    if change.status == "FAILURE" and published:
        return None
    target = run.tags.get(BRANCH_TAG) or ("" if BASE_TAG in run.tags else settings().branch)
    hidden = settings().without_secrets
    branch, commit, marker = (target, published, {}) if published else _held_on(change.run_id, lake)
    return RunEnd(
        run_id=change.run_id,
        job=run.job_name,
        status=change.status,
        time=change.time,
        failed={step: hidden(error) for step, error in step_errors(instance, change.run_id).items()},
        checks=_judged(instance, change.run_id, commit, lake),
        target=target,
        branch=branch,
        commit=commit,
        ui=ui,
        **marker,
    )


def _held_on(run_id: str, lake: AskedLake) -> tuple[str, str, dict[str, Any]]:
    """The branch that a run left, its head, and what its marker says; nothing of a lake that does not answer."""
    branch = run_branch(run_id)
    head = lake.asked(lambda found: found.branches().get(branch), None)
    if head is None:
        return "", "", {}
    owner = lake.asked(lambda found: read_ownership(found, head), None)
    marker = (
        {"reasons": tuple(map(settings().without_secrets, owner.reasons)), "redo": owner.redo or not owner.complete}
        if owner
        else {}
    )
    return branch, head, marker


def _judged(instance: dg.DagsterInstance, run_id: str, commit: str, lake: AskedLake) -> tuple[Judged, ...]:
    last = {(said.asset, said.check): said for said in evaluations(instance, run_id)}
    return tuple(
        Judged(
            asset=said.asset,
            check=said.check,
            passed=said.passed,
            content=said.content or _content(lake, commit, said.asset) or run_id,
            blocks=said.severity == "ERROR",
            figure=said.figure,
            limit=said.limit,
            report=report_of(settings(), commit, said.asset) if commit and said.asset.startswith(_REPORTS) else "",
        )
        for said in last.values()
    )


def _content(lake: AskedLake, commit: str, asset: str) -> str:
    """Content of an asset that a run judged and did not make."""
    from dfp_platform.catalog import content_at

    return lake.asked(lambda found: content_at(found, commit, asset), "") if commit else ""
