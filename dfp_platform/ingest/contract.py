"""The border: what a row has to be before it may land. Checked batch by batch, so that any size streams through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Literal

from dfp_platform.errors import InputError
from dfp_platform.ingest.columns import BY_LANDED, COLUMNS, COUNTED, FLAGS, landed_schema
from dfp_platform.ingest.offences import SHOWN, Offence, rejection, repeated

if TYPE_CHECKING:
    import pandera.polars as pandera
    import polars as pl

    from dfp_platform.ingest.published import Batch

FIRST_DATE, LAST_DATE = date(2008, 1, 1), date(2021, 12, 31)
"""Dates an app of this data set can bear: Android came in 2008, the set was collected until 2020."""

ImplausibleDates = Literal["reject", "null"]
"""What to do with a date that is missing or outside those bounds: refuse the file, or land it as missing."""

_UNREADABLE = 0.05
"""Share of a batch's dates that may be no date at all where bad dates land as missing; more is another way to write."""

_REQUIRED = tuple(column.landed for column in COLUMNS if not column.nullable)
_UNREAD = {"date": "is not a date", "float64": "is not a number"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of the contract: `bad` maps a landed column to what is true where a cell of it breaks the rule."""

    name: str
    bad: Mapping[str, pl.Expr]
    problem: str
    kind: str


@cache
def rules(implausible_dates: ImplausibleDates, new: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """Every rule about single rows, with `new` counts. Uniqueness of `sha256` is not among them: it spans batches."""
    import polars as pl

    cell = {column.landed: pl.col(column.landed) for column in COLUMNS}
    dated = cell["highest_date"]
    plausible = dated.is_between(pl.lit(FIRST_DATE), pl.lit(LAST_DATE))
    undated = dated.is_null() if implausible_dates == "reject" else pl.lit(False)
    counts = {c: pl.col(c) < 0 for c in (*COUNTED, *new) if c != "malware" and c not in FLAGS}
    return (
        Rule("nothing_missing", {c: cell[c].is_null() for c in _REQUIRED}, "is missing", "missing"),
        Rule("label", {"malware": ~cell["malware"].is_in([0, 1])}, "is neither 0 nor 1", "label"),
        Rule("flags", {c: ~cell[c].is_in([0, 1]) for c in FLAGS}, "is neither 0 nor 1", "range"),
        Rule("counts", counts, "is below 0", "range"),
        Rule("ratio", {"detection_ratio": cell["detection_ratio"] > 1}, "is above 1", "range"),
        Rule(
            "digest",
            {"sha256": ~cell["sha256"].str.contains(r"^[0-9a-f]{64}$")},
            "is not 64 hexadecimal digits",
            "sha256",
        ),
        Rule("dated", {"highest_date": undated}, "is missing", "date"),
        Rule("plausible_date", {"highest_date": ~plausible}, f"is outside {FIRST_DATE} to {LAST_DATE}", "date"),
        Rule(
            "year_of_date",
            {
                "year": plausible & (cell["year"] != dated.dt.year()),
                "year_month": plausible & (cell["year_month"] != dated.dt.month_start()),
            },
            "does not fit the row's date",
            "range",
        ),
    )


@cache
def landed_contract(
    implausible_dates: ImplausibleDates, *, columns: bool = True, new: tuple[str, ...] = ()
) -> pandera.DataFrameSchema:
    """The pandera schema of landed rows: exactly these columns and types in this order, and every rule.

    Args:
        columns: False leaves the look at names and types out; over 486 columns pandera takes a second for it.
        new: landed names of system calls that only later archives count, behind the others.
    """
    import pandera.polars as pandera
    import polars as pl

    def kept(rule: Rule) -> pandera.Check:
        broken = [bad.fill_null(False) for bad in rule.bad.values()]
        return pandera.Check(lambda data: data.lazyframe.select(~pl.any_horizontal(broken)), name=rule.name)

    typed = {name: pandera.Column(dtype, nullable=True) for name, dtype in _schema_with(new).items()}
    return pandera.DataFrameSchema(
        typed if columns else {},
        checks=[kept(rule) for rule in rules(implausible_dates, new)],
        strict=columns,
        ordered=columns,
        name="kronodroid",
    )


class Border:
    """Checks the batches of one landing, in order, and remembers which apps have passed.

    Attributes:
        implausible_dates: see `ImplausibleDates`.
        unique: whether an app that has passed may not pass again; False where somebody else sees to that, as one who
            reads a part of the rows has to.
        rows: rows that passed so far.
        dates_dropped: dates landed as missing so far.
    """

    def __init__(self, *, implausible_dates: ImplausibleDates, unique: bool = True) -> None:
        self.implausible_dates = implausible_dates
        self.unique = unique
        self.rows = 0
        self.dates_dropped = 0
        self._offences: list[Offence] = []
        self._count = 0
        self._seen: dict[bytes, tuple[str, int]] = {}

    def passed(self, batches: Iterable[Batch]) -> Iterator[pl.DataFrame]:
        """The rows of each batch that keeps the contract.

        The first batch that breaks it ends the stream: the rest is only read to count what else is wrong.

        Raises:
            InputError: names file, row, column and value of the first offending cells, and how many there are.
        """
        try:
            for batch in batches:
                rows = self._dates_settled(batch)
                self._note(_offences(batch, rows, self.implausible_dates))
                if self.unique:
                    self._note(self._repeats(batch, rows))
                if not self._count:
                    self.rows += rows.height
                    yield rows
        except InputError as error:
            if self._count:
                raise rejection(self._offences, count=self._count) from error
            raise
        if self._count:
            raise rejection(self._offences, count=self._count)

    @property
    def mended(self) -> dict[str, int]:
        """What was changed in passing rows, and how often."""
        return {"dates landed as missing": self.dates_dropped} if self.dates_dropped else {}

    def _note(self, offences: list[Offence]) -> None:
        self._count += len(offences)
        self._offences += offences[: SHOWN - len(self._offences)]

    def _dates_settled(self, batch: Batch) -> pl.DataFrame:
        """The batch's rows, with implausible dates missing where that was asked for."""
        import polars as pl

        if self.implausible_dates == "reject":
            return batch.rows
        plausible = pl.col("highest_date").is_between(pl.lit(FIRST_DATE), pl.lit(LAST_DATE)).fill_null(False)
        self.dates_dropped += batch.rows.select((~plausible).sum()).item()
        return batch.rows.with_columns(
            pl.when(plausible).then(pl.col(name)).alias(name) for name in ("highest_date", "year_month", "year")
        )

    def _repeats(self, batch: Batch, rows: pl.DataFrame) -> list[Offence]:
        """Apps that an earlier row already landed."""
        found = []
        for row, digest in zip(batch.numbers, rows["sha256"].to_list(), strict=True):
            key = (digest or "").encode()
            if len(key) == 64 and (first := self._seen.setdefault(key, (batch.file, row))) != (batch.file, row):
                found.append(repeated(batch.file, row, digest, first=first))
        return found


def _offences(batch: Batch, rows: pl.DataFrame, implausible_dates: ImplausibleDates) -> list[Offence]:
    """Every cell of one batch that breaks the contract, by row."""
    import pandera.errors

    found = [
        Offence(batch.file, batch.numbers[index], batch.named[column], text, _unread_problem(column), "type")
        for column, cells in batch.unread.items()
        for index, text in cells.items()
        if _kind(column) != "date" or implausible_dates == "reject" or len(cells) > _UNREADABLE * rows.height
    ]
    new = tuple(rows.columns[len(COLUMNS) :])
    unlike = dict(rows.schema) != _schema_with(new)
    try:
        landed_contract(implausible_dates, columns=unlike, new=new).validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as error:
        found += [offence for rule in rules(implausible_dates, new) for offence in _broken(rule, batch, rows)]
        if not found:  # not a cell but the frame itself: a source of ours handed over something else
            raise InputError(f"{batch.file}: the rows are not KronoDroid's: {error}", file=batch.file) from error
    return sorted(found, key=lambda offence: offence.row)


def _broken(rule: Rule, batch: Batch, rows: pl.DataFrame) -> Iterator[Offence]:
    """The cells that break one rule, without those that could not even be read."""
    masks = rows.select(bad.fill_null(False).alias(column) for column, bad in rule.bad.items())
    for column in masks.columns:
        if not masks[column].any():
            continue
        for index in masks[column].arg_true():
            if index not in batch.unread.get(column, ()):
                value = rows[column][index]
                text = "" if value is None else str(value)
                yield Offence(batch.file, batch.numbers[index], batch.named[column], text, rule.problem, rule.kind)


def _schema_with(new: tuple[str, ...]) -> dict[str, pl.DataType]:
    import polars as pl

    return landed_schema() | dict.fromkeys(new, pl.Int32())


def _kind(column: str) -> str:
    """Of a landed column; new ones are counts."""
    return BY_LANDED[column].kind if column in BY_LANDED else "int32"


def _unread_problem(column: str) -> str:
    return _UNREAD.get(_kind(column), "is not a whole number, or is more than the column can hold")
