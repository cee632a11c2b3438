"""All artifacts of a network by the benchmark protocol on this host, and what the project promises of them.

`python -m benchmarks.phone [--mode full] [--output FILE] [--compare FILE]` trains the network of the demo
(474-128-16-128-474) for a few epochs on the seeded sample, exports it by every exporter in every precision (`make
phone` installs what that needs), and measures. What comes out is one JSON document: rows, limits, and whether they are
kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from dfp_platform.mobile.exporting import calibration_of, export
from dfp_platform.mobile.host import HostBenchmark, Measured, benchmark_host
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.mobile.protocol import MODES, PROTOCOL_VERSION
from dfp_platform.models.data import TrainingData
from dfp_platform.models.presets import parsed, resolve
from dfp_platform.models.training import train
from tests.apps import sample_table

FLOOR_RATIO, INT8_SHARE, SECONDS = 3.0, 0.3, {"quick": 30.0, "full": 300.0}
"""What the project promises: times the bare products, of the fp32 bytes, and for all artifacts of a network."""

RATE = 0.01


def made(preset: str, *, rows: int, epochs: int) -> Measured:
    """The network and all its artifacts."""
    data = TrainingData.from_arrow(sample_table(rows))
    told = resolve(parsed([f"model={preset}", f"training.epochs={epochs}", "training.accelerator=cpu"]))
    weights = train(data, told, synthetic=True, progress=False).files
    calibration = calibration_of(data, false_positive_rate=RATE)
    artifacts = []
    for name, exporter in EXPORTERS.items():
        for precision in exporter.precisions:
            artifacts.append(export(weights, exporter=name, precision=precision, calibration=calibration))
            print(f"{artifacts[-1].card.name}: {len(artifacts[-1].data):,} bytes", file=sys.stderr)
    return Measured(weights, tuple(artifacts), data.test.matrix, data.test.labels)


def kept(told: HostBenchmark, seconds: float) -> list[dict[str, Any]]:
    """Each promise with its figure, its limit, and whether it is kept."""
    whole = {row.exporter: row.size_bytes for row in told.rows if row.precision == "fp32"}
    ratios = {row.exporter: row.floor_ratio or 0.0 for row in told.rows if row.precision == "fp32"}
    shares = {row.artifact: row.size_bytes / whole[row.exporter] for row in told.rows if "int8" in row.precision}
    figures = [
        *((f"{name}, times the bare products", ratio, FLOOR_RATIO) for name, ratio in ratios.items()),
        *((f"{name}, of the fp32 bytes", round(share, 4), INT8_SHARE) for name, share in shares.items()),
        (f"seconds of the {told.mode} benchmark", round(seconds, 1), SECONDS[told.mode]),
    ]
    return [
        {"what": what, "figure": figure, "limit": limit, "kept": figure <= limit} for what, figure, limit in figures
    ]


def _change(told: HostBenchmark, artifact: str) -> str:
    return f"{told.changes[artifact]:+.1%}" if artifact in told.changes else "new"


def main() -> int:
    """Measure, print, and return 1 if a promise is not kept."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--mode", choices=MODES, default="quick")
    asked.add_argument("--preset", default="ae_small", help="presets/model/<name>.yaml")
    asked.add_argument("--rows", type=int, default=2_000, help="generated apps")
    asked.add_argument("--epochs", type=int, default=5)
    asked.add_argument("--output", type=Path, help="also write the document here")
    asked.add_argument("--compare", type=Path, help="a document of an earlier run")
    told = asked.parse_args()
    model = made(told.preset, rows=told.rows, epochs=told.epochs)
    before = json.loads(told.compare.read_text())["benchmark"] if told.compare else None
    earlier = HostBenchmark.rows_in(json.dumps(before).encode()) if before else ()
    load, began = os.getloadavg()[0], time.monotonic()
    measured = benchmark_host(
        [model],
        lake_commit="none: benchmarks/phone.py",
        mode=MODES[told.mode],
        seed=7,
        before=earlier,
        progress=lambda words: print(f"{time.monotonic() - began:6.1f} s {words}", file=sys.stderr),
    )
    promises = kept(measured, time.monotonic() - began)
    document = {
        "protocol_version": PROTOCOL_VERSION,
        "load_average_before": round(load, 2),
        "promises": promises,
        "benchmark": measured.model_dump(mode="json"),
    }
    text = json.dumps(document, indent=1, sort_keys=True)
    if told.output:
        told.output.write_text(text + "\n")
    print(text)
    for row in measured.rows:
        print(
            f"{row.artifact:<36}{row.p50_us:>8.1f}{row.p99_us:>9.1f} µs{row.floor_ratio or 0:>6.2f} ×"
            f"{_change(measured, row.artifact):>9}  {'; '.join(row.reasons)}",
            file=sys.stderr,
        )
    for promise in promises:
        print(f"{'kept' if promise['kept'] else 'NOT KEPT':<9}{promise['what']}: {promise['figure']}", file=sys.stderr)
    return not all(promise["kept"] for promise in promises)


if __name__ == "__main__":
    sys.exit(main())
