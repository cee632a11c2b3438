"""How long `dfp trace` takes, Python's start included: `python -m benchmarks.tracing [--json] [--home DIR]`.

Each call is a process of its own, as a person would start it. Without `--home` a small demo is made first (a minute).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import measured, parser, show

ARTIFACT = "mobile/autoencoder_onnx"
TARGETS = ("reports/summary", ARTIFACT, "marts.fct_training_dataset")
LIMIT_S = 1.0
LAUNCH = (sys.executable, "-m", "dfp_platform.cli")


@contextmanager
def demo(home: Path | None, *, rows: int) -> Iterator[dict[str, str]]:
    """The environment of a published demo: the one in `home`, or a new one that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="dfp-bench-") as made:
        told = {"DFP_HOME": str(home or made), "DFP_SOURCE": "sample", "DFP_SAMPLE_ROWS": str(rows)}
        environment = {**os.environ, **told}
        if home is None:
            subprocess.run([*LAUNCH, "demo"], env=environment, check=True, stdout=sys.stderr)
        yield environment


def predicted(home: Path) -> str:
    """The id of a prediction of the published model, in a file of 20,000 predictions of the demo's lake."""
    import numpy as np

    from dfp_platform.lake import open_lake
    from dfp_platform.mobile.artifact import MobileArtifact
    from dfp_platform.serving.prediction_log import PredictionLog
    from dfp_platform.serving.predictions import FOLDER, Answerer, Answers

    lake = open_lake(home / "lake")
    commit = lake.resolve("main")
    card = MobileArtifact.from_files(lake.files(commit, ARTIFACT)).card
    by = Answerer(ARTIFACT, "autoencoder", "1", "", commit, card.threshold, card.features)
    log = PredictionLog(lake, spool=home / FOLDER, seconds=3_600.0)
    random, told = np.random.default_rng(7), ""
    for row in range(20_000):
        vector = random.poisson(1.0, size=(1, len(card.features))).astype(np.float32)
        score = np.zeros(1, np.float32)
        (told,) = log.add(Answers(by, f"r-{row}", [f"{row:064x}"], vector, score, score.astype(int), score, 1.0))
    log.close()
    return told


def main() -> int:
    """Print what it took; return 1 if a limit does not hold."""
    options = parser(__doc__)
    options.add_argument("--home", type=Path, help="state folder of a demo that is there")
    options.add_argument("--rows", type=int, default=2_000, help="rows per device of a demo that is made")
    options.add_argument("--times", type=int, default=5, help="processes a target")
    told = options.parse_args()
    rows = []
    with demo(told.home, rows=told.rows) as environment:
        for target in (*TARGETS, predicted(Path(environment["DFP_HOME"]))):

            def once(_: int, target: str = target) -> None:
                subprocess.run([*LAUNCH, "trace", target], env=environment, check=True, capture_output=True)

            once(0)  # so that the first figure is not that of a cold disk
            found = measured(f"dfp trace {target}", once, times=told.times)
            rows.append(found.limited(found.p50_ms / 1e3, LIMIT_S, f"median of {told.times} <= {LIMIT_S} s"))
    return show(rows, as_json=told.json)


if __name__ == "__main__":
    sys.exit(main())
