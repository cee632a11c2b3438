"""Reading every table of a lake again, at every commit that a ref reaches, to say what is missing or damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import InputFile

from dfp_platform.catalog.reached import ReachedFiles, TableFile
from dfp_platform.catalog.warehouse import Warehouse
from dfp_platform.lake.interface import Lake
from dfp_platform.lake.retention import kept_commits
from dfp_platform.lake.sweeper import SweepProgress

_FOLLOWED = ("metadata", "manifest list", "manifest")
"""Kinds that are read whole while they are followed, so that what is wrong with them is known by then."""

_PUFFIN = b"PFA1"


def table_damages(lake: Lake, *, progress: SweepProgress | None = None) -> Sequence[str]:
    """One sentence for each file of a table that is missing, has another length than its manifest states, or whose
    format cannot be opened (a parquet footer that does not parse).

    Rows themselves are not read: Iceberg keeps no checksum of a data file.
    """
    found: list[str] = []
    Warehouse(lake).restore_aside()
    for number, file in enumerate(ReachedFiles(lake, broken=found.append).of(kept_commits(lake)), start=1):
        found += _damage(file)
        if progress is not None and number % 200 == 0:
            progress("verifying table files", number, 0)
    return found


def _damage(file: TableFile) -> Iterator[str]:
    if file.kind == "former metadata":
        return
    place = f"{file.owner}: {file.kind} {file.location}"
    source = file.io.new_input(file.location)
    try:
        if not source.exists():
            if file.kind not in _FOLLOWED:
                yield f"{place} is missing"
            return
        if file.size is not None and (actual := len(source)) != file.size:
            yield f"{place} should have {file.size} bytes, has {actual}"
        else:
            yield from _format_damage(file, source, place)
    except OSError as error:
        yield f"{place} cannot be read: {error}"


def _format_damage(file: TableFile, source: InputFile, place: str) -> Iterator[str]:
    with source.open() as stream:
        if file.format == "parquet":
            try:
                pq.read_metadata(stream)
            except (pa.ArrowInvalid, OSError) as error:
                yield f"{place} is no parquet file: {error}"
        elif (file.format == "puffin" or file.kind == "statistics") and stream.read(4) != _PUFFIN:
            yield f"{place} is no puffin file"
