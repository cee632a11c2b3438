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

TARGETS = ("reports/summary", "mobile/autoencoder_onnx", "marts.fct_training_dataset")
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


def main() -> int:
    """Print what it took; return 1 if a limit does not hold."""
    options = parser(__doc__)
    options.add_argument("--home", type=Path, help="state folder of a demo that is there")
    options.add_argument("--rows", type=int, default=2_000, help="rows per device of a demo that is made")
    options.add_argument("--times", type=int, default=5, help="processes a target")
    told = options.parse_args()
    rows = []
    with demo(told.home, rows=told.rows) as environment:
        for target in TARGETS:

            def once(_: int, target: str = target) -> None:
                subprocess.run([*LAUNCH, "trace", target], env=environment, check=True, capture_output=True)

            once(0)  # so that the first figure is not that of a cold disk
            found = measured(f"dfp trace {target}", once, times=told.times)
            rows.append(found.limited(found.p50_ms / 1e3, LIMIT_S, f"median of {told.times} <= {LIMIT_S} s"))
    return show(rows, as_json=told.json)


if __name__ == "__main__":
    sys.exit(main())
