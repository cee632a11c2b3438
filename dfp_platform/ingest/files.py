"""Rows of a file at hand, read through the same border as a landing, without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.ingest.contract import Border
from dfp_platform.ingest.sources.file import deliver
from dfp_platform.ingest.sources.request import Request

if TYPE_CHECKING:
    import pyarrow as pa


def landed_rows(file: Path) -> Iterator[pa.Table]:
    """The rows of a KronoDroid CSV, or of a zip that holds one, under their landed names, block by block.

    Raises:
        InputError: the file, or a row of it, breaks the contract; implausible dates are left empty instead.
    """
    delivered = deliver(Request(device="real_device", rows=0, seed=0, cache=file.parent, path=file))
    for rows in Border(implausible_dates="null").passed(delivered.batches):
        yield rows.to_arrow()
