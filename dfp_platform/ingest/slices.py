"""Files cut into slices of whole rows, so that many processes can read a data set too large for one.

Each slice passes the same border as a landing, and names the same rows in its errors. That no app lands twice spans
slices: whoever puts their rows together sees to that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from dfp_platform.catalog.storage import storage_properties
from dfp_platform.errors import InputError
from dfp_platform.ingest.columns import Column, arrow_schema, columns_with
from dfp_platform.ingest.contract import Border, ImplausibleDates
from dfp_platform.ingest.landing import completed
from dfp_platform.ingest.offences import Offence, rejection
from dfp_platform.ingest.origin import InputFile, input_file
from dfp_platform.ingest.published import Batch, batches, matched, without_rows
from dfp_platform.ingest.reading import Cut, Table, csv_cuts, csv_piece, csv_table
from dfp_platform.ingest.zips import is_zip, only_table, whole

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from dfp_platform.catalog import RowSum

SLICE_BYTES = 128 << 20
"""CSV text of one slice, about 110,000 rows; what a process holds at a time is a block of it, 8 MB."""

_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of a file.

    Attributes:
        address: path or address of the file, equal for every process that reads of it.
        file: what errors call it.
        header: its column names.
        cut: where the rows lie; None: the whole file, as a zip cannot be cut.
    """

    address: str
    file: str
    header: tuple[str, ...]
    cut: Cut | None


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms rows land; see `land`."""

    implausible_dates: ImplausibleDates = "reject"
    new_syscalls: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """What rows land as."""
        return columns_with(self.new_syscalls)


@dataclass(frozen=True, slots=True)
class Passed:
    """Rows that would land: how many and which, as a sum, and how many dates would be missing."""

    rows: RowSum
    dates_dropped: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file is: its digest and size, and its rows in slices, in order."""

    file: InputFile
    slices: tuple[Slice, ...]


def survey(address: str, *, terms: Terms, least: int = SLICE_BYTES) -> Survey:
    """Read a file once: take its digest, match its columns, and cut it.

    Args:
        address: path of a CSV or of a zip with one, or address of a CSV in a store that pyiceberg knows (``s3://…``).
        least: bytes of CSV text in a slice, but for the last one.
    Raises:
        InputError: the file is not there, is empty, its columns are not KronoDroid's, or a row has too few or too many
            cells.
    """
    name = address.rpartition("/")[2]
    with _open(address):
        pass
    if "://" not in address and is_zip(Path(address)):
        table = only_table(Path(address))
        matched(table.header(), file=table.name, new_syscalls=terms.new_syscalls)
        return Survey(input_file(Path(address)), (Slice(address, table.name, tuple(table.header()), None),))
    header = csv_table(name, lambda: _open(address)).header()
    matched(header, file=name, new_syscalls=terms.new_syscalls)
    read = _Digested(_open(address))
    cuts = list(csv_cuts(name, lambda: cast(BinaryIO, read), least=least))
    if not cuts:
        raise without_rows(name)
    file = InputFile(name, read.digest.hexdigest(), read.size)
    return Survey(file, tuple(Slice(address, name, tuple(header), cut) for cut in cuts))


def landed(slice_: Slice, *, terms: Terms) -> Iterator[pa.Table]:
    """The rows of a slice as they land, a few thousand at a time. Raises InputError as a landing of them would."""
    yield from _through(_border(terms), slice_, terms)


def judged(slice_: Slice, *, terms: Terms) -> Passed | InputError:
    """Which rows of a slice would land, or what keeps them from it."""
    from dfp_platform.catalog import RowSum, sum_rows

    border = _border(terms)
    try:
        rows = sum((sum_rows(table) for table in _through(border, slice_, terms)), RowSum())
    except InputError as error:
        return error
    return Passed(rows, border.dates_dropped)


def digests(slice_: Slice) -> Iterator[pl.DataFrame]:
    """The apps of a slice: columns `row`, its number in the file, and `sha256`; without what is no digest."""
    import polars as pl

    row = slice_.cut.before + 1 if slice_.cut else 1
    for cells in _table(slice_).texts(["sha256"]):
        numbered = cells.with_columns(pl.col("sha256").str.strip_chars().str.to_lowercase()).with_row_index("row", row)
        row += cells.height
        yield numbered.filter(pl.col("sha256").str.len_bytes() == _DIGITS).cast({"row": pl.Int64})


def refusal(found: Sequence[Passed | InputError], repeats: Sequence[Offence], *, repeated: int) -> InputError | None:
    """One error for all that keeps the rows of a data set from landing; None: nothing does.

    Args:
        found: what was judged of each slice, in order.
        repeats: the first apps that an earlier row holds already.
        repeated: how many there are.
    """
    offences: list[Offence] = []
    count = repeated
    for error in found:
        if not isinstance(error, InputError):
            continue
        if "offences" not in error.fields:  # the text itself is broken
            if not offences:
                return error
            break
        offences += error.fields["offences"]
        count += error.fields["count"]
    offences += repeats
    return rejection(offences, count=count) if offences else None


def _border(terms: Terms) -> Border:
    return Border(implausible_dates=terms.implausible_dates, unique=False)


def _through(border: Border, slice_: Slice, terms: Terms) -> Iterator[pa.Table]:
    schema = arrow_schema(terms.columns)
    for rows in completed(border.passed(_batches(slice_, terms)), terms.columns):
        yield rows.to_arrow().cast(schema)


def _batches(slice_: Slice, terms: Terms) -> Iterator[Batch]:
    before = slice_.cut.before if slice_.cut else 0
    with whole(slice_.file.partition("/")[0]):
        yield from batches(_table(slice_), before=before, new_syscalls=terms.new_syscalls)


def _table(slice_: Slice) -> Table:
    if slice_.cut is None:
        return only_table(Path(slice_.address))
    return csv_piece(slice_.file, lambda: _open(slice_.address), slice_.header, slice_.cut)


def _open(address: str) -> BinaryIO:
    try:
        if "://" not in address:
            return Path(address).open("rb")
        from pyiceberg.io import load_file_io

        return cast(BinaryIO, load_file_io(storage_properties(), address).new_input(address).open())
    except OSError as error:
        raise InputError(
            f"{address} cannot be read: {error}",
            hint="name a file by a path or address under which every machine that works on it finds it",
            file=address.rpartition("/")[2],
        ) from error


class _Digested:
    """A stream that knows the digest and the size of what was read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        self.digest.update(chunk)
        self.size += len(chunk)
        return chunk

    def __enter__(self) -> _Digested:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
