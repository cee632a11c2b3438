"""Writers of one table in several processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.lake import open_lake
from tests.local_servers import until

APPENDS = 8

APPENDER = """
import random, sys, time
import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from dfp_platform.catalog import open_catalog
from dfp_platform.lake import open_lake

lake, table, writer, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
catalog = open_catalog(open_lake(lake), "main")
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    rows, pause = pa.table({"writer": [writer], "number": [number]}), 0.02
    while True:
        try:
            catalog.load_table(table).append(rows)
            break
        except CommitFailedException:
            time.sleep(random.uniform(0, pause))
            pause = min(2 * pause, 2.0)
"""


@pytest.fixture
def lake(tmp_path: Path):
    return open_lake(tmp_path / "lake", create=True)


def start(lake, table: str, writer: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", APPENDER, lake.uri, table, str(writer), str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def go(*processes: subprocess.Popen[str]) -> None:
    """Let them begin together, once all are ready."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def finish(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=1500)
        assert process.returncode == 0, errors


def written(lake, table: str) -> list[tuple[int, int]]:
    found = open_catalog(lake, "main").load_table(table).scan().to_arrow().to_pylist()
    return sorted((row["writer"], row["number"]) for row in found)


def test_two_processes_that_append_to_one_table_lose_nothing(lake):
    catalog = open_catalog(lake, "main")
    catalog.create_namespace("marts")
    catalog.create_table("marts.apps", pa.schema([("writer", pa.int64()), ("number", pa.int64())]))
    processes = [start(lake, "marts.apps", writer, APPENDS) for writer in range(2)]
    go(*processes)
    finish(processes)
    assert written(lake, "marts.apps") == [(writer, number) for writer in range(2) for number in range(APPENDS)]
    pointer = catalog.pointer("marts.apps")
    copy = catalog.create_table("marts.copy", pa.schema([("writer", pa.int64()), ("number", pa.int64())]))
    copy.append(catalog.load_table("marts.apps").scan().to_arrow())
    assert (pointer.rows, pointer.content) == (2 * APPENDS, catalog.pointer("marts.copy").content)


def test_processes_that_write_different_tables_do_not_disturb_each_other(lake):
    catalog = open_catalog(lake, "main")
    catalog.create_namespace("marts")
    for name in ("a", "b"):
        catalog.create_table(f"marts.{name}", pa.schema([("writer", pa.int64()), ("number", pa.int64())]))
    processes = [start(lake, f"marts.{name}", writer, 4) for writer, name in enumerate("ab")]
    go(*processes)
    finish(processes)
    assert written(lake, "marts.a") == [(0, number) for number in range(4)]
    assert written(lake, "marts.b") == [(1, number) for number in range(4)]


def test_a_killed_writer_leaves_a_whole_table(lake):
    catalog = open_catalog(lake, "main")
    catalog.create_namespace("marts")
    catalog.create_table("marts.apps", pa.schema([("writer", pa.int64()), ("number", pa.int64())]))
    process = start(lake, "marts.apps", 0, 10_000)
    go(process)
    until(lambda: catalog.pointer("marts.apps").rows >= 3)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    found = written(lake, "marts.apps")
    assert len(found) >= 3
    assert found == [(0, number) for number in range(len(found))]
    catalog.load_table("marts.apps").append(pa.table({"writer": [1], "number": [0]}))
    assert catalog.pointer("marts.apps").rows == len(found) + 1
