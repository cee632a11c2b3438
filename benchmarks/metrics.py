"""What metrics cost: `python -m benchmarks.metrics [--json] [--quick]`.

The same small durable commit with and without counting, one after another, and the counting alone; then scrapes of the
exporter on a lake of 10,000 commits. Times are percentiles over single calls, in milliseconds. Ends with 1 if counting
costs a commit more than a tenth, or a scrape takes more than a second.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from benchmarks.figures import Row, measured, milliseconds, parser, row, show
from dfp_platform.lake import Lake, open_lake
from dfp_platform.lake.operations import Operation, Operations, Outcome
from dfp_platform.metrics.exporter import Exporter, Part
from dfp_platform.metrics.models import ModelsPart
from dfp_platform.metrics.orchestration import RunsPart
from dfp_platform.metrics.publications import LakePart


class Uncounted(Operations):
    """Counts nothing."""

    def record(self, operation: Operation, seconds: float, outcome: Outcome = "done") -> None:
        """Nothing."""


def counting(folder: Path, *, times: int) -> list[Row]:
    """Counting alone, by what is counted."""
    operations = Operations(folder / "operations")
    return [
        measured("count a read", lambda n: operations.record("read", 0.001), times=times),
        measured("count a commit, in the file", lambda n: operations.record("commit", 0.001), times=times),
    ]


def commits(folder: Path, *, times: int) -> list[Row]:
    """One small object a commit, on two lakes in turn, so that a slow moment befalls both."""
    counted, bare = open_lake(folder / "counted", create=True), open_lake(folder / "bare", create=True)
    bare.operations = Uncounted()
    acts = [_commit(bare), _commit(counted)]
    taken: list[list[float]] = [[], []]
    for n in range(times):
        for which in (n % 2, 1 - n % 2):
            taken[which].append(milliseconds(lambda n=n, which=which: acts[which](n)))
    without, with_ = row("commit, not counted", taken[0]), row("commit, counted", taken[1])
    return [without, with_.limited(with_.p50_ms, 1.1 * without.p50_ms, "p50 <= 1.1 x that of one that is not counted")]


def scrapes(folder: Path, *, history: int, times: int) -> list[Row]:
    """The first page, which walks the history, and later ones, with and without a commit between."""
    lake = open_lake(folder / "old", create=True)
    commit = _commit(lake)
    for n in range(history):
        commit(n)
    with dg.DagsterInstance.ephemeral() as instance:
        parts = [
            Part("lake", LakePart(lake, "main", {"lake": folder})),
            Part("models", ModelsPart(lake, "main", 0.3)),
            Part("runs", RunsPart(instance)),
        ]
        exporter = Exporter(parts, cache_seconds=0.0, part_seconds=600.0)
        first = measured(f"first scrape after {history:,} commits", lambda n: exporter.page(), times=1)
        again = measured("a later scrape", lambda n: exporter.page(), times=times)
        new = measured("a commit and a scrape", lambda n: (commit(history + n), exporter.page()), times=times)
    limit = "p99 <= 1 s"
    return [first, again.limited(again.p99_ms, 1_000.0, limit), new.limited(new.p99_ms, 1_000.0, limit)]


def _commit(lake: Lake) -> Callable[[int], object]:
    return lambda n: lake.commit("main", {f"raw/{n % 50}": b"%d" % n}, message="one object")


def main() -> int:
    """Measure, print, say whether the limits hold."""
    asked = parser(__doc__)
    asked.add_argument("--quick", action="store_true", help="a tenth of everything")
    options = asked.parse_args()
    history, times = (1_000, 100) if options.quick else (10_000, 1_000)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = [*counting(folder, times=5 * times), *commits(folder, times=times)]
        rows += scrapes(folder, history=history, times=times // 10)
    return show(rows, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
