"""A disk that is full, a folder that cannot be written, a clock that jumps back: a clear error, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.collection import collect_garbage
from dfp_platform.catalog.verification import table_damages
from dfp_platform.lake import Lake, open_lake
from tests.garbage import DAY, days_ago, numbers, rows

BIG = b"big" * 100_000

WRITER = """
import errno, json, os, resource, signal, sys
import pyarrow as pa
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.collection import collect_garbage
from dfp_platform.lake import open_lake

folder, act, trouble, amount = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
lake = open_lake(folder)
catalog = open_catalog(lake)
catalog.load_table("marts.apps").scan().to_arrow()
synced = os.fsync

def full(descriptor):
    global amount
    amount -= 1
    if amount < 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return synced(descriptor)

if trouble == "full when synced":
    os.fsync = full
elif trouble == "full at size":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (amount, resource.RLIM_INFINITY))
elif os.geteuid() == 0:
    os.seteuid(65534)
try:
    if act == "commit":
        lake.commit("main", {"raw/a.bin": b"big" * 100_000 + b"2", "small": b"2"}, message="2")
    elif act == "merge":
        lake.merge("side", message="merge")
    elif act == "branch":
        lake.create_branch("young")
    elif act == "gc":
        collect_garbage(lake, delete=True, grace_hours=0)
    else:
        overwrite(catalog, "marts.apps", pa.table({"number": pa.array([2] * 3, pa.int64())}))
    answer = {"error": None}
except Exception as error:
    answer = {"error": type(error).__name__, "text": str(error), "next": getattr(error, "hint", "")}
answer["read"] = open_lake(folder).read("main", "small").decode()
answer["rows"] = open_catalog(open_lake(folder)).load_table("marts.apps").scan().to_arrow()["number"].to_pylist()
if trouble == "full at size":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sys.stdout.write(json.dumps(answer))
"""


@pytest.fixture
def lake() -> Iterator[Lake]:
    """In a folder that another user may pass through, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="dfp-"))
    folder.chmod(0o755)
    made = open_lake(folder / "lake", create=True)
    made.commit("main", {"raw/a.bin": BIG, "small": b"1"}, message="1")
    overwrite(open_catalog(made), "marts.apps", rows(1))
    made.create_branch("side")
    made.commit("side", {"raw/side.bin": BIG + b"side"}, message="side")
    yield made
    for place, _, _ in os.walk(folder):
        os.chmod(place, 0o755)
    shutil.rmtree(folder)


def attempt(lake: Lake, act: str, trouble: str, amount: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-c", WRITER, lake.uri, act, trouble, str(amount)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_whole(lake: Lake) -> None:
    again = open_lake(lake.uri)
    assert [*again.verify(), *table_damages(again)] == []
    assert again.read("main", "raw/a.bin").startswith(BIG)
    again.commit("main", {"after": b"1"}, message="it goes on")
    overwrite(open_catalog(again), "marts.apps", rows(5))
    assert numbers(again, "main") == [5]


@pytest.mark.parametrize(
    ("act", "trouble", "amount"),
    [
        ("commit", "full when synced", 0),
        ("commit", "full when synced", 2),
        ("commit", "full at size", 100_000),
        ("commit", "full at size", 0),
        ("merge", "full when synced", 0),
        ("table", "full at size", 0),
        ("table", "full at size", 1_000),
        ("table", "full when synced", 3),
        ("branch", "full when synced", 0),
    ],
)
def test_a_full_disk_is_said_and_changes_nothing(lake: Lake, act: str, trouble: str, amount: int) -> None:
    before = lake.branches()
    said = attempt(lake, act, trouble, amount)
    assert said["error"] == "DiskFullError", said
    assert "do it again" in said["next"]
    assert (said["read"], said["rows"]) == ("1", [1]), "reading goes on"
    assert open_lake(lake.uri).branches() == before
    check_whole(lake)


@pytest.mark.parametrize("act", ["commit", "merge", "table", "branch", "gc"])
def test_a_folder_that_cannot_be_written_is_said_and_can_be_read(lake: Lake, act: str) -> None:
    before = lake.branches()
    for place, _, _ in os.walk(lake.uri):
        os.chmod(place, 0o555)
    said = attempt(lake, act, "read-only")
    assert said["error"] == "ReadOnlyError", said
    assert lake.uri in said["text"]
    assert (said["read"], said["rows"]) == ("1", [1])
    for place, _, _ in os.walk(lake.uri):
        os.chmod(place, 0o755)
    assert open_lake(lake.uri).branches() == before
    check_whole(lake)


def test_a_clock_that_jumps_back_reorders_no_history_and_loses_nothing(lake: Lake) -> None:
    with days_ago(30):
        again = open_lake(lake.uri)
        head = again.commit("main", {"later": b"1"}, message="written by a wrong clock")
        overwrite(open_catalog(again), "marts.apps", rows(2))
        assert collect_garbage(again, delete=True, grace_hours=0).total.files == 0, "nothing is old to that clock"
        again.merge("side", message="merge")
    history = list(open_lake(lake.uri).log("main"))
    assert [commit.time for commit in history] == sorted((commit.time for commit in history), reverse=True)
    assert head in {commit.id for commit in history}
    assert numbers(lake, "main") == [2]
    check_whole(lake)


def test_a_file_from_the_future_is_no_garbage_yet(lake: Lake) -> None:
    stray = Path(lake.warehouse) / "stray"
    stray.write_bytes(b"1")
    future = time.time() + 40 * DAY
    os.utime(stray, (future, future))
    collect_garbage(open_lake(lake.uri), delete=True, grace_hours=0)
    assert stray.exists()
