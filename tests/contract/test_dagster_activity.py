"""What `resources/dagster_activity.py` reads of the pinned Dagster's ticks and runs, and what figures they become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from dfp_platform.metrics.exporter import Exporter, Part
from dfp_platform.metrics.orchestration import RunsPart, SensorsPart, under_way_families
from dfp_platform.resources.dagster_activity import runs_under_way
from dfp_platform.resources.dagster_internals import project_instance
from dfp_platform.settings import PROJECT_ROOT
from tests.metric_pages import figure, sensor


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with project_instance(PROJECT_ROOT, tmp_path) as found:
        yield found


def page(part: Part) -> str:
    return Exporter([part], cache_seconds=0.0, part_seconds=60.0).page().decode()


def ran(instance: dg.DagsterInstance, *, fails: bool = False) -> None:
    @dg.op
    def work() -> None:
        if fails:
            raise RuntimeError("no")

    @dg.job
    def nightly() -> None:
        work()

    nightly.execute_in_process(instance=instance, raise_on_error=False)


@pytest.fixture
def in_memory() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def test_ends_of_runs_are_counted_from_the_start_of_the_exporter(in_memory):
    instance = in_memory
    ran(instance)
    part = Part("runs", RunsPart(instance))
    shown = page(part)
    name = {"job_name": "nightly"}
    assert figure(shown, "dfp_runs_total", status="success", **name) == 0, "it ended before"
    assert figure(shown, "dfp_run_timestamp_seconds", status="success", **name) > 1_700_000_000
    assert figure(shown, "dfp_run_last_success_seconds", **name) > 0
    ran(instance)
    ran(instance, fails=True)
    for _ in range(2):
        shown = page(part)
        assert figure(shown, "dfp_runs_total", status="success", **name) == 1
        assert figure(shown, "dfp_runs_total", status="failure", **name) == 1


def test_the_queue_has_a_length_and_an_age(in_memory):
    run = in_memory.create_run_for_job(_nothing)
    in_memory.report_dagster_event(dg.DagsterEvent("PIPELINE_STARTING", run.job_name), run.run_id)
    (found,) = runs_under_way(in_memory)
    assert (found.status, found.job, found.ended) == ("STARTING", "_nothing", None)
    waiting = [replace(found, status="QUEUED", created=at) for at in (1_000.0, 900.0)]
    shown = page(Part("runs", lambda: under_way_families([found, *waiting, replace(found, status="STARTED")])))
    assert figure(shown, "dfp_runs_under_way", status="queued") == 2
    assert figure(shown, "dfp_runs_under_way", status="starting") == 1
    assert figure(shown, "dfp_runs_under_way", status="canceling") == 0
    assert figure(shown, "dfp_run_oldest_timestamp_seconds", status="queued") == 900
    assert figure(shown, "dfp_run_oldest_timestamp_seconds", status="started") is None, "it has not begun yet"


@dg.job
def _nothing() -> None:
    pass


def test_ticks_are_counted_by_their_end_and_those_under_way_are_not(instance):
    sensor(instance, "watch", {TickStatus.SKIPPED: 1_000.0})
    part = Part("sensors", SensorsPart(instance))
    name = {"name": "watch", "kind": "sensor"}
    shown = page(part)
    assert figure(shown, "dfp_ticker_on", **name) == 1
    assert figure(shown, "dfp_tick_timestamp_seconds", **name) == 1_000
    assert figure(shown, "dfp_ticks_total", status="skipped", **name) == 0
    sensor(instance, "watch", {TickStatus.FAILURE: 1_030.0, TickStatus.STARTED: 1_060.0})
    for _ in range(2):
        shown = page(part)
        assert figure(shown, "dfp_ticks_total", status="failure", **name) == 1
        assert figure(shown, "dfp_ticks_total", status="skipped", **name) == 0
        assert figure(shown, "dfp_tick_timestamp_seconds", **name) == 1_030
    assert figure(shown, "dfp_daemon_heartbeat_timestamp_seconds", daemon="sensor") == 1_000
