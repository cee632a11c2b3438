"""Many writers of one branch: processes that append to one table, and a stream beside runs that publish."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.catalog.verification import table_damages
from dfp_platform.lake import Lake, open_lake
from tests.integration.test_catalog_processes import finish, go, start, written
from tests.toy_harness import Toy, toy

__all__ = ["toy"]

SINK = """
import json, sys, time
import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from dfp_platform.catalog import open_catalog
from dfp_platform.lake import open_lake

lake, rate = open_lake(sys.argv[1]), 10.0
catalog = open_catalog(lake)
catalog.create_namespace_if_not_exists("stream")
catalog.create_table_if_not_exists("stream.events", pa.schema([("n", pa.int64())]))
print("ready", flush=True)
began, n, appended = time.monotonic(), 0, 0
while not lake.exists("main", "stop"):
    lake.commit("main", {f"stream/{n}": b"%d" % n}, message=f"event {n}")
    if n % 10 == 0:
        while True:
            try:
                catalog.load_table("stream.events").append(pa.table({"n": [n]}))
                break
            except CommitFailedException:
                continue
        appended += 1
    n += 1
    time.sleep(max(0.0, began + n / rate - time.monotonic()))
print(json.dumps({"events": n, "appended": appended, "seconds": time.monotonic() - began}), flush=True)
"""


@contextmanager
def sink(lake: Lake) -> Iterator[subprocess.Popen[str]]:
    """A long-lived writer of `main` that is no run; it ends when an object `stop` appears there."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SINK, lake.uri],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def appended_by(tmp_path: Path, *, writers: int, appends: int) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    catalog.create_table("marts.apps", pa.schema([("writer", pa.int64()), ("number", pa.int64())]))
    processes = [start(lake, "marts.apps", writer, appends) for writer in range(writers)]
    try:
        go(*processes)
        finish(processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    expected = [(writer, number) for writer in range(writers) for number in range(appends)]
    assert written(lake, "marts.apps") == expected
    assert catalog.pointer("marts.apps").rows == writers * appends
    assert [*lake.verify(), *table_damages(lake)] == []


def test_four_processes_that_append_to_one_table_ten_times_lose_nothing(tmp_path: Path) -> None:
    appended_by(tmp_path, writers=4, appends=10)


def test_a_stream_of_ten_commits_a_second_and_runs_that_publish_do_not_starve_each_other(toy: Toy) -> None:
    with sink(toy.lake) as process:
        began = time.monotonic()
        for number in range(3):
            toy.turn("a.value", f"a{number}")
            outcome = toy.run()
            assert outcome.success, outcome
            assert toy.text("c") == f"a{number}>b1>c1"
        took = time.monotonic() - began
        toy.lake.commit("main", {"stop": b"1"}, message="stop the stream")
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    told = json.loads(said)
    lake = toy.lake
    assert sum("published" in commit.metadata for commit in lake.log("main")) == 3
    assert sorted(int(lake.read("main", found.path)) for found in lake.list("main", "stream/")) == list(
        range(told["events"])
    )
    events = open_catalog(lake).load_table("stream.events").scan().to_arrow()["n"].to_pylist()
    assert sorted(events) == list(range(0, told["events"], 10))
    assert told["events"] >= 2 * took, f"the stream starved: {told['events']} events in {took:.0f} s"
    assert [*lake.verify(), *table_damages(lake)] == []


@pytest.mark.slow
@pytest.mark.timeout(780)
def test_sixteen_processes_that_append_to_one_table_fifty_times_lose_nothing(tmp_path: Path) -> None:
    appended_by(tmp_path, writers=16, appends=50)
