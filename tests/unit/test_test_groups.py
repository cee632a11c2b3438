"""Tests that share what is slow to make run on one worker, so that it is made once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

GROUPED = """
import os
from pathlib import Path

import pytest


@pytest.mark.xdist_group("{group}")
@pytest.mark.parametrize("number", range(4))
def test_where(number):
    (Path(__file__).parent / f"{group}-{{number}}.{name}.where").write_text(os.environ["PYTEST_XDIST_WORKER"])
"""


def test_a_group_runs_on_one_worker_whatever_files_it_is_spread_over(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = integration: a kind\n")
    for name in ("one", "two"):
        for group in ("server", "demo"):
            (tmp_path / f"test_{name}_{group}.py").write_text(GROUPED.format(group=group, name=name))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {group: {file.read_text() for file in tmp_path.glob(f"{group}-*")} for group in ("server", "demo")}
    assert {group: len(workers) for group, workers in found.items()} == {"server": 1, "demo": 1}, found
    assert found["server"] != found["demo"]
