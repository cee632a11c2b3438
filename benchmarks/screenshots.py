"""The pictures of `docs/ui.md`: Dagster's UI on a small line that was made a moment ago, in Chromium.

    python -m benchmarks.screenshots [--home FOLDER] [--to docs/images]

A folder that holds a published line already is shown as it is; else the line is made first, as `dfp demo` makes it.
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from dfp_platform.settings import PROJECT_ROOT
from tests.dagster_ui import DagsterUI, chromium
from tests.e2e.conftest import environment_for

WAIT = 180.0
"""Seconds until Dagster's UI answers."""

DRAWN = 3_000
"""Milliseconds that pages are given to draw what they have; nothing depends on it but the looks."""

Clip = Mapping[str, float]
BESIDE_NAVIGATION: Clip = {"x": 240, "y": 0, "width": 1200, "height": 900}


def main() -> None:
    """Make the pictures."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    asked.add_argument("--home", type=Path, help="state folder; else a new one")
    asked.add_argument("--to", type=Path, default=PROJECT_ROOT / "docs" / "images")
    chosen = asked.parse_args()
    chosen.to.mkdir(parents=True, exist_ok=True)
    home = chosen.home or Path(tempfile.mkdtemp(prefix="dfp-screenshots-")) / ".dfp"
    environment = environment_for(home.parent) | {"DFP_HOME": str(home)}
    if not home.exists():
        subprocess.run(["dfp", "demo"], env=environment, check=True)
    with _served(environment) as at, chromium() as browser:
        pictures(DagsterUI.open(browser, at), chosen.to)
    for made in sorted(chosen.to.glob("ui-*.png")):
        print(f"{made.name}  {made.stat().st_size / 1e3:,.0f} kB")


def pictures(ui: DagsterUI, to: Path) -> None:
    """Walk through the UI, and keep a picture of each station.

    Args:
        ui: on a state folder whose line is published.
        to: a folder.
    """
    ui.graph(last="reports")
    _keep(ui, to / "ui-graph.png", {"x": 540, "y": 50, "width": 900, "height": 680})
    ui.open_job("main_line")
    _keep(ui, to / "ui-launchpad.png")
    ui.latest_run()
    _keep(ui, to / "ui-run.png")
    ui.asset("models/evaluation")
    ui.charts()
    _keep(ui, to / "ui-asset.png")
    ui.checks("features/online")
    _keep(ui, to / "ui-checks.png")
    ui.asset("reports/summary")
    report = ui.follow("report")
    report.set_viewport_size({"width": 1200, "height": 800})
    report.screenshot(path=to / "ui-report.png")


def _keep(ui: DagsterUI, path: Path, clip: Clip = BESIDE_NAVIGATION) -> None:
    ui.page.wait_for_timeout(DRAWN)
    ui.picture(path, clip)


@contextmanager
def _served(environment: Mapping[str, str]) -> Iterator[str]:
    """`dfp dev`, the lake's pages where links of the line lead; the address of Dagster's UI."""
    port = _free_port()
    at = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(["dfp", "dev", "--port", str(port)], cwd=PROJECT_ROOT, env=dict(environment))
    try:
        _until_it_answers(at, process)
        yield at
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _until_it_answers(at: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("dfp dev ended by itself")
        try:
            if httpx.get(f"{at}/server_info", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise TimeoutError(f"{at} did not answer within {WAIT:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
