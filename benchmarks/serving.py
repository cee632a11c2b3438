"""What serving costs, in the three parts of issue 6: features as they were, features online, the inference API.

Each part is a benchmark of its own with options of its own (`python -m benchmarks.point_in_time --help`), measured
beside its rival in the same run; this runs them one after another. On a busy machine the figures mean little.

Run: ``python -m benchmarks.serving [--only point_in_time|online_features|predict_load] [--quick] [--json]``
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.figures import parser

PARTS = {
    "point_in_time": ("--asked", "20000", "--versions", "5000", "--apps", "1000", "--rounds", "1"),
    "online_features": ("--apps", "2000", "--reads", "1000"),
    "predict_load": ("--requests", "2000"),
}
"""The parts, and what makes each quick."""


def main() -> int:
    """Run the parts; 1 if a limit of any does not hold."""
    options = parser(__doc__)
    options.add_argument("--only", choices=tuple(PARTS), help="one part alone")
    options.add_argument("--quick", action="store_true", help="small: whether it runs, not how fast it is")
    told = options.parse_args()
    failed = 0
    for part, quick in PARTS.items():
        if told.only in (None, part):
            print(f"-- {part}", file=sys.stderr, flush=True)
            given = [*(quick if told.quick else ()), *(["--json"] if told.json else [])]
            failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{part}", *given], check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
