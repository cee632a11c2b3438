"""Rows that the Android lab wrote, as rows of the benchmark: `dfp device` lays them beneath ``<home>/devices``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfp_platform.mobile.row import BenchmarkRow, rows_of

FOLDER = "devices"
"""Beneath the home folder."""

_KILOBYTE = 1_024
_SAME = set(BenchmarkRow.model_fields) - {"device", "os_build", "core", "soc", "peak_memory_bytes", "energy_uj"}


def rows_in(folder: Path) -> tuple[BenchmarkRow, ...]:
    """The rows of all JSON files in a folder and those beneath; none where there is no such folder.

    Raises:
        InputError: a file holds no row of a benchmark.
    """
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}
    return rows_of(files, translate=translated)


def translated(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of docs/schemas/device_row.json by the names of docs/schemas/benchmark_row.json; any other as it is.

    What the lab tells beyond them (charging, headroom, the app's version) stays in its own file.
    """
    if "android" not in told or "manufacturer" not in told:
        return told
    memory = told.get("peak_memory_kb")
    return {
        **{key: value for key, value in told.items() if key in _SAME},
        "device": f"{told['manufacturer']} {told.get('device', '')}".strip(),
        "soc": told.get("soc") or "unknown",
        "os_build": f"Android {told['android']}, {told.get('build', 'unknown build')}",
        "core": None,
        "cold_loads": len(told.get("cold_loads_ms", ())),
        "peak_memory_bytes": None if memory is None else memory * _KILOBYTE,
        "temperature_before_c": told.get("battery_celsius_before"),
        "temperature_after_c": told.get("battery_celsius_after"),
        "battery_percent": told.get("battery_level_percent"),
    }
