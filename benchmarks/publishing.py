"""What publishing costs, and what a process per step costs: `python benchmarks/publishing.py [--json]`.

Each figure is the median over runs of the whole main line on fresh state, in processes of their own, taken in turn so
that a machine that slows down slows all of them. The bare line writes to `main` without branch, fence, gate and merge.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINES = {
    "bare, in process": ("benchmarks.bare_line", "in_process"),
    "published, in process": ("dfp_platform.definitions", "in_process"),
    "published, a forked process per step": ("dfp_platform.definitions", "forkserver"),
    "published, a spawned process per step": ("dfp_platform.definitions", "multiprocess"),
}
ONE_RUN = """
import sys, time
from dfp_platform.publishing.launch import run_job
began = time.monotonic()
quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
outcome = run_job(module=sys.argv[1], run_config=quiet)
assert outcome.success, outcome
print("SECONDS", time.monotonic() - began)
"""


def measure(module: str, step_process: str, *, rows: int) -> float:
    """Seconds of one run of the main line on fresh state."""
    with tempfile.TemporaryDirectory(prefix="dfp-bench-") as home:
        environment = {
            **os.environ,
            "DFP_HOME": home,
            "DFP_SOURCE": "sample",
            "DFP_SAMPLE_ROWS": str(rows),
            "DFP_STEP_PROCESS": step_process,
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ONE_RUN, module],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    told = [line for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    if done.returncode or not told:
        raise SystemExit(f"{module} with {step_process} failed:\n{done.stderr[-3000:]}")
    return float(told[-1].split()[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="runs of each line")
    parser.add_argument("--rows", type=int, default=1_622, help="sample rows per device")
    parser.add_argument("--only", nargs="*", choices=list(LINES), help="only these lines")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = {name: LINES[name] for name in options.only or LINES}
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    for number in range(options.runs):
        for name, (module, step_process) in chosen.items():
            seconds[name].append(measure(module, step_process, rows=options.rows))
            print(f"run {number + 1}, {name}: {seconds[name][-1]:.1f} s", file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians.get("bare, in process")
    if options.json:
        print(json.dumps({"rows": options.rows, "seconds": seconds, "when": time.strftime("%Y-%m-%d")}))
        return
    for name, median in medians.items():
        ratio = f"{median / base:6.2f} x bare" if base else ""
        print(f"{name:42} {median:7.1f} s {ratio}")


if __name__ == "__main__":
    main()
