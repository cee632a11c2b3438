"""Each door against what can be behind it: something that works, nothing, something that hangs, refuses or lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.features import REGISTRY, open_keeper
from dfp_platform.features.sqlite_versions import SqliteVersions
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.probes import DOORS, Result, services, tried
from dfp_platform.settings import Settings
from tests.doors import answering, hanging
from tests.feature_writer import write
from tests.garbage import rows
from tests.local_servers import free_port
from tests.redis_server import NEEDS_REDIS, redis_server

BIG = b"big" * 10_000
BY_NAME = {door.name: door for door in DOORS}


@pytest.fixture(autouse=True)
def no_store_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MINIO_ENDPOINT", "PYICEBERG_CATALOG__LAKE__S3__ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = open_lake(tmp_path / "home" / "lake", create=True)
    made.commit("main", {"raw/a.bin": BIG, "small": b"1"}, message="1")
    overwrite(open_catalog(made), "marts.apps", rows(1, 2))
    return made


def at(tmp_path: Path, **told: Any) -> Settings:
    return Settings(_env_file=None, home=tmp_path / "home", **told)


def answer(name: str, settings: Settings, *, seconds: float = 30.0) -> Result:
    """What a door says. Servers that answer may take their time here: only those that hang are given up soon."""
    return tried(replace(BY_NAME[name], seconds=seconds), settings)


@pytest.fixture
def refused() -> str:
    return f"127.0.0.1:{free_port()}"


# -- the lake ---------------------------------------------------------------------------------------------------


def test_a_lake_is_written_on_a_branch_that_is_gone_afterwards(lake: Lake, tmp_path: Path) -> None:
    lake.create_branch("smoke-test-1000-0a0b0c0d")  # of one that was killed long ago
    lake.create_branch("smoke-test-of-mine")
    before = lake.resolve("main")
    found = answer("lake", at(tmp_path))
    assert (found.status, found.facts["branches"]) == ("ok", 2)
    assert open_lake(lake.uri).branches().keys() == {"main", "smoke-test-of-mine"}
    assert lake.resolve("main") == before
    assert next(commit.message for commit in lake.log("main")) != "smoke test: written, read back and forgotten"


@pytest.mark.parametrize("name", ["lake", "lake content", "warehouse", "catalog"])
def test_where_nothing_was_ever_written_a_door_says_what_makes_a_lake(name: str, tmp_path: Path) -> None:
    found = answer(name, at(tmp_path))
    assert (found.status, found.said) == ("warning", "there is no lake yet")
    assert "dfp run" in found.hint
    assert not (tmp_path / "home").exists()


def test_a_target_that_is_not_there_is_named(lake: Lake, tmp_path: Path) -> None:
    found = answer("lake", at(tmp_path, branch="nobody"))
    assert found.status == "failed"
    assert "nobody" in found.said


def test_a_lake_that_was_moved_says_how_it_is_told(lake: Lake, tmp_path: Path) -> None:
    Path(lake.uri).rename(tmp_path / "elsewhere")
    found = answer("lake", at(tmp_path, lake=str(tmp_path / "elsewhere")))
    assert found.status == "failed"
    assert "relocate" in found.hint


def test_objects_that_are_whole_are_counted(lake: Lake, tmp_path: Path) -> None:
    found = answer("lake content", at(tmp_path))
    assert (found.status, found.facts["read"]) == ("ok", found.facts["read"])
    assert "of main are what they were" in found.said


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_an_object_that_is_damaged_is_named(damage: str, lake: Lake, tmp_path: Path) -> None:
    file = Path(lake.address("main", "raw/a.bin"))
    file.chmod(0o644)
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"bag" + BIG[3:])
    found = answer("lake content", at(tmp_path))
    assert found.status == "failed"
    assert "raw/a.bin" in found.said
    assert found.hint


def test_a_warehouse_is_written_and_left_as_it_was(lake: Lake, tmp_path: Path) -> None:
    before = sorted(Path(lake.warehouse).rglob("*"))
    found = answer("warehouse", at(tmp_path))
    assert (found.status, "free" in found.facts) == ("ok", True)
    assert sorted(Path(lake.warehouse).rglob("*")) == before


def test_a_warehouse_that_cannot_be_a_folder_is_a_failure(lake: Lake, tmp_path: Path) -> None:
    warehouse = Path(lake.warehouse)
    warehouse.rename(tmp_path / "aside")
    warehouse.write_text("a file in its place")
    found = answer("warehouse", at(tmp_path))
    assert found.status == "failed"
    assert "owner, permissions, keys, room" in found.hint


def test_tables_are_loaded_and_a_file_of_one_is_opened(lake: Lake, tmp_path: Path) -> None:
    found = answer("catalog", at(tmp_path))
    assert (found.status, found.facts) == ("ok", {"opened": "marts.apps, 2 rows"})
    for file in Path(lake.warehouse).rglob("*.parquet"):
        file.chmod(0o644)
        file.write_bytes(b"no parquet")
    assert answer("catalog", at(tmp_path)).status == "failed"


# -- servers ----------------------------------------------------------------------------------------------------


def test_a_rest_catalog_is_asked_with_its_token(tmp_path: Path) -> None:
    seen: list[str] = []
    with answering({"/v1/config": (200, b"{}")}, seen) as address:
        told = at(tmp_path, catalog_uri=address, catalog_token=SecretStr("catalog-token"))
        found = answer("catalog", told)
    assert (found.status, found.said) == ("ok", f"Catalog ready: {address}/v1/config -> 200")
    assert seen == ["/v1/config?warehouse=main Bearer catalog-token"]
    with answering({"/v1/config": (401, b"{}")}) as address:
        found = answer("catalog", at(tmp_path, catalog_uri=address))
    assert (found.status, "DFP_CATALOG_TOKEN" in found.hint) == ("failed", True)


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ({"/minio/health/live": (200, b"")}, "ok", "MinIO ready: {address} -> 200"),
        ({}, "not used", "the store at {address} is another than MinIO (404)"),
        ({"/minio/health/live": (503, b"")}, "failed", "MinIO not ready: {address} -> 503"),
    ],
)
def test_minio_says_itself_whether_it_is_alive(
    answers: dict[str, tuple[int, bytes]], status: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(answers) as address:
        monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__S3__ENDPOINT", address)
        found = answer("minio", at(tmp_path))
    assert (found.status, found.said) == (status, said.format(address=address))


def test_a_store_that_takes_the_keys_is_listed_and_one_that_does_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = (
        b'<?xml version="1.0"?><ListAllMyBucketsResult><Owner><ID>1</ID></Owner><Buckets><Bucket><Name>lake</Name>'
        b"<CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"
    )
    refusal = b"<Error><Code>InvalidAccessKeyId</Code><Message>unknown key</Message></Error>"
    seen: list[str] = []
    for status, body, expected in ((200, listing, "ok"), (403, refusal, "failed")):
        with answering({"/": (status, body)}, seen) as address:
            for name, value in (("ENDPOINT", address), ("ACCESS_KEY_ID", "dfp"), ("SECRET_ACCESS_KEY", "dfp-secret")):
                monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__S3__{name}", value)
            found = answer("s3", at(tmp_path))
        assert found.status == expected, found
        assert "dfp-secret" not in found.line + found.hint
    assert "AWS4-HMAC-SHA256 Credential=dfp/" in seen[0], "the request is signed"
    assert "SECRET_ACCESS_KEY" in found.hint


def test_mlflow_is_a_server_a_database_or_not_there_yet(tmp_path: Path) -> None:
    search = "/api/2.0/mlflow/experiments/search"
    for status, body, expected in ((200, b"{}", "ok"), (401, b"{}", "failed"), (200, b"<html>", "failed")):
        with answering({search: (status, body)}) as address:
            found = answer("mlflow", at(tmp_path, mlflow_server=address))
        assert (found.status, str(status) in found.said) == (expected, True), found
    assert answer("mlflow", at(tmp_path, mlflow_server="")).said.startswith("MLflow ok: the first training makes")
    broken = tmp_path / "home" / "mlflow" / "mlflow.db"
    broken.parent.mkdir(parents=True)
    broken.write_text("no database" * 100)
    found = answer("mlflow", at(tmp_path, mlflow_server=""))
    assert (found.status, "not a database" in found.said) == ("failed", True)


def test_every_inference_api_has_to_be_ready(tmp_path: Path, refused: str) -> None:
    with answering({"/readyz": (200, b"{}")}) as good, answering({"/readyz": (503, b"{}")}) as empty:
        assert answer("inference", at(tmp_path, serving_urls=good)).said == f"Inference ready: {good}/readyz -> 200"
        found = answer("inference", at(tmp_path, serving_urls=f"{good},{empty},http://{refused}"))
    assert found.status == "failed"
    assert found.said.startswith("2 of 3 not ready")
    assert f"{empty}/readyz -> 503" in found.said


def test_features_that_are_served_are_held_against_what_the_target_names(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_views", lambda *_: {})  # Feast's own part; the demo's doctor asks it
    quick = replace(BY_NAME["features"], load=lambda at: None, seconds=30.0)
    told = at(tmp_path)

    def found() -> tuple[str, str]:
        result = tried(quick, told)
        return result.status, result.said

    assert found() == ("warning", "no features are applied at main")
    lake.commit("main", {REGISTRY: b"applied", "features/online/report.json": b'{"version": "v1"}'}, message="apply")
    assert found() == ("warning", "main serves no features")
    for version in ("v1", "v2"):
        write(SqliteVersions(told.home / "online"), version, 3)
    with closing(open_keeper(told)) as keeper:
        keeper.switch("main", "v1", "c1")
        assert found() == ("ok", "Features ok: main serves v1")
        keeper.switch("main", "v2", "c1")
        assert found() == ("warning", "main serves v2, while its head names v1")


@NEEDS_REDIS
def test_redis_is_pinged_with_its_password_and_says_so_if_it_is_wrong(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis", password="redis-password") as server:
        found = answer("redis", at(tmp_path, redis_url=SecretStr(server.url)))
        assert (found.status, found.said) == ("ok", f"Redis ping ok: 127.0.0.1:{server.port}")
        assert "version" in found.facts
        wrong = answer("redis", at(tmp_path, redis_url=SecretStr(server.url.replace("redis-pass", "wrong-pass"))))
    assert wrong.status == "failed"
    assert "DFP_REDIS_URL" in wrong.hint
    assert "password" not in wrong.line.replace("username-password", "")


def pointed_at(name: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings by which a door leads to an address."""
    if name in ("s3", "minio"):
        for part, value in (("ENDPOINT", f"http://{address}"), ("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s")):
            monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__S3__{part}", value)
    told = {
        "redis": {"redis_url": SecretStr(f"redis://{address}/0")},
        "mlflow": {"mlflow_server": f"http://{address}"},
        "inference": {"serving_urls": f"http://{address}"},
        "catalog": {"catalog_uri": f"http://{address}"},
    }
    return at(tmp_path, **told.get(name, {}))


