"""Rows of benchmarks for tests, told by what differs."""

from __future__ import annotations

from typing import Any

from dfp_platform.mobile.row import BenchmarkRow

ROW: dict[str, Any] = {
    "kind": "host",
    "device": "a <fast> processor",
    "soc": "a <fast> processor",
    "os_build": "Linux x86_64, Python 3.11",
    "runtime": "LiteRT",
    "exporter": "litert",
    "model": "autoencoder",
    "artifact": "autoencoder_litert",
    "precision": "fp32",
    "artifact_sha256": "ab" * 32,
    "lake_commit": "cd" * 20,
    "protocol_version": "1",
    "mode": "quick",
    "threads": 1,
    "core": 1,
    "delegate": "XNNPACK",
    "queries": 2_048,
    "seconds": 0.02,
    "warm_up": 128,
    "p50_us": 9.0,
    "p90_us": 10.0,
    "p99_us": 12.0,
    "p999_us": 20.0,
    "max_us": 30.0,
    "throughput_apps_s": 110_000.0,
    "batch": 1_024,
    "size_bytes": 515_204,
    "floor_p50_us": 7.0,
    "floor_ratio": 1.29,
    "noise": 0.02,
    "preemptions": 0,
    "valid": True,
    "first_us": 110.0,
    "cold_load_ms": 1.2,
    "cold_loads": 3,
    "import_ms": 6.0,
    "baseline_memory_bytes": 60_000_000,
    "peak_memory_bytes": 63_500_000,
}


def row(**changed: Any) -> BenchmarkRow:
    """A row; a reason makes it invalid, and an artifact's name tells its exporter and precision."""
    if changed.get("reasons"):
        changed["valid"] = False
    return BenchmarkRow.model_validate({**ROW, **changed})


def quality(artifact: str, sha256: str, *, change: float | None = 0.0, passed: bool = True) -> dict[str, Any]:
    """What the host's report tells of an artifact's answers, as JSON."""
    parity = {"passed": passed, "roc_auc_change": change, "flipped_apps": 2}
    return {
        "artifact": artifact,
        "artifact_sha256": sha256,
        "apps": 600,
        "roc_auc": 0.9,
        "average_precision": 0.7,
        "parity": parity,
    }
