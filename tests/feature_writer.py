"""A process that writes a version and tells how far it is, for tests that kill it or take its disk away.

Run: ``python -m tests.feature_writer FOLDER URL LAYOUT APPS`` (an empty URL: SQLite in FOLDER).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from dfp_platform.features.interface import Materialized, Rows
from dfp_platform.features.keeper import index_of
from dfp_platform.features.redis_versions import RedisVersions
from dfp_platform.features.sqlite_versions import SqliteVersions
from dfp_platform.features.versions import VersionStore

WIDTH = 64


def made_rows(apps: int, *, later: int = 0) -> Rows:
    """App n was true at n microseconds, or `later`."""
    matrix = np.arange(apps * WIDTH, dtype=np.float32).reshape(apps, WIDTH)
    return Rows([f"app{app}" for app in range(apps)], np.arange(apps, dtype=np.int64) + later, matrix)


def about(version: str, apps: int) -> Materialized:
    names = tuple(f"sys_f{place}" for place in range(WIDTH))
    return Materialized(version, apps, names, "hash", "c0", written="2026-01-01T00:00:00+00:00")


def write(store: VersionStore, version: str, apps: int, *, pause: float = 0.0, later: int = 0) -> Materialized:
    def wrote(count: int) -> None:
        print("wrote", count, flush=True)
        time.sleep(pause)

    rows = made_rows(apps, later=later)
    return store.write(about(version, apps), rows, index_of(rows), base=None, wrote=wrote)


if __name__ == "__main__":
    folder, url, layout, apps = sys.argv[1:5]
    written_to = RedisVersions(url, layout=layout) if url else SqliteVersions(Path(folder))
    write(written_to, "half", int(apps), pause=0.3)
    print("whole", flush=True)