SERVED = ("catalog", "s3", "minio", "redis", "mlflow", "inference")


@pytest.mark.parametrize("name", SERVED)
def test_nobody_listens(name: str, refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = answer(name, pointed_at(name, refused, tmp_path, monkeypatch))
    assert (found.status, refused in found.said) == ("failed", True), found
    assert "start" in found.hint or "dfp serve" in found.hint


@pytest.mark.parametrize("name", SERVED)
def test_a_server_that_hangs_is_given_up(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging() as address:
        found = answer(name, pointed_at(name, address, tmp_path, monkeypatch), seconds=0.5)
    assert found.status == "failed"
    assert found.hint


# -- Spark ------------------------------------------------------------------------------------------------------


def test_spark_is_asked_only_where_it_builds_the_tables(tmp_path: Path) -> None:
    for name in ("java", "spark"):
        assert answer(name, at(tmp_path)).status == "not used"
    assert answer("java", at(tmp_path, engine="spark", spark_remote="sc://far:15002")).status == "not used"


@pytest.mark.parametrize("told", ["spark_remote=sc://{}", "spark_thrift={}", "spark_master=spark://{}"])
def test_a_spark_elsewhere_to_which_nobody_listens_is_not_waited_for(
    told: str, refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfp_platform.resources.spark.refuse_missing_packages", lambda: None)
    name, _, value = told.format(refused).partition("=")
    found = answer("spark", at(tmp_path, engine="spark", **{name: value}))
    assert (found.status, f"{refused} does not answer" in found.said) == ("failed", True), found


def test_spark_without_its_packages_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = answer("spark", at(tmp_path, engine="spark"))
    assert (found.status, "make spark" in found.hint) == ("failed", True)


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("print('4.0.5')", "ok", "Spark ok: local[2]"),
        ("raise SystemExit('no executor')", "failed", "no executor"),
        ("import time; time.sleep(600)", "failed", "no answer"),
    ],
)
def test_a_query_runs_in_a_process_that_is_ended_if_it_takes_too_long(
    program: str, status: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfp_platform.probes import spark

    child = tmp_path / "query.py"
    child.write_text(program)
    monkeypatch.setattr(spark, "QUERY", [str(child)])
    monkeypatch.setattr("dfp_platform.resources.spark.refuse_missing_packages", lambda: None)
    found = answer("spark", at(tmp_path, engine="spark"), seconds=0.5 if "sleep" in program else 60)
    assert (found.status, said in found.said) == (status, True), found


# -- the machine ------------------------------------------------------------------------------------------------


def test_this_machine_has_room_and_the_pinned_versions(tmp_path: Path) -> None:
    assert answer("disk", at(tmp_path)).status in ("ok", "warning")
    found = answer("versions", at(tmp_path))
    assert found.status == "ok", found
    assert found.facts["python"]


def test_a_state_folder_that_cannot_be_one_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file in its place")
    found = answer("disk", at(tmp_path))
    assert (found.status, "DFP_HOME" in found.hint) == ("failed", True)
