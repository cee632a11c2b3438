"""Rows that the Android lab wrote, as rows of the benchmark: `dfp device run` lays them beneath ``<home>/devices``."""

from __future__ import annotations

from pathlib import Path

from dfp_platform.mobile.device_row import benchmark_fields, read_rows
from dfp_platform.mobile.row import BenchmarkRow

FOLDER = "devices"
"""Beneath the home folder."""


def rows_in(folder: Path) -> tuple[BenchmarkRow, ...]:
    """The rows in a folder and those beneath, sorted by `place`; none where there is no such folder.

    What the lab tells beyond them (charging, headroom, the app's version) stays in its own files. An artifact that was
    measured again on a device stands with its newest row.

    Raises:
        InputError: a file holds no row of the lab.
    """
    if not folder.exists():
        return ()
    newest = {}
    for told in read_rows(folder):  # in the order of sessions, which begin with their time
        row = BenchmarkRow.model_validate(benchmark_fields(told))
        newest[(*row.place, row.artifact_sha256)] = row
    return tuple(row for _, row in sorted(newest.items()))
