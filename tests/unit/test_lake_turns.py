"""Writers of one machine take turns at a branch, as a courtesy that nobody has to rely on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dfp_platform.lake import open_lake
from dfp_platform.lake.durable import locked_file
from dfp_platform.lake.turns import turn_at

HOLDER = """
import sys, time
from pathlib import Path
from dfp_platform.lake.turns import turn_at
with turn_at(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(600)
"""


def is_free(file: Path) -> bool:
    with locked_file(file, wait=False) as had:
        return had


def seconds_waited(file: Path, *, patience: float) -> float:
    """How long another thread waits for its turn."""

    def wait() -> float:
        began = time.monotonic()
        with turn_at(file, patience=patience):
            return time.monotonic() - began

    with ThreadPoolExecutor(1) as other:
        return other.submit(wait).result()


def test_one_thread_at_a_time_has_the_turn(tmp_path: Path) -> None:
    inside, most = 0, 0

    def write() -> None:
        nonlocal inside, most
        with turn_at(tmp_path / "main"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1

    threads = [threading.Thread(target=write) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_other_branches_need_not_wait(tmp_path: Path) -> None:
    with turn_at(tmp_path / "main"):
        assert is_free(tmp_path / "work")
        assert not is_free(tmp_path / "main")


def test_who_waits_too_long_goes_ahead(tmp_path: Path) -> None:
    with turn_at(tmp_path / "main"):
        assert seconds_waited(tmp_path / "main", patience=0.1) >= 0.1


def test_a_turn_within_a_turn_waits_for_nobody_and_ends_nothing(tmp_path: Path) -> None:
    with turn_at(tmp_path / "main"):
        with turn_at(tmp_path / "main"):
            assert not is_free(tmp_path / "main")
        assert not is_free(tmp_path / "main")
    assert is_free(tmp_path / "main")


def test_a_write_that_failed_gives_its_turn_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="failed"), turn_at(tmp_path / "main"):
        raise ValueError("failed")
    assert is_free(tmp_path / "main")
    assert seconds_waited(tmp_path / "main", patience=60) < 30


def test_the_turn_of_a_process_that_dies_ends_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "main")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        assert not is_free(tmp_path / "main")
        holder.kill()
    assert is_free(tmp_path / "main")


def test_a_branch_takes_its_turns_with_it(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    lake.create_branch("work")
    with lake.turn("work"):
        assert (tmp_path / "lake/turns/work").exists()
    lake.delete_branch("work")
    assert not (tmp_path / "lake/turns/work").exists()
