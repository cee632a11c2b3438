"""What the tests of garbage collection share: a past to write in, files that look old, collections that delete."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.catalog.collection import Collected, collect_garbage
from dfp_platform.lake import Lake, open_lake

DAY = 86_400.0


@contextmanager
def days_ago(days: float = 3.0) -> Iterator[None]:
    """What is committed inside was committed then."""
    with pytest.MonkeyPatch.context() as patch:
        now = time.time
        patch.setattr(time, "time", lambda: now() - days * DAY)
        yield


def age(lake: Lake, days: float = 3.0) -> None:
    """Make every file look as if it had been written days ago."""
    then = time.time() - days * DAY
    for file in Path(lake.uri).rglob("*"):
        with suppress(FileNotFoundError):
            if file.is_file():
                os.utime(file, (then, then))


def swept(lake: Lake, **options: float) -> Collected:
    """A collection that deletes, by a lake opened for it alone."""
    return collect_garbage(open_lake(lake.uri), delete=True, **options)


def rows(*numbers: int) -> pa.Table:
    return pa.table({"number": pa.array(numbers, pa.int64())})


def numbers(lake: Lake, ref: str, table: str = "marts.apps") -> list[int]:
    return sorted(open_catalog(lake, ref).load_table(table).scan().to_arrow()["number"].to_pylist())


def table_files(lake: Lake) -> set[str]:
    return {str(file) for file in Path(lake.warehouse).rglob("*") if file.is_file()}
