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
from dfp_platform.settings import PROJECT_ROOT
from tests.garbage import DAY, days_ago, numbers, rows

BIG = b"big" * 100_000


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


def attempts(lake: Lake, cases: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """What each case answers; all are forks of one process, on the same lake."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.trouble_run", lake.uri, json.dumps(cases)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) | {"errors": done.stderr} for line in done.stdout.splitlines()]


def check_whole(lake: Lake) -> None:
    again = open_lake(lake.uri)
    assert [*again.verify(), *table_damages(again)] == []
    assert again.read("main", "raw/a.bin").startswith(BIG)
    again.commit("main", {"after": b"1"}, message="it goes on")
    overwrite(open_catalog(again), "marts.apps", rows(5))
    assert numbers(again, "main") == [5]


FULL = [
    ("commit", "full when synced", 0),
    ("commit", "full when synced", 2),
    ("commit", "full at size", 100_000),
    ("commit", "full at size", 0),
    ("merge", "full when synced", 0),
    ("table", "full at size", 0),
    ("table", "full at size", 1_000),
    ("table", "full when synced", 3),
    ("branch", "full when synced", 0),
    ("smoke test", "full when synced", 0),
]


def test_a_full_disk_is_said_and_changes_nothing(lake: Lake) -> None:
    before = lake.branches()
    answers = attempts(lake, FULL)
    assert len(answers) == len(FULL)
    for case, said in zip(FULL, answers, strict=True):
        assert said["error"] == "DiskFullError", (case, said)
        assert "do it again" in said["next"], case
        assert (said["read"], said["rows"]) == ("1", [1]), f"{case}: reading goes on"
    assert open_lake(lake.uri).branches() == before
    check_whole(lake)


def test_a_folder_that_cannot_be_written_is_said_and_can_be_read(lake: Lake) -> None:
    before = lake.branches()
    for place, _, _ in os.walk(lake.uri):
        os.chmod(place, 0o555)
    acts = ("commit", "merge", "table", "branch", "gc", "smoke test")
    answers = attempts(lake, [(act, "read-only", 0) for act in acts])
    for act, said in zip(acts, answers, strict=True):
        assert said["error"] == "ReadOnlyError", (act, said)
        assert lake.uri in said["text"], act
        assert (said["read"], said["rows"]) == ("1", [1]), act
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
