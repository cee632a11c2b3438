"""The sensor `tell_people` on real runs: each happening is one message, once, whatever restarts and whoever is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from dfp_platform.errors import DfpError
from dfp_platform.lake import open_lake
from dfp_platform.publishing.launch import JUDGES_TAG
from dfp_platform.resources.dagster_events import newest_change
from dfp_platform.resources.dagster_internals import key_of
from dfp_platform.sensors import alerts
from dfp_platform.sensors.alerts import Cursor, tell_people
from dfp_platform.settings import settings
from tests import toy_line
from tests.receivers import Web, web_server
from tests.toy_harness import Toy, toy

__all__ = ["toy"]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with web_server() as web:
        monkeypatch.setenv("DFP_ALERT_URLS", f"http://{web.host}/hook")
        monkeypatch.setenv("DFP_UI_URL", "http://ui:3000/")
        settings.cache_clear()
        yield web


class Ticks:
    """The sensor, tick by tick, as the daemon runs it: all that passes from one to the next is the cursor."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self()

    def __call__(self) -> str:
        repository = toy_line.defs().get_repository_def()
        context = dg.build_sensor_context(instance=self.instance, repository_def=repository, cursor=self.cursor)
        skipped = tell_people(context)
        self.cursor = context.cursor
        assert isinstance(skipped, dg.SkipReason)
        return str(skipped.skip_message)


@dg.job
def nothing() -> None:
    """A job whose runs are only recorded."""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Records of Dagster in memory, for runs that touch no lake."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance
    settings.cache_clear()


def failed(instance: dg.DagsterInstance, **tags: str) -> str:
    """A run that is recorded as failed."""
    run = instance.create_run_for_job(
        nothing, tags={f"{name}".replace("__", "/"): value for name, value in tags.items()}
    )
    instance.report_run_failed(run)
    return run.run_id


def told(web: Web) -> list[tuple[str, Any]]:
    return [(body["kind"], body["run_id"]) for body in web.bodies]


# -- runs on a lake ---------------------------------------------------------------------------------------------------


def test_a_run_that_failed_is_told_once_with_its_steps_its_branch_and_a_link(
    toy: Toy, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFP_DATAHUB_TOKEN", "fail")  # a secret that the error of a step happens to hold
    settings.cache_clear()
    toy.turn("b", "fail")
    toy.run()
    tick = Ticks(toy.instance)
    assert tick() == "nothing to tell", "it failed before the first tick"
    run = toy.run()
    assert tick() == "__ASSET_JOB failed"
    assert tick() == "nothing to tell"
    (body,) = web.bodies
    assert (body["kind"], body["run_id"], body["branch"]) == ("run_failed", run.run_id, run.branch)
    assert body["commit"] == toy.lake.resolve(run.branch)
    assert body["url"] == f"http://ui:3000/runs/{run.run_id}"
    assert body["reasons"] == ["reports__b: RuntimeError: b was told to ***"]
    assert (
        body["next"]
        == f"see what it left: dfp lake diff main..{run.branch}; mend the cause, then: dfp rerun {run.run_id}"
    )


def test_a_run_that_was_held_back_is_told_with_the_gates_reasons(toy: Toy, web: Web) -> None:
    tick = Ticks(toy.instance)
    held = toy.run_beside_somebody()
    tick()
    (body,) = web.bodies
    assert (body["kind"], tuple(body["reasons"])) == ("not_published", held.reasons)


def test_a_check_that_fails_is_told_with_its_run_and_on_the_same_content_not_again(toy: Toy, web: Web) -> None:
    tick = Ticks(toy.instance)
    toy.turn("a.value", "BAD")
    first = toy.run()
    tick()
    (body,) = web.bodies
    assert body["kind"] == "run_failed"
    assert "check a_is_good of reports/a failed: 3 against 100.0" in body["reasons"]
    assert body["assets"] == ["reports/a"]
    web.status = 503
    again = toy.run()
    tick()
    assert told(web) == [("run_failed", first.run_id), ("run_failed", again.run_id)]
    assert not any("check a_is_good" in reason and "against" in reason for reason in web.bodies[1]["reasons"])
    cursor = Cursor.of(tick.cursor)
    assert (len(cursor.waiting), list(cursor.told.checks)) == (1, ["reports/a:a_is_good"])
    assert Cursor.of(cursor.to_json()) == cursor
    assert Cursor.of('{"of": "another version"}') == Cursor()


# -- what is no news, and who is away ---------------------------------------------------------------------------------


def test_what_was_published_since_or_only_judges_or_starts_again_is_no_news(
    instance: dg.DagsterInstance, web: Web
) -> None:
    tick = Ticks(instance)
    failed(instance, dagster__will_retry="true")
    failed(instance, lake__judges="another")
    failed(instance, lake__published="c" * 40)
    assert JUDGES_TAG == "lake/judges"
    assert tick() == "nothing to tell"
    assert Cursor.of(tick.cursor).after == newest_change(instance)
    run = failed(instance, lake__published="")
    tick()
    assert told(web) == [("run_failed", run)]


def test_a_receiver_that_is_away_fails_no_tick_and_gets_all_in_order_when_it_is_back(
    instance: dg.DagsterInstance, web: Web
) -> None:
    tick = Ticks(instance)
    web.status = 503
    runs = [failed(instance) for _ in range(2)]
    assert tick() == "nothing failed; nothing failed; 2 wait to be sent"
    assert len(web.got) == 1, "it is asked once a tick"
    web.status = 200
    assert tick() == "nothing to tell"
    assert [run for _, run in told(web)[1:]] == runs


def test_more_runs_than_one_tick_looks_at_are_left_for_the_next(
    instance: dg.DagsterInstance, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_RUNS", 2)
    tick = Ticks(instance)
    runs = [failed(instance) for _ in range(3)]
    tick()
    assert len(web.got) == 2
    tick()
    assert [run for _, run in told(web)] == runs


def test_a_lake_that_is_away_leaves_what_dagster_knows(
    instance: dg.DagsterInstance, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = Ticks(instance)
    run = failed(instance)
    (tmp_path / "file").write_text("no lake")
    monkeypatch.setenv("DFP_LAKE", str(tmp_path / "file"))
    settings.cache_clear()
    with pytest.raises((DfpError, OSError)):
        open_lake(settings().lake_uri, create=True)
    assert tick() == "nothing failed"
    (body,) = web.bodies
    assert (body["run_id"], body["branch"], body["next"]) == (run, "", f"mend the cause, then: dfp rerun {run}")


def test_only_wanted_kinds_are_sent(instance: dg.DagsterInstance, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    tick = Ticks(instance)
    monkeypatch.setenv("DFP_ALERT_ON", "drift, stale")
    settings.cache_clear()
    failed(instance)
    assert tick() == "nothing to tell"
    assert web.got == []


def test_data_that_grew_old_is_told_once(instance: dg.DagsterInstance, web: Web) -> None:
    tick = Ticks(instance)
    for old in ("a", "b"):
        change = FreshnessStateChange(
            key=key_of(f"reports/{old}"),
            new_state=FreshnessState.WARN,
            previous_state=FreshnessState.PASS,
            state_change_timestamp=1.0,
        )
        instance._report_runless_asset_event(change)
    assert tick() == "Stale data: reports/a, reports/b"
    assert tick() == "nothing to tell"
    assert [body["reasons"] for body in web.bodies] == [["reports/a is old", "reports/b is old"]]
