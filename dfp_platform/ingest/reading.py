"""Tables as they lie in files, every cell as text: what a cell means is decided later, so that it can be named."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from dfp_platform.errors import InputError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

BLOCK_BYTES = 8 << 20
"""CSV text read at a time; about 7,000 rows."""

BLOCK_ROWS = 8192
"""Parquet rows read at a time."""

Opener = Callable[[], BinaryIO]
"""Opens the same bytes anew each time."""

_AGAIN = "take the file again from its publisher"


@dataclass(frozen=True, slots=True)
class Table:
    """One table that can be read again and again.

    Attributes:
        name: what errors call it.
        header: its column names; raises InputError for a file that is empty or no table.
        texts: its rows in order as frames of strings, of all columns or of the named ones.
    """

    name: str
    header: Callable[[], list[str]]
    texts: Callable[[Sequence[str] | None], Iterator[pl.DataFrame]]


def csv_table(name: str, open_: Opener) -> Table:
    """The table in a CSV file in UTF-8."""
    return Table(name, lambda: _csv_header(name, open_), lambda columns: _csv_texts(name, open_, columns))


@dataclass(frozen=True, slots=True)
class Cut:
    """Some whole rows of a CSV: where their bytes begin and end in the file, and how many rows lie before them."""

    start: int
    end: int
    before: int


def csv_cuts(name: str, open_: Opener, *, least: int) -> Iterator[Cut]:
    """A CSV cut between rows, into pieces of `least` bytes or a block more; read once, from start to end.

    Raises InputError for a file that is empty or no table, and for a row with too few or too many cells.
    """
    with open_() as stream:
        records = _records(name, stream)
        header = next(records, b"")
        names = _header_names(name, header)
        start = end = len(header)
        before = rows = 0
        for block in records:
            rows += _parsed(name, block, names, names[:1], rows).num_rows
            end += len(block)
            if end - start >= least:
                yield Cut(start, end, before)
                start, before = end, rows
        if rows > before:
            yield Cut(start, end, before)


def csv_piece(name: str, open_: Opener, names: Sequence[str], cut: Cut) -> Table:
    """The rows of one cut of a CSV whose header is `names`."""

    def texts(columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
        with open_() as stream:
            stream.seek(cut.start)
            within = cast(BinaryIO, _Within(stream, cut.end - cut.start))
            yield from _texts(name, _records(name, within, header=False), list(names), columns, cut.before)

    return Table(name, lambda: list(names), texts)


def parquet_table(name: str, open_: Opener) -> Table:
    """The table in a Parquet file; numbers and dates become the text a CSV would hold."""
    return Table(name, lambda: _parquet_header(open_), lambda columns: _parquet_texts(open_, columns))


def _csv_header(name: str, open_: Opener) -> list[str]:
    with open_() as stream:
        return _header_names(name, next(_records(name, stream), b""))


def _header_names(name: str, line: bytes) -> list[str]:
    try:
        names = next(csv.reader(io.StringIO(line.decode("utf-8-sig"), newline="")), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{name} is not a CSV: its first line cannot be read as text",
            hint="give a CSV file in UTF-8, or a zip that holds one",
            file=name,
        ) from error
    if not names:
        raise InputError(f"{name} is empty", hint="give a KronoDroid CSV; its first line names 486 columns", file=name)
    return names


def _records(name: str, stream: BinaryIO, *, header: bool = True) -> Iterator[bytes]:
    """The bytes of a CSV, cut between rows: first the header unless it was read before, then blocks of whole rows.

    A line break counts only where all quotes before it are closed; every published `Package` holds one inside quotes.
    """
    rest = b""
    while chunk := stream.read(BLOCK_BYTES):
        rest += chunk
        if header:
            end = _row_end(rest, first=True)
            if end:
                yield rest[:end]
                rest, header = rest[end:], False
        end = _row_end(rest, first=False)
        if end and not header:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > 4 * BLOCK_BYTES:
            raise InputError(
                f"{name}: a quote is opened and never closed, or this is no CSV",
                hint=f"close the quote, or {_AGAIN}",
                file=name,
            )
    if rest:
        yield rest


def _row_end(text: bytes, *, first: bool) -> int:
    """Where the first or last complete row of `text` ends; 0 if none does. `text` begins with a row."""
    find = text.find if first else text.rfind
    end = find(b"\n")
    while end >= 0 and text.count(b'"', 0, end) % 2:
        end = find(b"\n", end + 1) if first else find(b"\n", 0, end)
    return end + 1


def _csv_texts(name: str, open_: Opener, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    with open_() as stream:
        records = _records(name, stream)
        names = _header_names(name, next(records, b""))
        yield from _texts(name, records, names, columns, 0)


def _texts(
    name: str, blocks: Iterator[bytes], names: list[str], columns: Sequence[str] | None, done: int
) -> Iterator[pl.DataFrame]:
    """The rows of blocks of whole rows; `done` rows lie before them in the file."""
    import polars as pl

    for block in blocks:
        rows = _parsed(name, block, names, columns, done)
        done += rows.num_rows
        yield pl.DataFrame(pl.from_arrow(rows))


class _Within:
    """The next `length` bytes of a stream, and then its end."""

    def __init__(self, stream: BinaryIO, length: int) -> None:
        self._stream, self._left = stream, length

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk


def _parsed(name: str, block: bytes, names: list[str], columns: Sequence[str] | None, done: int) -> pa.Table:
    """One block of whole rows; those before it are `done`.

    Arrow reads from memory only: its reader threads must never call Python, where an error would end the process.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    ragged: list[tuple[int, int]] = []

    def refuse(row: arrow_csv.InvalidRow) -> str:
        ragged.append((done + row.number, row.actual_columns))
        return "error"

    try:
        return arrow_csv.read_csv(
            pa.BufferReader(block),
            read_options=arrow_csv.ReadOptions(block_size=len(block) + 1, use_threads=False, column_names=names),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
            convert_options=arrow_csv.ConvertOptions(
                column_types={column: pa.string() for column in names},
                strings_can_be_null=False,
                include_columns=list(columns or ()),
            ),
        )
    except pa.ArrowInvalid as error:
        raise _unreadable(name, ragged, names, done, error) from error


