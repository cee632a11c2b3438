"""Rows from a file of yours: a CSV, or a zip that holds one. They are apps of the real device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.errors import InputError
from dfp_platform.ingest.columns import arrow_schema
from dfp_platform.ingest.contract import Border, ImplausibleDates
from dfp_platform.ingest.origin import Origin, input_file
from dfp_platform.ingest.published import Batch, batches
from dfp_platform.ingest.reading import csv_table
from dfp_platform.ingest.sources.request import Delivery, Request
from dfp_platform.ingest.zips import is_zip, only_table, whole

if TYPE_CHECKING:
    import pyarrow as pa


def deliver(request: Request) -> Delivery:
    """The file's rows for the real device; nothing for the emulator.

    Raises InputError where the file is not there, is empty, or is a broken zip.
    """
    path = _present(request.path)
    if request.device != "real_device":
        return Delivery(Origin("file", synthetic=False, note=f"{path.name} holds the real device only"), iter(()))
    origin = Origin("file", synthetic=False, files=(input_file(path),), note=f"rows of {path.name}")
    return Delivery(origin, _batches(path, request.new_syscalls))


def landed_rows(path: Path, *, implausible_dates: ImplausibleDates = "null") -> Iterator[pa.Table]:
    """The rows of a file as they would land, a few thousand at a time, without landing them.

    Raises InputError as a landing of the file would; dates that no app can have are missing unless told otherwise.
    """
    for rows in Border(implausible_dates=implausible_dates).passed(_batches(_present(path))):
        yield rows.to_arrow().cast(arrow_schema())


def _batches(path: Path, new_syscalls: Sequence[str] = ()) -> Iterator[Batch]:
    table = only_table(path) if is_zip(path) else csv_table(path.name, lambda: path.open("rb"))
    with whole(path.name):
        yield from batches(table, new_syscalls=new_syscalls)


def _present(path: Path | None) -> Path:
    if path is None:
        raise InputError("no file was named", hint="give the path of a CSV or a zip as the source", file="")
    if not path.is_file():
        raise InputError(
            f"{path} is not a file",
            hint="check the path; sources without a path are auto, sample, archives and kaggle",
            file=path.name,
        )
    if not path.stat().st_size:
        raise InputError(
            f"{path.name} is empty", hint="give a KronoDroid CSV; its first line names 486 columns", file=path.name
        )
    return path
