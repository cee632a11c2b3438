"""Reads KronoDroid as it is published: CSV text in, landed names and types out, batch by batch.

Two forms exist. The 486-column form ends in `Categories`, `Highest-date`, `year_month`, `Year`. The publishers' four
archives have 484 columns instead (483 in `emu_malware_v1.csv`): another name for the date, written ``M/D/YYYY``, no
categories, and empty or ``None`` where a package could not be taken apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dfp_platform.errors import InputError
from dfp_platform.ingest.columns import (
    ARCHIVE_DATES,
    ARCHIVE_EXTRAS,
    ARCHIVE_OPTIONAL,
    COLUMNS,
    DERIVED_IN_ARCHIVES,
    PUBLISHED_HEADER,
    Column,
    columns_with,
    landed_schema,
)
from dfp_platform.ingest.reading import Table

if TYPE_CHECKING:
    import polars as pl

_NOTHING = ("", "None", "none", "nan", "NaN", "null", "NULL")
"""How the published files write a missing value."""

_DATE_FORMS = ("%Y-%m-%d", "%m/%d/%Y")


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one file in landed names and types, and the cells that could not be read as such.

    Attributes:
        file: the file's name.
        numbers: the number of each row in the file; 1 is the first one beneath the header.
        rows: landed columns in landed order; an unreadable cell is null.
        named: landed name → the file's own name of the column.
        unread: landed name → row index within the batch → the text that is no value of that column.
    """

    file: str
    numbers: Sequence[int]
    rows: pl.DataFrame
    named: Mapping[str, str]
    unread: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def keeping(self, kept: pl.Series) -> Batch:
        """The batch without the rows for which `kept` is false."""
        indices = kept.arg_true().to_list()
        moved = {old: new for new, old in enumerate(indices)}
        unread = {
            column: {moved[index]: text for index, text in cells.items() if index in moved}
            for column, cells in self.unread.items()
        }
        return replace(
            self, numbers=[self.numbers[index] for index in indices], rows=self.rows.filter(kept), unread=unread
        )


def matched(names: list[str], *, file: str, new_syscalls: Sequence[str] = ()) -> dict[str, str | None]:
    """Which of the file's columns becomes which landed one; None where the file has nothing for it.

    Args:
        new_syscalls: published names of system calls that the file may count beyond the known ones.
    Raises:
        InputError: a column is missing, unknown or there twice; `column` names the first, `columns` all.
    """
    archived = next((name for name in ARCHIVE_DATES if name in names), None)
    if archived is None:
        wanted, optional, ignored = set(PUBLISHED_HEADER), set(), set()
    else:
        wanted = (set(PUBLISHED_HEADER) - DERIVED_IN_ARCHIVES) | {archived}
        optional, ignored = ARCHIVE_OPTIONAL, ARCHIVE_EXTRAS
    columns = _columns_of(names, new_syscalls)
    wanted |= {column.published for column in columns[len(COLUMNS) :]}
    known = {column.published: column.published for column in columns} | {"Highest-date": archived or "Highest-date"}
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
        "remove the column, or name it in DFP_NEW_SYSCALLS if it counts a system call",
        file,
    )
    return {column.landed: found if (found := known[column.published]) in names else None for column in columns}


def _columns_of(names: Sequence[str], new_syscalls: Sequence[str]) -> tuple[Column, ...]:
    """What a file with these columns lands as."""
    return columns_with([name for name in new_syscalls if name in names])


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


def batches(table: Table, *, before: int = 0, new_syscalls: Sequence[str] = ()) -> Iterator[Batch]:
    """The rows of one table in their order, a few thousand at a time.

    Args:
        before: rows of the file that lie before the table's first, where it is a piece of one.
        new_syscalls: see `matched`; those that the file has are columns behind the known ones.
    Raises:
        InputError: the file is empty or has no rows, its columns are not KronoDroid's, a row has too few or too many
            cells, or the text ends or breaks in the middle.
    """
    names = table.header()
    source, columns = matched(names, file=table.name, new_syscalls=new_syscalls), _columns_of(names, new_syscalls)
    done = before
    for cells in table.texts(None):
        yield _landed(cells, source, columns, file=table.name, numbers=range(done + 1, done + 1 + cells.height))
        done += cells.height
    if done == before:
        raise without_rows(table.name)


def without_rows(file: str) -> InputError:
    """The error for a file that ends behind its header."""
    return InputError(f"{file} has a header and no rows", hint="give a file with at least one app", file=file)


def _landed(
    cells: pl.DataFrame,
    source: Mapping[str, str | None],
    columns: Sequence[Column],
    *,
    file: str,
    numbers: Sequence[int],
) -> Batch:
    """One batch of text under landed names and types."""
    import polars as pl

    schema = landed_schema(columns)
    rows = cells.select(_typed(column, source[column.landed], schema[column.landed]) for column in columns)
    if source["year"] is None:
        rows = rows.with_columns(
            pl.col("highest_date").dt.month_start().alias("year_month"),
            pl.col("highest_date").dt.year().alias("year"),
        ).select(list(schema))
    named = {landed: name or landed for landed, name in source.items()}
    if (dated := source["highest_date"]) in ARCHIVE_DATES:
        named |= {"year": dated, "year_month": dated}
    return Batch(file, numbers, rows, named, _unread(cells, rows, source))


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
        day = text.str.extract(r"^([^ T]+)")  # a time of day may follow
        value = pl.coalesce(day.str.to_date(form, strict=False) for form in _DATE_FORMS)
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
