"""The sensor `tell_catalogs` on real runs, against a receiver that holds every event to OpenLineage's specification."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dfp_platform.catalog import content_at
from dfp_platform.publishing.launch import JUDGES_TAG, run_job
from dfp_platform.publishing.publication import PUBLISHED_TAG
from dfp_platform.resources.dagster_internals import ASSET_JOB
from dfp_platform.sensors import lineage
from dfp_platform.sensors.lineage import from_cursor, lineage_sensors, tell_catalogs
from dfp_platform.settings import settings
from tests import toy_line
from tests.dfp_calls import Dfp, calling
from tests.openlineage_spec import validate
from tests.receivers import Web, web_server
from tests.toy_harness import Toy, toy

__all__ = ["toy"]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with web_server(status=201) as web:
        monkeypatch.setenv("DFP_OPENLINEAGE_URL", f"http://{web.host}/openapi/openlineage")
        monkeypatch.setenv("DFP_OPENLINEAGE_API_KEY", "s3cret-key")
        settings.cache_clear()
        yield web
    for path, event in web.got:
        assert path == "/openapi/openlineage/api/v1/lineage"
        validate(event)


class Ticks:
    """The sensor, tick by tick: all that passes from one to the next is the cursor."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.cursor: str | None = None
        self()

    def __call__(self) -> str:
        context = dg.build_sensor_context(instance=self.toy.instance, cursor=self.cursor)
        skipped = tell_catalogs(context)
        self.cursor = context.cursor
        assert isinstance(skipped, dg.SkipReason)
        return str(skipped.skip_message)


def told(web: Web) -> list[tuple[str, str]]:
    """State and job of each event, in order."""
    return [(event["eventType"], event["job"]["name"]) for event in web.bodies]


def complete(web: Web, asset: str) -> dict[str, Any]:
    """The newest event that tells of an asset."""
    job = f"assets.{asset}"
    return [e for e in web.bodies if (e["eventType"], e["job"]["name"]) == ("COMPLETE", job)][-1]


def tags(facets: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in facets["tags"]["tags"]}


