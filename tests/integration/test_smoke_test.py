"""The job `smoke_test` as the UI runs it, and `dfp doctor`, which tries the same doors from a shell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import dagster as dg
import pytest

from dfp_platform.errors import ConfigurationError
from dfp_platform.lake.ownership import read_ownership
from dfp_platform.probes import tried
from dfp_platform.publishing import publication
from dfp_platform.publishing.instance_doors import Dagster, instance_doors
from dfp_platform.publishing.launch import run_job
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.settings import settings
from tests.dfp_calls import calling
from tests.doors import answering, hanging
from tests.integration.test_publishing_job import cut_short, cut_short_after
from tests.local_servers import free_port
from tests.redis_server import NEEDS_REDIS, redis_server
from tests.toy_harness import Toy, toy

__all__ = ["toy"]

DagsterEventType = dg.DagsterEventType


@pytest.fixture(autouse=True)
def no_store_is_configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MINIO_ENDPOINT", "PYICEBERG_CATALOG__LAKE__S3__ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    yield
    settings.cache_clear()


def smoke_test(toy: Toy) -> tuple[bool, str, dict[str, str]]:
    """Whether the job succeeded, its id, and the state of each of its steps."""
    outcome = run_job(job="smoke_test", instance=toy.instance, module="tests.toy_location")
    kinds = {DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE, DagsterEventType.STEP_SKIPPED}
    records = toy.instance.get_records_for_run(outcome.run_id, of_type=kinds).records
    states = {
        str(record.event_log_entry.step_key): str(record.event_log_entry.dagster_event.event_type_value).split("_")[1]
        for record in records
        if record.event_log_entry.dagster_event is not None
    }
    return outcome.success, outcome.run_id, states


def said(toy: Toy, run_id: str) -> str:
    """Everything in the run's log."""
    return "\n".join(entry.user_message for entry in toy.instance.all_logs(run_id))


BUCKETS = (
    b"""<?xml version="1.0"?><ListAllMyBucketsResult><Owner><ID>1</ID></Owner><Buckets/></ListAllMyBucketsResult>"""
)


@NEEDS_REDIS
def test_every_door_is_a_step_and_one_that_is_shut_fails_alone(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert toy.run().success
    shut = f"http://127.0.0.1:{free_port()}"
    store = answering({"/minio/health/live": (200, b""), "/": (200, BUCKETS)})
    with redis_server(toy.home / "redis", password="redis-password") as server, store as minio:
        told = {"DFP_REDIS_URL": server.url, "AWS_ENDPOINT_URL": minio, "DFP_SERVING_URLS": shut}
        told |= {"DFP_FEATURE_STORE": "plain", "AWS_ACCESS_KEY_ID": "dfp", "AWS_SECRET_ACCESS_KEY": "dfp-secret"}
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        success, run_id, states = smoke_test(toy)
    log = said(toy, run_id)
    assert f"MinIO ready: {minio} -> 200" in log
    assert f"Redis ping ok: 127.0.0.1:{server.port}" in log
    assert not [secret for secret in ("redis-password", "dfp-secret") if secret in log]
    assert {step for step, state in states.items() if state == "SKIPPED"} == {"java", "spark"}
    assert {step for step, state in states.items() if state == "FAILURE"} == {"inference"}
    assert not success, "and so the run says that a door is shut"
    open_doors = {"lake", "lake_content", "warehouse", "catalog", "s3", "minio", "redis", "mlflow", "features", "disk"}
    open_doors |= {"versions", "dagster", "daemon", "code", "dead_runs", "doors_in_use"}
    assert {step for step, state in states.items() if state == "SUCCESS"} == open_doors
    [failure] = toy.instance.get_records_for_run(run_id, of_type=DagsterEventType.STEP_FAILURE).records
    assert failure.event_log_entry.dagster_event is not None
    why = failure.event_log_entry.dagster_event.step_failure_data.user_failure_data
    assert why is not None
    assert f"1 of 1 not ready: {shut}/readyz does not answer" in str(why.description)
    assert "next: `dfp serve` there" in str(why.description)


# -- what only Dagster can tell ---------------------------------------------------------------------------------


@cut_short
def test_what_a_dead_run_left_is_mended_and_told(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publication.Publisher, "hold", lambda *args, **options: None)  # it died before it could
        run_id = cut_short_after(toy, "reports__b")
    doors = {door.name: door for door in instance_doors(Dagster(lambda: nullcontext(toy.instance), lambda: toy.graph))}
    found = tried(doors["dead runs"], settings())
    assert (found.status, found.hint) == ("warning", f"`dfp rerun {run_id}` carries it on")
    owner = read_ownership(toy.lake, f"run-{run_id}")
    assert owner is not None
    assert owner.state == "held"
    assert tried(doors["dead runs"], settings()).said == "No dead run"
    assert tried(doors["dagster"], settings()).facts == {"runs": 1, "under way": 0}
    assert tried(doors["daemon"], settings()).status == "not used"


def test_a_code_location_that_cannot_be_loaded_is_told_with_its_reason(toy: Toy) -> None:
    def graph() -> Graph:
        raise ConfigurationError("dbt cannot parse dbt_project", hint="try it by hand")

    doors = {door.name: door for door in instance_doors(Dagster(lambda: nullcontext(toy.instance), graph))}
    for name in ("code", "dead runs"):
        found = tried(doors[name], settings())
        assert (found.status, found.said, found.hint) == ("failed", "dbt cannot parse dbt_project", "try it by hand")
    assert tried(doors["dagster"], settings()).status == "ok"


# -- dfp doctor -------------------------------------------------------------------------------------------------


def test_a_shell_is_told_by_the_exit_code_and_a_script_by_json(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert toy.lake.branches()
    doctor = calling(monkeypatch, capfdbinary, "doctor")
    code, told, _ = doctor("lake", "redis", "disk", "--json")
    found = {each["door"]: each for each in json.loads(told)}
    assert (code, list(found)) == (0, ["lake", "redis", "disk"])
    assert (found["lake"]["status"], found["redis"]["status"]) == ("ok", "not used")
    with hanging() as address:
        monkeypatch.setenv("DFP_REDIS_URL", f"redis://:redis-password@{address}/0?socket_timeout=0.2")
        settings.cache_clear()
        code, told, aside = doctor("lake", "redis")
    assert code == 1
    assert "✗ redis" in told
    assert "next: start it, or check DFP_REDIS_URL" in told
    assert "redis-password" not in told + aside
    assert "1 ok, 1 failed" in aside
    code, _, aside = doctor("laek")
    assert (code, "choose from: lake," in aside) == (1, True)


def test_a_lake_that_cannot_be_opened_fails_its_doors_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "other").write_text("somebody's file")
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    code, told, _ = calling(monkeypatch, capfdbinary, "doctor")("lake", "lake-content", "warehouse", "disk", "--json")
    assert code == 1
    assert [each["status"] for each in json.loads(told)] == ["failed", "failed", "failed", "ok"]
