"""What happened since: changes of runs' statuses and of assets' freshness, as Dagster 1.13 records them.

The contract test `test_dagster_events` holds this file to the pinned release.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster._core.event_api import EventLogCursor
from dagster._core.storage.tags import WILL_RETRY_TAG

from dfp_platform.resources.dagster_internals import key_of, path_of

_EVENTS = {
    "STARTED": dg.DagsterEventType.RUN_START,
    "SUCCESS": dg.DagsterEventType.RUN_SUCCESS,
    "FAILURE": dg.DagsterEventType.RUN_FAILURE,
    "CANCELED": dg.DagsterEventType.RUN_CANCELED,
}


_LONGEST = 500


@dataclass(frozen=True, slots=True)
class RunChange:
    """One change of a run's status.

    Attributes:
        id: its place in Dagster's record; later changes have greater ones.
        status: STARTED, SUCCESS, FAILURE or CANCELED.
        time: when, in UTC.
    """

    id: int
    run_id: str
    status: str
    time: datetime


def run_changes(
    instance: dg.DagsterInstance, *, after: int, statuses: Sequence[str] = tuple(_EVENTS), limit: int
) -> list[RunChange]:
    """The oldest `limit` changes to one of `statuses` that were recorded after the change with id `after`, in order."""
    cursor = EventLogCursor.from_storage_id(after).to_string()
    found = [
        _change(record, status)
        for status in statuses
        for record in instance.fetch_run_status_changes(
            _EVENTS[status], limit=limit, cursor=cursor, ascending=True
        ).records
    ]
    return sorted(found, key=lambda change: change.id)[:limit]  # whole: of each status the oldest `limit` are there


def newest_change(instance: dg.DagsterInstance) -> int:
    """Id of the newest change of any run's status; -1 if no run was ever started."""
    newest = [
        record.storage_id
        for kind in _EVENTS.values()
        for record in instance.fetch_run_status_changes(kind, limit=1, ascending=False).records
    ]
    return max(newest, default=-1)


def will_be_retried(run: dg.DagsterRun) -> bool:
    """Whether Dagster starts a failed run again by itself."""
    return run.tags.get(WILL_RETRY_TAG) == "true"


def asset_paths(instance: dg.DagsterInstance) -> list[str]:
    """Every asset that Dagster has a record of."""
    return sorted(map(path_of, instance.get_asset_keys()))


def freshness_states(instance: dg.DagsterInstance, assets: Sequence[str]) -> dict[str, str]:
    """PASS, WARN or FAIL of each asset whose freshness policy Dagster's daemon has judged."""
    records = instance.get_freshness_state_records([key_of(asset) for asset in assets])
    states = {path_of(key): record.freshness_state.value for key, record in records.items() if record is not None}
    return {asset: state for asset, state in states.items() if state in ("PASS", "WARN", "FAIL")}


def step_errors(instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
    """Why each failed step of a run failed: the first cause of its error, in one line of `_LONGEST` letters at most."""
    found: dict[str, str] = {}
    for record in instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records:
        event = record.event_log_entry.dagster_event
        if event is None:
            continue
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        told = error.message if error is not None else event.message or ""
        found[str(event.step_key)] = " ".join(told.split())[:_LONGEST]
    return found


def column_sources(
    instance: dg.DagsterInstance, run_id: str
) -> dict[tuple[str, str], dict[str, list[tuple[str, str]]]]:
    """From which columns of which assets each column is made, of the tables that a run said it of.

    Returns:
        By asset and content: what is said belongs to the content that the run made, published or not.
    """
    found: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = {}
    for record in instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records:
        told = record.event_log_entry.asset_materialization
        content = told.metadata.get("lake/content") if told is not None else None
        sources = told.metadata.get("dagster/column_lineage") if told is not None else None
        if told is None or content is None or not isinstance(sources, dg.TableColumnLineageMetadataValue):
            continue
        found[path_of(told.asset_key), str(content.value)] = {
            column: [(path_of(dep.asset_key), dep.column_name) for dep in deps]
            for column, deps in sources.column_lineage.deps_by_column.items()
        }
    return found


def _change(record: dg.EventLogRecord, status: str) -> RunChange:
    return RunChange(record.storage_id, record.run_id, status, datetime.fromtimestamp(record.timestamp, UTC))
