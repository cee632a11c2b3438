"""Runs that write one partition each of one table, all at once: `python -m benchmarks.merging_runs [--json]`.

Once they publish to `main`, each merging what the others published before; once they publish nowhere. Each run has a
process of its own, forked with everything imported, and all begin together.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import one_table_line
from benchmarks.figures import Row, parser, row, show
from dfp_platform.catalog import open_catalog, overwrite_partitions
from dfp_platform.lake import open_lake
from dfp_platform.publishing.launch import run_job
from dfp_platform.resources.dagster_internals import ASSET_JOB, project_instance
from dfp_platform.settings import PROJECT_ROOT, settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def one_run(day: str, home: str, base: str | None, begin: Any, ended: Any) -> None:
    """In a process of its own: wait for the others, run, tell whether it landed."""
    os.environ["DFP_BENCH_DAY"] = day
    with project_instance(PROJECT_ROOT, Path(home) / "dagster") as instance:
        begin.wait()
        outcome = run_job(job=ASSET_JOB, base=base, run_config=QUIET, instance=instance, module=one_table_line.__name__)
    ended.put((outcome.success, outcome.reasons))


def together(runs: int, *, base: str | None) -> tuple[Row, int, list[str]]:
    """How long each of so many runs took, partitions on main then, and why runs were held back."""
    with tempfile.TemporaryDirectory(prefix="dfp-bench-") as home:
        os.environ["DFP_HOME"] = home
        settings.cache_clear()
        lake = open_lake(settings().lake_uri, create=True)
        first = pa.table({"day": ["first"], "value": [0]})
        overwrite_partitions(open_catalog(lake), "bench.events", first, partition=["day"])
        with project_instance(PROJECT_ROOT, Path(home) / "dagster"):
            pass  # makes the tables of its databases once
        fork = multiprocessing.get_context("fork")
        begin, ended = fork.Barrier(runs + 1), fork.SimpleQueue()
        processes = [fork.Process(target=one_run, args=(f"day-{n}", home, base, begin, ended)) for n in range(runs)]
        for process in processes:
            process.start()
        begin.wait()
        started = time.monotonic()
        outcomes, taken = [], []
        for _ in processes:
            outcomes.append(ended.get())
            taken.append((time.monotonic() - started) * 1e3)
        for process in processes:
            process.join()
        table = open_catalog(lake).load_table("bench.events")
        found = len(table.scan(selected_fields=("day",)).to_arrow()["day"].unique()) - 1
        what = f"{runs} runs at once, {'published' if base is None else 'unpublished'}"
        made = row(what, taken, last_s=round(taken[-1] / 1e3, 1), landed=found)
        return made, found, [reason for success, reasons in outcomes if not success for reason in reasons]


def main() -> int:
    """Print the figures; each run's time ends when its process told how it ended."""
    asked = parser(__doc__)
    asked.add_argument("--runs", type=int, default=32)
    options = asked.parse_args()
    unpublished, none, _ = together(options.runs, base="main")
    assert none == 0
    published, landed, held = together(options.runs, base=None)
    print(*held, sep="\n", file=sys.stderr)
    published.facts["ratio"] = round(published.facts["last_s"] / unpublished.facts["last_s"], 2)
    all_landed = published.limited(options.runs - landed, 0, "all land")
    return show([unpublished, all_landed], as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
