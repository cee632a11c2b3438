"""`SIGKILL` at every change of the disk that an act on a lake makes: before or after, whole, and able to go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dfp_platform.settings import PROJECT_ROOT
from tests.crash_acts import ACTS

SAMPLED = ("commit", "table", "publish", "gc")
"""Acts of which the everyday suite kills a few points; `make conformance-crashes` kills all points of all."""


def killed(folder: Path, act: str, *, first: int, step: int) -> list[dict[str, Any]]:
    """Reports of an act, killed at every `step`-th point; the first one tells of the act undisturbed."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.crash_run", str(folder), act, str(first), str(step)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) | {"errors": done.stderr} for line in done.stdout.splitlines()]


def check(reports: list[dict[str, Any]]) -> int:
    """The promise; the number of points that were killed."""
    undisturbed, *points = reports
    before, after = undisturbed["before"], undisturbed["after"]
    assert before["problems"] == after["problems"] == []
    for report in points:
        at, errors = report["point"], report["errors"]
        assert report["died"] == -signal.SIGKILL, f"point {at}: {errors}"
        assert report["looked"] == 0, f"point {at}: the lake cannot be read: {errors}"
        assert report["seen"]["problems"] == [], f"point {at}"
        assert main_of(report["seen"]) in (main_of(before), main_of(after)), f"point {at}: half way"
        assert report["again"] == 0, f"point {at}: it cannot be done again: {errors}"
        assert report["end"] == after, f"point {at}: another end"
    return len(points)


def main_of(looked: dict[str, Any]) -> Any:
    return looked["held"]["main"]


@pytest.mark.parametrize("act", SAMPLED)
def test_an_act_that_is_killed_has_happened_or_not(tmp_path: Path, act: str) -> None:
    assert check(killed(tmp_path / "lake", act, first=3, step=13)) >= 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("act", ACTS)
def test_an_act_that_is_killed_at_any_point_has_happened_or_not(tmp_path: Path, act: str) -> None:
    reports = killed(tmp_path / "lake", act, first=1, step=1)
    assert check(reports) == reports[0]["points"] >= 5
