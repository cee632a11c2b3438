"""Tells catalogs of other makers what runs published: OpenLineage, DataHub. Each by a cursor of its own."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dagster as dg

from dfp_platform.errors import ConfigurationError, DfpError, NotFoundError, PermanentError
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.lake.ownership import read_ownership, run_branch
from dfp_platform.lineage import Receiver, RunRecord, State, receivers_of
from dfp_platform.publishing.branching import BASE_TAG, BRANCH_TAG
from dfp_platform.publishing.launch import JUDGES_TAG
from dfp_platform.publishing.publication import PUBLISHED_TAG
from dfp_platform.resources.dagster_events import RunChange, column_sources, newest_change, run_changes, step_errors
from dfp_platform.resources.published import lake_name, published_by
from dfp_platform.schemas import CommitId
from dfp_platform.settings import settings

logger = logging.getLogger(__name__)

_STATES: dict[str, State] = {"STARTED": "START", "SUCCESS": "COMPLETE", "FAILURE": "FAIL", "CANCELED": "ABORT"}

_CHANGES = 20
"""Changes of runs that one tick tells a receiver."""

_SECONDS = 20.0
"""After which a tick begins to tell no other: Dagster ends a tick that takes a minute."""

_AT_MOST = 200
"""Held-back runs whose later publication is looked for; beyond, the oldest are no longer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one receiver stands.

    Attributes:
        after: id of the last change of a run that it was told.
        held: runs that it was told have failed, and whose branch may still be published.
        telling: what it is being told, if a tick ended in the middle of it.
        sent: pieces of that which it has.
        away: whether it did not answer the last time.
    """

    after: int
    held: tuple[str, ...] = ()
    telling: str = ""
    sent: int = 0
    away: bool = False

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Place":
        fields: dict[str, Any] = {**stored, "held": tuple(stored["held"])}
        return cls(**fields)


def lineage_sensors() -> list[dg.SensorDefinition]:
    """The sensor, if there is anybody to tell."""
    return [tell_catalogs] if receivers_of(settings()) else []


@dg.sensor(
    name="tell_catalogs",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells OpenLineage receivers and DataHub what runs began, published or failed to publish, from the "
    "lake's record. DFP_OPENLINEAGE_URL and DFP_DATAHUB_URL say where they are.",
)
def tell_catalogs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One tick."""
    began = time.monotonic()
    places = from_cursor(context.cursor)
    said: list[str] = []
    for name, make in receivers_of(settings()).items():
        place = places.get(name) or Place(newest_change(context.instance))
        places[name], told = _told(context.instance, place, name, partial(make, settings()), partial(_late, began))
        said.append(told)
    context.update_cursor(json.dumps({name: asdict(place) for name, place in places.items()}))
    return dg.SkipReason("; ".join(said) or "nobody to tell")


