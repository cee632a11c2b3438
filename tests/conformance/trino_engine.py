"""Trino 476 on the lake through the REST catalog: `make trino`. Needs Java 23, 800 MB to fetch, a minute to start.

The settings that work: nested namespaces on, and `fs.hadoop.enabled` for a warehouse that is a folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.lake import Lake, open_lake
from tests.local_servers import free_port
from tests.serving_rest import serving

SERVER = Path(__file__).resolve().parents[2] / ".cache" / "trino" / "trino-server-476"
ROWS = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", "b"]})
CATALOGS = {"trunk": "main", "dev": "dev", "old": "v1"}

PORT = free_port()
"""Trino wants to be told a port."""

pytestmark = pytest.mark.timeout(600)


def java_home() -> Path:
    """A JDK that Trino takes: the one named by TRINO_JAVA_HOME, or one of those that are installed."""
    named = os.environ.get("TRINO_JAVA_HOME")
    for home in [Path(named)] if named else sorted(Path("/usr/lib/jvm").glob("*")):
        release = home / "release"
        found = re.search(r'JAVA_VERSION="(\d+)', release.read_text()) if release.exists() else None
        if found and int(found[1]) >= 23:
            return home
    pytest.fail("Trino needs Java 23 or newer: install one, and name its folder in TRINO_JAVA_HOME")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = open_lake(tmp_path_factory.mktemp("trino") / "lake", create=True)
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    catalog.create_table("marts.apps", ROWS.schema).append(ROWS)
    lake.create_branch("dev")
    lake.tag("v1", "main")
    return lake


@pytest.fixture(scope="module")
def trino(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One server whose catalogs `trunk`, `dev` and `old` are refs of one lake."""
    folder = tmp_path_factory.mktemp("etc")
    with serving(lake) as uri:
        _configure(folder, uri)
        home = java_home()
        environment = {**os.environ, "JAVA_HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}
        command = [
            str(SERVER / "bin" / "launcher"),
            "run",
            "--etc-dir",
            str(folder),
            "--data-dir",
            str(folder / "data"),
        ]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(server, folder / "log")
            yield
        finally:
            server.terminate()
            server.wait(timeout=60)


def _configure(folder: Path, uri: str) -> None:
    files = {
        "config.properties": (
            "coordinator=true\nnode-scheduler.include-coordinator=true\n"
            f"http-server.http.port={PORT}\ndiscovery.uri=http://127.0.0.1:{PORT}\n"
        ),
        "node.properties": "node.environment=test\nnode.id=one\n",
        "jvm.config": "-Xmx2G\n-Djdk.attach.allowAttachSelf=true\n--enable-native-access=ALL-UNNAMED\n",
    }
    for name, ref in CATALOGS.items():
        files[f"catalog/{name}.properties"] = (
            "connector.name=iceberg\niceberg.catalog.type=rest\n"
            f"iceberg.rest-catalog.uri={uri}\niceberg.rest-catalog.warehouse={ref}\n"
            "iceberg.rest-catalog.nested-namespace-enabled=true\nfs.hadoop.enabled=true\n"
        )
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def _wait(server: subprocess.Popen[bytes], log: Path) -> None:
    """Until it reads a table: it answers `select 1` before it counts itself among those that may."""
    while True:
        assert server.poll() is None, log.read_text()[-2_000:]
        try:
            if asked("select count(*) from trunk.marts.apps") == [[2]]:
                return
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(1)


def asked(statement: str) -> Any:
    """The rows of a statement, or what Trino said was wrong with it."""
    address = f"http://127.0.0.1:{PORT}/v1/statement"
    answer = httpx.post(address, content=statement, headers={"X-Trino-User": "test"}, timeout=120).json()
    rows = answer.get("data", [])
    while "nextUri" in answer:
        answer = httpx.get(answer["nextUri"], timeout=120).json()
        rows += answer.get("data", [])
    return answer["error"]["message"] if "error" in answer else rows


def ids(lake: Lake, name: str, ref: str = "main") -> list[int]:
    return sorted(open_catalog(lake, ref).load_table(name).scan().to_arrow()["id"].to_pylist())


def test_trino_reads_and_writes_the_branch_that_its_catalog_names(trino: None, lake: Lake) -> None:
    assert asked("select id, name from trunk.marts.apps order by id") == [[1, "a"], [2, "b"]]
    assert asked("insert into dev.marts.apps values (3, 'c')") == [[1]]
    assert (ids(lake, "marts.apps", "dev"), ids(lake, "marts.apps")) == ([1, 2, 3], [1, 2])


def test_trino_makes_tables_and_changes_their_rows(trino: None, lake: Lake) -> None:
    assert asked("create schema trunk.trino") == []
    assert asked("create table trunk.trino.apps as select * from trunk.marts.apps") == [[2]]
    assert asked("update trunk.trino.apps set name = 'x' where id = 1") == [[1]]
    assert asked("delete from trunk.trino.apps where id = 2") == [[1]]
    merged = (
        "merge into trunk.trino.apps t using (values (1, 'm'), (5, 'e')) s(id, name) on t.id = s.id "
        "when matched then update set name = s.name when not matched then insert (id, name) values (s.id, s.name)"
    )
    assert asked(merged) == [[2]]
    assert asked("select id, name from trunk.trino.apps order by id") == [[1, "m"], [5, "e"]]
    assert ids(lake, "trino.apps") == [1, 5]
    assert asked("create or replace table trunk.trino.apps as select bigint '7' as id") == [[1]]
    assert ids(lake, "trino.apps") == [7]


def test_trino_makes_and_reads_views(trino: None, lake: Lake) -> None:
    assert asked("create view trunk.marts.names as select name from trunk.marts.apps") == []
    assert asked("create or replace view trunk.marts.names as select upper(name) as name from trunk.marts.apps") == []
    assert asked("select name from trunk.marts.names order by 1") == [["A"], ["B"]]
    assert open_catalog(lake).list_views("marts") == [("marts", "names")]
    assert asked("drop view trunk.marts.names") == []


def test_trino_is_told_that_a_tag_cannot_be_written(trino: None) -> None:
    assert "no branch" in asked("insert into old.marts.apps values (9, 'i')")
    assert asked("select count(*) from old.marts.apps") == [[2]]
