"""Reads KronoDroid as it is published: CSV text in, landed names and types out, batch by batch.

Two forms exist. The 486-column form ends in `Categories`, `Highest-date`, `year_month`, `Year`. The publishers' four
archives have 484 columns instead (483 in `emu_malware_v1.csv`): another name for the date, written ``M/D/YYYY``, no
categories, and empty or ``None`` where a package could not be taken apart.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from dfp_platform.errors import InputError
from dfp_platform.ingest.columns import (
    ARCHIVE_DATES,
    ARCHIVE_EXTRAS,
    ARCHIVE_OPTIONAL,
    COLUMNS,
    DERIVED_IN_ARCHIVES,
    LANDED_NAMES,
    PUBLISHED_HEADER,
    Column,
    landed_schema,
)

if TYPE_CHECKING:
    import polars as pl

BLOCK_BYTES = 8 << 20
"""Text read at a time; about 7,000 rows."""

_NOTHING = ("", "None", "none", "nan", "NaN", "null", "NULL")
"""How the published files write a missing value."""

_DATE_FORMS = ("%Y-%m-%d", "%m/%d/%Y")


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV that can be opened again and again: by itself, or inside a zip. `name` is what errors call it."""

    name: str
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one file in landed names and types, and the cells that could not be read as such.

    Attributes:
        file: the file's name.
        first_row: number of its first row; 1 is the first data row of the file.
        rows: landed columns in landed order; an unreadable cell is null.
        named: landed name → the file's own name of the column.
        unread: landed name → row index within the batch → the text that is no value of that column.
    """

    file: str
    first_row: int
    rows: pl.DataFrame
    named: Mapping[str, str]
    unread: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


def header(file: CsvFile) -> list[str]:
    """The column names a file starts with. Raises InputError for an empty file and for one that is no text."""
    with file.open() as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        try:
            names = next(csv.reader(text), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(
                f"{file.name} is not a CSV: its first line cannot be read as text",
                hint="give a CSV file in UTF-8, or a zip that holds one",
                file=file.name,
            ) from error
    if not names:
        raise InputError(
            f"{file.name} is empty", hint="give a KronoDroid CSV; its first line names 486 columns", file=file.name
        )
    return names


def matched(names: list[str], *, file: str) -> dict[str, str | None]:
    """Which of the file's columns becomes which landed one; None where the file has nothing for it.

    Raises:
        InputError: a column is missing, unknown or there twice; `column` names the first, `columns` all.
    """
    archived = next((name for name in ARCHIVE_DATES if name in names), None)
    if archived is None:
        wanted, optional, ignored = set(PUBLISHED_HEADER), set(), set()
    else:
        wanted = (set(PUBLISHED_HEADER) - DERIVED_IN_ARCHIVES) | {archived}
        optional, ignored = ARCHIVE_OPTIONAL, ARCHIVE_EXTRAS
    known = {column.published: column.published for column in COLUMNS} | {"Highest-date": archived or "Highest-date"}
    _refuse([name for name, times in Counter(names).items() if times > 1], "is there twice", "keep one of them", file)
    _refuse(
        [name for name in known.values() if name in wanted and name not in names and name not in optional],
        "is missing",
        "add the column, or take the file again from its publisher",
        file,
    )
    _refuse(
        [name for name in names if name not in wanted and name not in ignored],
        "is not a KronoDroid column",
        "remove the column",
        file,
    )
    return {column.landed: found if (found := known[column.published]) in names else None for column in COLUMNS}


def _refuse(columns: list[str], problem: str, step: str, file: str) -> None:
    if columns:
        more = f" (and {len(columns) - 1} more: {', '.join(columns[1:4])}…)" if len(columns) > 1 else ""
        raise InputError(
            f"{file}: column {columns[0]!r} {problem}{more}",
            hint=f"{step}; {file} has to have the published columns, in any order",
            file=file,
            column=columns[0],
            columns=columns,
        )


def batches(file: CsvFile) -> Iterator[Batch]:
    """The rows of one CSV in their order, a few thousand at a time.

    Raises:
        InputError: the file is empty or has no rows, its columns are not KronoDroid's, a row has too few or too many
            cells, or the text ends or breaks in the middle.
    """
    source = matched(header(file), file=file.name)
    first_row = 1
    for cells in _text_batches(file):
        yield _landed(cells, source, file=file.name, first_row=first_row)
        first_row += cells.height
    if first_row == 1:
        raise InputError(
            f"{file.name} has a header and no rows", hint="give a file with at least one app", file=file.name
        )


def _text_batches(file: CsvFile) -> Iterator[pl.DataFrame]:
    """Every cell as text; rows that do not fit the header are refused by number."""
    import polars as pl
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = header(file)
    ragged: list[tuple[int, int]] = []

    def refuse(row: arrow_csv.InvalidRow) -> str:
        ragged.append((row.number - 1, row.actual_columns))  # arrow counts the header as row 1
        return "error"

    with file.open() as stream:
        try:
            for batch in arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={name: pa.string() for name in names}, strings_can_be_null=False
                ),
            ):
                if batch.num_rows:
                    yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch]).rename_columns(names)))
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return  # a header and nothing after it: `batches` says so
            raise _unreadable(file.name, ragged, names, error) from error


def _unreadable(file: str, ragged: list[tuple[int, int]], names: list[str], error: Exception) -> InputError:
    """The error for text that is no CSV of this header, with the place where one is known."""
    again = "take the file again from its publisher"
    if ragged:
        row, found = ragged[0]
        return InputError(
            f"{file}: row {row} has {found} cells where the header names {len(names)}",
            hint=f"the file may be cut off, or the row has a stray comma or quote: mend the row, or {again}",
            file=file,
            row=row,
        )
    if place := re.search(r"CSV column #(\d+): Row #(\d+): .*UTF8", str(error)):
        column, row = names[int(place[1])], int(place[2]) - 1
        return InputError(
            f"{file}: row {row}, column {column!r} holds bytes that are not UTF-8 text",
            hint=f"save the file as UTF-8, or {again}",
            file=file,
            row=row,
            column=column,
        )
    return InputError(f"{file} cannot be read as a CSV: {error}", hint=again, file=file)


def _landed(cells: pl.DataFrame, source: Mapping[str, str | None], *, file: str, first_row: int) -> Batch:
    """One batch of text under landed names and types."""
    import polars as pl

    schema = landed_schema()
    rows = cells.select(_typed(column, source[column.landed], schema[column.landed]) for column in COLUMNS)
    if source["year"] is None:
        rows = rows.with_columns(
            pl.col("highest_date").dt.month_start().alias("year_month"),
            pl.col("highest_date").dt.year().alias("year"),
        ).select(LANDED_NAMES)
    named = {landed: name or landed for landed, name in source.items()}
    if (dated := source["highest_date"]) in ARCHIVE_DATES:
        named |= {"year": dated, "year_month": dated}
    return Batch(file, first_row, rows, named, _unread(cells, rows, source))


def _typed(column: Column, name: str | None, dtype: pl.DataType) -> pl.Expr:
    """A column of text as its landed type; what cannot be read becomes null and is found again by `_unread`."""
    import polars as pl

    if name is None:
        return pl.lit(None, dtype=dtype).alias(column.landed)
    text = pl.col(name)
    if column.landed == "package":
        return text.alias("package")  # byte for byte, with its line break; staging tidies it
    text = text.str.strip_chars()
    if column.landed == "sha256":
        value = text.str.to_lowercase()
    elif column.kind == "string":
        value = pl.when(text.is_in(_NOTHING)).then(None).otherwise(text)
    elif column.kind == "date":
        value = pl.coalesce(text.str.to_date(form, strict=False) for form in _DATE_FORMS)
    elif column.kind == "float64":
        value = text.cast(dtype, strict=False)
        value = pl.when(value.is_finite()).then(value)
    else:
        number = text.cast(pl.Float64, strict=False)  # "3.0" is what a column with gaps looks like after pandas
        whole = pl.when(number.is_finite() & (number == number.round())).then(number)
        value = text.cast(dtype, strict=False).fill_null(whole.cast(dtype, strict=False))
    return value.alias(column.landed)


def _unread(cells: pl.DataFrame, rows: pl.DataFrame, source: Mapping[str, str | None]) -> dict[str, dict[int, str]]:
    """Cells that held something, yet landed as null."""
    found = {}
    for landed, nulls in rows.null_count().row(0, named=True).items():
        name = source[landed]
        if not nulls or name is None:
            continue
        indices = (rows[landed].is_null() & ~cells[name].str.strip_chars().is_in(_NOTHING)).arg_true()
        if len(indices):
            found[landed] = dict(zip(indices, cells[name][indices], strict=True))
    return found