def _unreadable(file: str, ragged: list[tuple[int, int]], names: list[str], done: int, error: Exception) -> InputError:
    """The error for text that is no CSV of this header, with the place where one is known."""
    if ragged:
        row, found = ragged[0]
        return InputError(
            f"{file}: row {row} has {found} cells where the header names {len(names)}",
            hint=f"the file may be cut off, or the row has a stray comma or quote: mend the row, or {_AGAIN}",
            file=file,
            row=row,
        )
    if place := re.search(r"CSV column #(\d+): Row #(\d+): .*UTF8", str(error)):
        column, row = names[int(place[1])], done + int(place[2])
        return InputError(
            f"{file}: row {row}, column {column!r} holds bytes that are not UTF-8 text",
            hint=f"save the file as UTF-8, or {_AGAIN}",
            file=file,
            row=row,
            column=column,
        )
    return InputError(f"{file} cannot be read as a CSV after row {done}: {error}", hint=_AGAIN, file=file)


def _parquet_header(open_: Opener) -> list[str]:
    from pyarrow import parquet

    with open_() as stream:
        names = parquet.ParquetFile(stream).schema_arrow.names
    return [name for name in names if not name.startswith("__index_level_")]  # pandas' row numbers


def _parquet_texts(open_: Opener, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    import polars as pl
    import pyarrow as pa
    from polars import selectors
    from pyarrow import parquet

    wanted = list(columns or _parquet_header(open_))
    with open_() as stream:
        for batch in parquet.ParquetFile(stream).iter_batches(BLOCK_ROWS, columns=wanted):
            frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch]))).select(wanted)
            dates = frame.with_columns(selectors.datetime().dt.date())
            yield dates.with_columns(pl.all().cast(pl.String).fill_null(""))
