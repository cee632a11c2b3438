"""Assets that are made by themselves: only from what is published; schedules and queues that keep runs apart."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster._utils.tags import TagConcurrencyLimitsCounter

from dfp_platform.definitions import defs
from dfp_platform.publishing.automation import when_published
from dfp_platform.publishing.maintenance import maintain_job
from dfp_platform.sensors.autostart import starts
from dfp_platform.sensors.jobs import FEATURES, INGEST, MAIN_JOB, MAINTAIN, MONITOR, TRAIN, writing
from dfp_platform.sensors.schedules import UNFINISHED, WHEN, schedules
from dfp_platform.settings import settings
from tests import toy_line
from tests.toy_harness import Toy, toy

__all__ = ["toy"]


def requested(toy: Toy, cursor: Any = None) -> tuple[int, Any]:
    """How many assets are asked for, where b is made when a has changed; and the cursor after it."""
    following = toy_line.b.map_asset_specs(lambda spec: spec.replace_attributes(automation_condition=when_published()))
    location = dg.Definitions([toy_line.a, following], resources=toy_line.defs().resources)
    found = dg.evaluate_automation_conditions(
        location, toy.instance, dg.AssetSelection.assets(following), cursor=cursor
    )
    return found.total_requested, found.cursor


def test_what_is_held_back_starts_nothing_and_what_is_published_does(toy: Toy) -> None:
    assert toy.run(selection=["reports/a", "reports/b"]).success
    number, cursor = requested(toy)
    assert number == 0, "both are as new as each other"
    toy.turn("a.value", "BAD")
    assert not toy.run(selection=["reports/a"]).success
    number, cursor = requested(toy, cursor)
    assert number == 0, "the new a was not published"
    toy.turn("a.value", "a2")
    assert toy.run(selection=["reports/a"]).success
    number, cursor = requested(toy, cursor)
    assert number == 1
    number, cursor = requested(toy, cursor)
    assert number == 0, "asking once is enough"


def test_a_lake_that_is_away_starts_nothing(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert toy.run(selection=["reports/a", "reports/b"]).success
    _, cursor = requested(toy)
    toy.turn("a.value", "a2")
    assert toy.run(selection=["reports/a"]).success
    monkeypatch.setenv("DFP_LAKE", str(toy.home / "elsewhere"))
    settings.cache_clear()
    assert requested(toy, cursor)[0] == 0


def blocked(toy: Toy, running: dict[str, str], waiting: dict[str, str]) -> bool:
    """Whether dagster.yaml lets a run wait while another is in progress, by their tags."""
    config = toy.instance.get_concurrency_config().run_queue_config
    assert config is not None
    first, second = (dg.DagsterRun(job_name="j", tags=tags) for tags in (running, waiting))
    return TagConcurrencyLimitsCounter(config.tag_concurrency_limits, [first]).is_blocked(second)


def test_writers_wait_for_one_another_only_where_they_must(toy: Toy) -> None:
    tags = {name: defs.resolve_job_def(name).run_tags for name in (MAIN_JOB, INGEST, FEATURES, TRAIN, MONITOR)}
    pairs = {(one, other): blocked(toy, tags[one], tags[other]) for one in tags for other in tags}
    apart = {pair for pair, waits in pairs.items() if waits}
    writers = {(MAIN_JOB, INGEST), (MAIN_JOB, TRAIN)}
    assert apart == {(job, job) for job in (MAIN_JOB, INGEST, TRAIN)} | writers | {pair[::-1] for pair in writers}
    assert not blocked(toy, writing("models"), writing("models", branch="other")), "branches are apart by themselves"


def test_every_schedule_names_a_job_and_is_off_unless_the_settings_say_otherwise() -> None:
    jobs = {job.name for job in defs.get_repository_def().get_all_jobs()}
    assert {when.job for when in WHEN.values()} == {FEATURES, INGEST, TRAIN, MONITOR, MAINTAIN} <= jobs
    assert {schedule.default_status for schedule in schedules()} == {dg.DefaultScheduleStatus.STOPPED}


@pytest.mark.parametrize(("said", "on"), [("", set()), ("all", set(WHEN)), ("train_weekly, x", {"train_weekly"})])
def test_the_settings_turn_schedules_on(said: str, on: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_AUTOSTART", said)
    settings.cache_clear()
    assert {name for name in WHEN if starts(name)} == on
    running = {each.name for each in schedules() if each.default_status is dg.DefaultScheduleStatus.RUNNING}
    monkeypatch.undo()
    settings.cache_clear()
    assert running == on


def test_the_settings_tell_the_schedule_of_maintenance_what_to_do(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = next(each for each in schedules() if each.name == "maintain_weekly")
    monkeypatch.setenv("DFP_MAINTAIN", '{"delete": true, "history_days": 90, "prediction_days": 30}')
    settings.cache_clear()
    with dg.build_schedule_context(instance=toy.instance) as context:
        asked = schedule(context)
    monkeypatch.undo()
    settings.cache_clear()
    assert isinstance(asked, dg.RunRequest)
    assert dg.validate_run_config(maintain_job, asked.run_config)
    told = [op["config"] for op in asked.run_config["ops"].values()]
    assert told == [{"delete": True, "history_days": 90, "prediction_days": 30}] * 5


def test_a_schedule_waits_for_the_run_before(toy: Toy) -> None:
    schedule = next(each for each in schedules() if each.name == "train_weekly")

    def tick() -> dg.RunRequest | dg.SkipReason:
        with dg.build_schedule_context(instance=toy.instance) as context:
            return schedule(context)

    toy.instance.add_run(dg.DagsterRun(job_name=INGEST, run_id="other", status=dg.DagsterRunStatus.STARTED))
    for status in (*UNFINISHED, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        if status is dg.DagsterRunStatus.QUEUED:  # Dagster keeps no queued run without a code location
            continue
        toy.instance.add_run(dg.DagsterRun(job_name=TRAIN, run_id=f"r-{status.value}", status=status))
        assert isinstance(tick(), dg.SkipReason if status in UNFINISHED else dg.RunRequest), status
        toy.instance.delete_run(f"r-{status.value}")