def test_a_run_that_is_published_is_told_with_each_asset_its_inputs_and_the_commit(
    toy: Toy, web: Web, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    tick = Ticks(toy)
    run = toy.run()
    assert tick() == "openlineage: 2 told"
    assets = [(state, f"assets.reports/{name}") for name in "abc" for state in ("START", "COMPLETE")]
    assert told(web) == [("START", "__ASSET_JOB"), *assets, ("COMPLETE", "__ASSET_JOB")]
    whole, event = web.bodies[-1], complete(web, "reports/b")
    commit = str(run.published_commit)
    assert whole["run"]["runId"] == run.run_id
    assert event["run"]["facets"]["parent"]["run"]["runId"] == run.run_id
    assert event["run"]["facets"]["parent"]["job"] == {"namespace": "dfp", "name": "__ASSET_JOB", "facets": {}}
    assert tags(whole["run"]["facets"]).items() >= {"lake/branch": "main", "lake/commit": commit}.items()
    published = toy.lake.show(commit).time
    assert event["eventTime"] == whole["eventTime"] == published.isoformat(timespec="milliseconds")
    ((source,), (output,)) = event["inputs"], event["outputs"]
    assert (source["name"], output["name"]) == ("main/reports/a", "main/reports/b")
    assert output["namespace"].startswith("lake://")
    assert output["facets"]["version"]["datasetVersion"] == commit
    assert tags(output["facets"])["lake/content"] == content_at(toy.lake, commit, "reports/b")
    assert tags(source["facets"])["lake/content"] == content_at(toy.lake, commit, "reports/a")
    assert output["outputFacets"]["outputStatistics"]["fileCount"] == 1
    assert tags(event["job"]["facets"]) == {"code_version": "1"}
    assert web.headers[-1]["Authorization"] == "Bearer s3cret-key"
    assert tick() == "openlineage: 0 told"
    shown_and_sent_by_hand(calling(monkeypatch, capfdbinary, "lineage"), run.run_id, web)
    web.got.clear()
    assert toy.run().success
    tick()
    assert told(web) == [("START", "__ASSET_JOB"), ("COMPLETE", "__ASSET_JOB")], "equal results: nothing was published"


def shown_and_sent_by_hand(dfp: Dfp, run_id: str, web: Web) -> None:
    """`dfp lineage` shows what the sensor told, and sends the same."""
    by_sensor = [without_client(event) for event in web.bodies]
    web.got.clear()
    code, out, _ = dfp(run_id)
    shown = [without_client(json.loads(line)) for line in out.splitlines()]
    assert (code, web.got, shown) == (0, [], by_sensor)
    code, out, _ = dfp(f"run-{run_id}", "--send")
    assert (code, out) == (0, "openlineage was told: START, COMPLETE\n")
    assert [without_client(event) for event in web.bodies] == by_sensor
    code, _, err = dfp("nothing-like-it")
    assert (code, "no run nothing-like-it" in err) == (1, True)


def test_tables_have_columns_and_rows(toy: Toy, web: Web) -> None:
    tick = Ticks(toy)
    assert run_job(job=ASSET_JOB, instance=toy.instance, module="tests.table_line").success
    tick()
    (output,) = complete(web, "tables/marts/events")["outputs"]
    columns = [(field["name"], field["type"]) for field in output["facets"]["schema"]["fields"]]
    assert columns == [("day", "string"), ("value", "long")]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert output["facets"]["datasetType"]["datasetType"] == "TABLE"
    (identifier,) = output["facets"]["symlinks"]["identifiers"]
    assert (identifier["name"], identifier["type"]) == ("marts.events", "TABLE")
    assert "columnLineage" not in output["facets"]
    ((source,), (total,)) = (complete(web, "tables/marts/totals")[side] for side in ("inputs", "outputs"))
    (read,) = total["facets"]["columnLineage"]["fields"]["total"]["inputFields"]
    assert (read["namespace"], read["name"], read["field"]) == (source["namespace"], source["name"], "value")
    assert source["facets"]["schema"]["fields"][0]["name"] == "day"


def test_a_run_that_failed_published_nothing_and_completes_once_it_is_published(toy: Toy, web: Web) -> None:
    tick = Ticks(toy)
    held = toy.run_beside_somebody()
    tick()
    assert told(web) == [("START", "__ASSET_JOB"), ("FAIL", "__ASSET_JOB")]
    assert web.bodies[-1]["run"]["facets"]["errorMessage"]["message"].splitlines() == list(held.reasons)
    web.got.clear()
    toy.lake.revert("main", toy.lake.resolve("main"))
    assert not toy.publish(held.run_id).reasons
    assert tick() == "openlineage: 1 told"
    assert ("COMPLETE", "assets.reports/a") in told(web)
    assert told(web)[-1] == ("COMPLETE", "__ASSET_JOB")
    assert web.bodies[-1]["run"]["runId"] == held.run_id
    assert tick() == "openlineage: 0 told"


# -- what goes wrong, on records in memory --------------------------------------------------------------------------


@dg.job
def nothing() -> None:
    """A job whose runs are only recorded."""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    """A lake whose runs are only recorded, in memory."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Toy(tmp_path, instance)
    settings.cache_clear()


def ended(toy: Toy, kind: dg.DagsterEventType = dg.DagsterEventType.RUN_CANCELED, **more: str) -> str:
    run = toy.instance.create_run_for_job(nothing, tags=more)
    event = dg.DagsterEvent(event_type_value=kind.value, job_name="nothing", message="")
    toy.instance.report_dagster_event(event, run.run_id)
    return run.run_id


def test_a_run_that_was_cancelled_is_aborted_and_one_that_only_judges_is_not_told(recorded: Toy, web: Web) -> None:
    tick = Ticks(recorded)
    ended(recorded, **{JUDGES_TAG: "another"})
    ended(recorded)
    tick()
    assert told(web) == [("ABORT", "nothing")]


def test_a_receiver_that_is_away_is_told_later_in_order_and_logged_once(
    recorded: Toy, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    tick = Ticks(recorded)
    web.status = 503
    runs = [ended(recorded) for _ in range(2)]
    for _ in range(3):
        assert tick().startswith("openlineage waits: the receiver of lineage answered 503")
    assert caplog.text.count("waits to be told") == 1
    web.status = 200
    web.got.clear()
    assert tick() == "openlineage: 2 told"
    assert [event["run"]["runId"] for event in web.bodies] == runs
    assert "s3cret" not in caplog.text


def test_a_receiver_that_hangs_holds_a_tick_up_for_its_patience_only(
    recorded: Toy, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfp_platform.lineage import openlineage

    monkeypatch.setattr(openlineage, "SECONDS", 0.3)
    tick = Ticks(recorded)
    web.status = 0
    ended(recorded)
    assert tick() == "openlineage waits: the receiver of lineage did not answer: ReadTimeout"


def test_what_a_receiver_refuses_is_left_out_and_the_rest_is_told(
    recorded: Toy, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    tick = Ticks(recorded)
    web.status = 422
    run = ended(recorded)
    assert tick() == "openlineage: 0 told"
    assert f"was not told of run {run}" in caplog.text
    web.status = 200
    ended(recorded)
    assert tick() == "openlineage: 1 told"


def test_a_run_that_died_after_its_publication_is_complete_and_told_once(recorded: Toy, web: Web) -> None:
    tick = Ticks(recorded)
    commit = recorded.lake.resolve("main")
    ended(recorded, dg.DagsterEventType.RUN_FAILURE, **{PUBLISHED_TAG: commit})
    assert tick() == "openlineage: 1 told"
    assert told(web) == [("COMPLETE", "nothing")]


def test_a_commit_that_is_gone_stops_nothing(recorded: Toy, web: Web, caplog: pytest.LogCaptureFixture) -> None:
    tick = Ticks(recorded)
    ended(recorded, dg.DagsterEventType.RUN_SUCCESS, **{PUBLISHED_TAG: "c" * 40})
    ended(recorded)
    assert tick() == "openlineage: 1 told"
    assert told(web) == [("ABORT", "nothing")]
    assert "was not told of run" in caplog.text


def test_a_tick_that_is_late_leaves_the_rest_for_the_next(
    recorded: Toy, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = Ticks(recorded)
    ended(recorded)
    monkeypatch.setattr(lineage, "_SECONDS", -1.0)
    assert tick() == "openlineage: 0 told"
    monkeypatch.setattr(lineage, "_SECONDS", 20.0)
    assert tick() == "openlineage: 1 told"


def test_a_receiver_that_is_slow_gets_each_event_once_however_many_ticks_it_takes(
    recorded: Toy, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = Ticks(recorded)
    run = ended(recorded, dg.DagsterEventType.RUN_SUCCESS)
    files = {f"reports/{name}/report.json": b"{}" for name in "ab"}
    told_of = {"run": run, "published": json.dumps(["reports/a", "reports/b"])}
    commit = recorded.lake.commit("main", files, message="publish", metadata=told_of)
    recorded.instance.add_run_tags(run, {PUBLISHED_TAG: commit})
    monkeypatch.setattr(lineage, "_late", lambda began: len(web.got) >= allowed)
    for allowed in range(1, 6):
        assert tick() == "openlineage: 0 told"
        assert len(web.got) == allowed
    allowed = 99
    assert tick() == "openlineage: 1 told"
    assert tick() == "openlineage: 0 told"
    assets = [(state, f"assets.reports/{name}") for name in "ab" for state in ("START", "COMPLETE")]
    assert told(web) == [*assets, ("COMPLETE", "nothing")]


def test_what_is_not_installed_is_said_and_waits(recorded: Toy, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    tick = Ticks(recorded)
    ended(recorded)
    with monkeypatch.context() as without:
        without.setitem(__import__("sys").modules, "openlineage.client", None)
        assert "need the package openlineage-python" in tick()
    assert tick() == "openlineage: 1 told"


def test_without_a_receiver_there_is_no_sensor(recorded: Toy) -> None:
    settings.cache_clear()
    assert lineage_sensors() == []


def test_the_cursor_is_json_of_each_receiver(recorded: Toy, web: Web) -> None:
    tick = Ticks(recorded)
    run = ended(recorded)
    recorded.lake.create_branch(f"run-{run}")
    tick()
    place = json.loads(str(tick.cursor))["openlineage"]
    assert place == {"after": 1, "held": [run], "telling": "", "sent": 0, "away": False}
    recorded.lake.delete_branch(f"run-{run}")
    tick()
    assert json.loads(str(tick.cursor))["openlineage"]["held"] == []


@pytest.mark.parametrize(
    "stored", ["no JSON", "[]", '{"openlineage": 1}', '{"openlineage": {"of": "another version"}}']
)
def test_a_cursor_that_cannot_be_read_begins_anew(stored: str) -> None:
    assert from_cursor(stored) == {}


def test_the_definitions_load_with_a_receiver(web: Web, recorded: Toy) -> None:
    assert [sensor.name for sensor in lineage_sensors()] == ["tell_catalogs"]
    assert dg.Definitions.merge(toy_line.defs(), dg.Definitions(sensors=lineage_sensors())).get_repository_def()


def without_client(event: dict[str, Any]) -> dict[str, Any]:
    """An event without the tag that the client adds when it sends: its version."""
    event = copy.deepcopy(event)
    for thing in (event["run"], event["job"]):
        kept = [tag for tag in thing["facets"].get("tags", {}).get("tags", []) if not tag["key"].startswith("openl")]
        thing["facets"]["tags"] = kept
    return event
