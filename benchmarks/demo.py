"""Time and memory of the demo, cold and warm, and where the time goes. `make bench` runs it.

Cold is a new lake, warm is the same demo again. Without options it takes the real rows that lie beside the checkout, if
they do, else as many generated ones; `--rows 39069` makes 78,137 apps on two devices.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
REAL_ROWS = ROOT.parent / "shared" / "kronodroid" / "real_device_2019.csv"
TIME_LIMIT, MEMORY_LIMIT, PUBLISHING_LIMIT = 180.0, 6 * 2**30, 1.1
"""Seconds for 1,622 rows, bytes for 78,137, and a published run's time over that of the same steps alone."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One demo: wall-clock seconds of the command, peak bytes of all its processes, and what it said of itself."""

    wall: float
    peak: int
    told: Mapping[str, Any]


def measured(environment: Mapping[str, str]) -> Measured:
    """Run `dfp demo` and watch it; end here if it fails."""
    command = [sys.executable, "-m", "dfp_platform.cli", "demo", "--json"]
    started, peak = time.monotonic(), 0
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaints:
        with psutil.Popen(command, env=environment, cwd=ROOT, stdout=answer, stderr=complaints) as process:
            while process.poll() is None:
                peak = max(peak, _resident(process))
                time.sleep(0.2)
        wall = time.monotonic() - started
        answer.seek(0)
        complaints.seek(0)
        if process.returncode:
            sys.exit(f"dfp demo failed:\n{complaints.read().decode()}")
        return Measured(wall, peak, json.loads(answer.read()))


def _resident(process: psutil.Popen) -> int:
    """Bytes of the process and its children; pages that they share count more than once."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def publishing_seconds(run_id: str, home: Path) -> float:
    """What a run spent before its first and after its last step: making its branch, and publishing it."""
    from dfp_platform.resources.dagster_internals import project_instance

    with project_instance(ROOT, home / "dagster") as instance:
        times: dict[str, list[float]] = {}
        for entry in instance.all_logs(run_id):
            if entry.dagster_event is not None:
                times.setdefault(entry.dagster_event.event_type_value, []).append(entry.timestamp)
    before = min(times["STEP_START"]) - times["PIPELINE_START"][0]
    return before + times["PIPELINE_SUCCESS"][0] - max(times["STEP_SUCCESS"])


def tell(name: str, found: Measured, home: Path) -> float:
    """Print one demo; return what publishing cost, as a factor on the rest of the run."""
    seconds, steps = found.told["seconds"], found.told["steps"]
    publishing = publishing_seconds(found.told["run_id"], home)
    print(f"\n{name}: {found.wall:.1f} s, peak {found.peak / 2**30:.2f} GiB, {sum(found.told['rows'].values()):,} rows")
    parts = {"starting python and dfp": found.wall - seconds, "branch and publication": publishing, **steps}
    parts["between the steps"] = seconds - publishing - sum(steps.values())
    for part, took in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"  {took:7.1f} s  {took / found.wall:4.0%}  {part}")
    return seconds / (seconds - publishing)


def main() -> int:
    """Measure; return 1 if a limit of the project is broken."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, help="generated apps per device")
    options.add_argument("--source", help="another source, as DFP_SOURCE")
    chosen = options.parse_args()
    source = chosen.source or ("sample" if chosen.rows or not REAL_ROWS.exists() else str(REAL_ROWS))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        rows = str(chosen.rows or 811)
        environment = os.environ | {"DFP_HOME": folder, "DFP_SOURCE": source, "DFP_SAMPLE_ROWS": rows}
        cold = measured(environment)
        factors = [tell("cold", cold, home)]
        warm = measured(environment)
        factors.append(tell("warm", warm, home))
        broken = broken_limits(cold, warm, factors)
    print("\n" + ("\n".join(broken) or "every limit holds"))
    return bool(broken)


def broken_limits(cold: Measured, warm: Measured, factors: list[float]) -> list[str]:
    """What the project promises and these figures break."""
    rows, wall, peak = sum(cold.told["rows"].values()), max(cold.wall, warm.wall), max(cold.peak, warm.peak)
    kept = {
        f"{wall:.0f} s for {rows:,} rows; the limit is {TIME_LIMIT:.0f} s": rows > 1_622 or wall <= TIME_LIMIT,
        f"{peak / 2**30:.1f} GiB; the limit is {MEMORY_LIMIT / 2**30:.0f} GiB": rows > 80_000 or peak <= MEMORY_LIMIT,
        f"publishing costs {max(factors):.3f} times the run": max(factors) <= PUBLISHING_LIMIT,
    }
    return [sentence for sentence, holds in kept.items() if not holds]


if __name__ == "__main__":
    sys.exit(main())