def from_cursor(stored: str | None) -> dict[str, Place]:
    """Where receivers stand; nowhere where that cannot be read, by another version perhaps: then they begin anew."""
    try:
        return {name: Place.of(place) for name, place in json.loads(stored or "{}").items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _late(began: float) -> bool:
    return time.monotonic() - began > _SECONDS


def _told(
    instance: dg.DagsterInstance, place: Place, name: str, make: Callable[[], Receiver], late: Callable[[], bool]
) -> tuple[Place, str]:
    """Tell one receiver what happened since; where it stands then, and a sentence about it."""
    telling: Telling | None = None
    try:
        telling = Telling(instance, open_lake(settings().lake_uri, create=True), make(), late, place)
        telling.go_on()
    except (DfpError, OSError) as error:
        # logged once, when it went away, not at each tick
        logger.log(logging.DEBUG if place.away else logging.WARNING, "%s waits to be told: %s", name, error)
        return replace(telling.place if telling else place, away=True), f"{name} waits: {error}"
    return replace(telling.place, away=False), f"{name}: {telling.told} told"


@dataclass(slots=True)
class Telling:
    """One receiver being told, in order, until it is late: then the next tick goes on where this one stopped.

    Attributes:
        late: whether to stop.
        place: where the receiver stands by now, whatever happens.
        told: how many records it was told.
    """

    instance: dg.DagsterInstance
    lake: Lake
    receiver: Receiver
    late: Callable[[], bool]
    place: Place
    told: int = 0

    def go_on(self) -> None:
        """Tell what happened since. Raises what `Receiver.tell` does, except InputError: that is left out."""
        for change in run_changes(self.instance, after=self.place.after, limit=_CHANGES):
            record = partial(record_of, self.instance, self.lake, change)
            if not self._tell(f"change {change.id}", change.run_id, record):
                return
            held = (change.run_id,) if self._was_held(change) else ()
            self.place = replace(self.place, after=change.id, held=(*self.place.held, *held)[-_AT_MOST:])
        self._later()

    def _was_held(self, change: RunChange) -> bool:
        run = self.instance.get_run_by_id(change.run_id)
        failed = change.status in ("FAILURE", "CANCELED")
        return failed and run is not None and not run.tags.get(PUBLISHED_TAG)

    def _later(self) -> None:
        """Tell of runs that had failed and were published since: by `dfp publish`, or after a crash."""
        branches = self.lake.branches() if self.place.held else {}
        for run_id in self.place.held:
            run = self.instance.get_run_by_id(run_id)
            if run is not None and run.tags.get(PUBLISHED_TAG):
                record = partial(_record, self.instance, self.lake, run, "COMPLETE", None)
                if not self._tell(f"run {run_id}", run_id, record):
                    return
            elif run_branch(run_id) in branches:
                continue
            self.place = replace(self.place, held=tuple(held for held in self.place.held if held != run_id))

    def _tell(self, what: str, run_id: str, record_of: Callable[[], RunRecord | None]) -> bool:
        """Tell one record, piece by piece; False if it grew late before the end.

        What cannot be read, or is refused for good, is left out, and the log says so.
        """
        if self.late():
            return False
        if self.place.telling != what:
            self.place = replace(self.place, telling=what, sent=0)
        try:
            record = record_of()
            for sent in self.receiver.tell(record, begin=self.place.sent) if record is not None else ():
                self.place = replace(self.place, sent=sent)
                if self.late():
                    return False
        except ConfigurationError:
            raise
        except PermanentError as error:
            logger.error("%s was not told of run %s: %s", self.receiver.name, run_id, error)
        else:
            self.told += record is not None
        self.place = replace(self.place, telling="", sent=0)
        return True


def records_of_run(instance: dg.DagsterInstance, lake: Lake, run_id: str) -> list[RunRecord]:
    """What there is to tell of a run by now: that it began, and how it ended. Raises NotFoundError: no such run."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise NotFoundError(f"no run {run_id}", hint="`dfp lake log` names the runs that were published", run_id=run_id)
    known = instance.get_run_record_by_id(run_id)
    times = (known.start_time, known.end_time) if known is not None else (None, None)
    began, ended = (datetime.fromtimestamp(time, UTC) if time else None for time in times)
    found = [_record(instance, lake, run, "START", began)] if began else []
    if run.is_finished:
        state = "COMPLETE" if run.tags.get(PUBLISHED_TAG) else _STATES[run.status.value]
        found.append(_record(instance, lake, run, state, ended))
    return found


def record_of(instance: dg.DagsterInstance, lake: Lake, change: RunChange) -> RunRecord | None:
    """What is to be told of a change of a run; None of one that only judges for another, or is gone."""
    run = instance.get_run_by_id(change.run_id)
    if run is None or JUDGES_TAG in run.tags:
        return None
    state = _STATES[change.status]
    if state in ("FAIL", "ABORT") and run.tags.get(PUBLISHED_TAG):
        state = "COMPLETE"  # its worker died after the merge
    return _record(instance, lake, run, state, change.time)


def _record(
    instance: dg.DagsterInstance, lake: Lake, run: dg.DagsterRun, state: State, when: datetime | None
) -> RunRecord:
    """A state of a run; of COMPLETE with what it published, at the time of that commit."""
    target = run.tags.get(BRANCH_TAG) or ("" if BASE_TAG in run.tags else settings().branch)
    commit = CommitId(run.tags.get(PUBLISHED_TAG, "")) if state == "COMPLETE" else CommitId("")
    made = published_by(lake, commit, run.run_id, branch=target) if commit else ()
    if made:
        columns = column_sources(instance, run.run_id)
        made = tuple(
            replace(each, columns_from=columns.get((each.dataset.asset, each.dataset.content), {})) for each in made
        )
    published = lake.show(commit).time if made else None
    known = instance.get_run_record_by_id(run.run_id)
    began = datetime.fromtimestamp(known.start_time, UTC) if known is not None and known.start_time else None
    time_ = published or when or datetime.now(UTC)
    return RunRecord(
        run_id=run.run_id,
        job=run.job_name,
        state=state,
        time=time_,
        started=min(began or time_, time_),
        lake=lake_name(lake),
        branch=target,
        commit=commit,
        made=made,
        reasons=_reasons(instance, lake, run.run_id) if state == "FAIL" else (),
        continues=run.parent_run_id or "",
    )


def _reasons(instance: dg.DagsterInstance, lake: Lake, run_id: str) -> tuple[str, ...]:
    """Why the gate held a run back, as its branch says; else the messages of its failed steps."""
    try:
        owner = read_ownership(lake, run_branch(run_id))
    except NotFoundError:
        owner = None
    steps = tuple(f"{step}: {error}" for step, error in step_errors(instance, run_id).items())
    said = owner.reasons if owner is not None and owner.complete else steps
    return tuple(map(settings().without_secrets, said))
