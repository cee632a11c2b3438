"""What `resources/dagster_events.py` takes from the pinned Dagster that is not its public interface."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.storage.tags import WILL_RETRY_TAG

from dfp_platform.resources.dagster_events import freshness_states, newest_change, run_changes, will_be_retried
from dfp_platform.resources.dagster_internals import key_of, project_instance
from dfp_platform.settings import PROJECT_ROOT


@dg.job
def job() -> None:
    """Its runs are only recorded."""


@pytest.fixture(params=["memory", "files"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's records in one database, and in one of each run beside an index, as on a laptop."""
    made = dg.DagsterInstance.ephemeral() if request.param == "memory" else project_instance(PROJECT_ROOT, tmp_path)
    with made as instance:
        yield instance


@pytest.fixture
def memory() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def ended(instance: dg.DagsterInstance, event: dg.DagsterEventType) -> str:
    run = instance.create_run_for_job(job)
    for each in dict.fromkeys((dg.DagsterEventType.RUN_START, event)):
        instance.report_dagster_event(
            dg.DagsterEvent(event_type_value=each.value, job_name="job", message=""), run.run_id
        )
    return run.run_id


def test_changes_come_in_order_each_once_and_a_page_at_a_time(instance: dg.DagsterInstance) -> None:
    assert newest_change(instance) == -1
    kinds = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)
    runs = [ended(instance, kind) for kind in kinds]
    every = run_changes(instance, after=-1, limit=100)
    assert [(change.run_id, change.status) for change in every] == [
        (run, status)
        for run, end in zip(runs, ("SUCCESS", "FAILURE", "CANCELED"), strict=True)
        for status in ("STARTED", end)
    ]
    assert newest_change(instance) == every[-1].id
    assert run_changes(instance, after=every[-1].id, limit=100) == []
    pages, after = [], -1
    while page := run_changes(instance, after=after, limit=2):
        pages += page
        after = page[-1].id
    assert pages == every


def test_changes_of_some_statuses_leave_the_others_out(memory: dg.DagsterInstance) -> None:
    run = ended(memory, dg.DagsterEventType.RUN_FAILURE)
    (change,) = run_changes(memory, after=-1, statuses=("SUCCESS", "FAILURE"), limit=10)
    assert (change.run_id, change.status) == (run, "FAILURE")
    assert change.time.tzinfo is not None


def test_freshness_is_known_of_what_the_daemon_judged(memory: dg.DagsterInstance) -> None:
    for name, state in (("a", FreshnessState.FAIL), ("b", FreshnessState.PASS), ("c", FreshnessState.UNKNOWN)):
        change = FreshnessStateChange(
            key=key_of(f"raw/{name}"),
            new_state=state,
            previous_state=FreshnessState.UNKNOWN,
            state_change_timestamp=1.0,
        )
        memory._report_runless_asset_event(change)
    assert freshness_states(memory, [f"raw/{name}" for name in "abcd"]) == {"raw/a": "FAIL", "raw/b": "PASS"}


def test_a_run_that_dagster_starts_again_says_so(memory: dg.DagsterInstance) -> None:
    run = memory.create_run_for_job(job, tags={WILL_RETRY_TAG: "true"})
    assert will_be_retried(run)
    assert not will_be_retried(memory.create_run_for_job(job))
