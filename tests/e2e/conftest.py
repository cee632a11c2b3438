"""The state that a small demo leaves, made once for all end-to-end tests, and servers that are always ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dfp_platform.settings import PROJECT_ROOT

ROWS = 2_000
"""Apps per device: about the fewest that models can be calibrated on."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A folder like the root of a checkout, whose `.dfp` holds what `dfp demo` made, and what the demo printed."""

    root: Path
    environment: Mapping[str, str]
    printed: str

    @property
    def home(self) -> Path:
        return self.root / ".dfp"


def environment_for(root: Path) -> dict[str, str]:
    """The environment of a person in `root`, without this person's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DFP_", "DAGSTER_", "KAGGLE_", "LAKEFS_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    few = {"DFP_SAMPLE_ROWS": str(ROWS), "DFP_EVALUATION_SEEDS": "2"}
    return kept | {"DFP_HOME": str(root / ".dfp"), "DFP_SOURCE": "sample", **few}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One `dfp demo` on the sample. Tests that use it are of the xdist group `demo`, so it is made once."""
    root = tmp_path_factory.mktemp("demo")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT_ROOT / name, root)
    environment = environment_for(root)
    ended = subprocess.run(["dfp", "demo"], cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return Demo(root, environment, ended.stdout)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes put in this list are ended after the test, with everything they started."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with everything it started; again changes nothing."""
    family = [psutil.Process(process.pid), *_children(process.pid)] if process.poll() is None else []
    process.send_signal(signal.SIGINT)  # dagster dev ends its own children on ctrl-c
    _, alive = psutil.wait_procs(family, timeout=30)
    for left in alive:
        left.kill()
    process.wait(timeout=30)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
