"""What logging costs the process that answers: `python -m benchmarks.prediction_log [--json] [--seconds N]`.

One thread logs a prediction every millisecond, by the clock (open loop), while the log's own thread brings files into a
lake in a temporary folder. What a request would feel is told twice: how long `add` takes, and how late the thread wakes
up, without the log and with it: the log's thread shares the interpreter.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Row, parser, row, show
from dfp_platform.lake import open_lake
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.predictions import Answerer, Answers

FEATURES = 474
EVERY_S = 0.001
LIMIT_US = 100.0


def open_loop(act: Callable[[int], object], *, seconds: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Do something every millisecond; return how long it took and how late it began, both in seconds."""
    count = int(seconds / EVERY_S)
    took, late = np.empty(count), np.empty(count)
    begun = time.perf_counter()
    for turn in range(count):
        due = begun + turn * EVERY_S
        if (rest := due - time.perf_counter()) > 0:
            time.sleep(rest)
        now = time.perf_counter()
        act(turn)
        took[turn], late[turn] = time.perf_counter() - now, now - due
    return took, late


def logged(folder: Path, *, seconds: float) -> list[Row]:
    """The figures of one log whose files are full, or old, every two seconds."""
    lake = open_lake(folder / "lake", create=True)
    names = tuple(f"sys_f{at}" for at in range(FEATURES))
    by = Answerer("mobile/autoencoder_onnx", "autoencoder", "1", "", lake.resolve("main"), 0.5, names)
    vectors = np.random.default_rng(7).poisson(1.0, size=(1_000, 1, FEATURES)).astype(np.float32)
    score, flag = np.zeros(1, np.float32), np.zeros(1, np.int8)

    def add(turn: int) -> None:
        log.add(Answers(by, f"r-{turn}", ["a" * 64], vectors[turn % 1_000], score, flag, score, 1.0))

    _, alone = open_loop(lambda _: None, seconds=seconds / 2)
    log = PredictionLog(lake, spool=folder / "spool", seconds=2.0)
    took, late = open_loop(add, seconds=seconds)
    log.close()
    counts = log.counts
    return [
        row("late, without a log", (alone * 1e3).tolist(), max_ms=_most(alone)),
        row("late, with it", (late * 1e3).tolist(), max_ms=_most(late), committed=counts.committed),
        row("add, one row", (took * 1e3).tolist(), max_ms=_most(took), dropped=counts.dropped).limited(
            float(np.median(took)) * 1e6, LIMIT_US, f"p50 <= {LIMIT_US:.0f} us"
        ),
    ]


def _most(seconds: NDArray[np.float64]) -> float:
    return round(float(seconds.max()) * 1e3, 1)


def main() -> int:
    """Print what it took; return 1 if a limit does not hold."""
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=20.0, help="how long to log")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="dfp-bench-") as folder:
        rows = logged(Path(folder), seconds=chosen.seconds)
    return show(rows, as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
