"""What is wrong with rows that stand in the lake already: those that the border saw, and those of other writers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfp_platform.ingest.columns import landed_schema
from dfp_platform.ingest.contract import landed_contract, rules
from dfp_platform.ingest.origin import RECORD, load_folder, origins, read_origin
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

MOST_ROWS = 200_000
"""Rows that are looked at, from the first on: more than the published data sets hold."""

SHOWN = 10
"""Cells that are shown."""


@dataclass(frozen=True, slots=True)
class Breaches:
    """Cells of landed rows that break the contract.

    Attributes:
        rows: how many were looked at.
        cells: how many break a rule, a missing column counted once.
        shown: the first of them: ``sha256``, ``column``, ``value``, ``problem``.
    """

    rows: int
    cells: int
    shown: tuple[dict[str, Any], ...]


def breaches(batches: Iterable[pa.RecordBatch]) -> Breaches:
    """The cells that break the contract of landed rows; apps without a date are within it.

    Columns beyond the contract's, such as counts of new system calls, are not looked at.
    """
    import pandera.errors
    import polars as pl

    schema, contract = landed_schema(), landed_contract("null", columns=False)
    rows, cells, shown = 0, 0, list[dict[str, Any]]()
    for batch in batches:
        frame = pl.DataFrame(pl.from_arrow(batch))
        if unlike := _unlike(frame, schema):
            return Breaches(rows, len(unlike), tuple(unlike[:SHOWN]))
        frame = frame.head(MOST_ROWS - rows)
        rows += frame.height
        try:
            contract.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors:
            for count, some in _broken(frame):
                cells += count
                shown += some[: SHOWN - len(shown)]
        if rows >= MOST_ROWS:
            break
    return Breaches(rows, cells, tuple(shown))


def rows_before(lake: Lake, ref: str, dataset: str) -> int | None:
    """Rows of a data set that stood there before its newest load came; None: none had landed."""
    records = [stat.path for stat in lake.list(ref, load_folder(dataset)) if stat.path.endswith(f"/{RECORD}")]
    newest = max(records, key=lambda path: read_origin(lake, ref, path).load_id)
    parents = lake.provenance(ref, newest).parents
    before = origins(lake, parents[0], dataset) if parents else ()
    return sum(load.rows for load in before) if before else None


def _unlike(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> list[dict[str, Any]]:
    """Columns that are missing or of another type."""
    found = dict(frame.schema)
    return [
        {"sha256": "", "column": name, "value": str(found.get(name, "")), "problem": f"is not a column of {kind}"}
        for name, kind in schema.items()
        if found.get(name) != kind
    ]


def _broken(frame: pl.DataFrame) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """How many cells break each rule, column by column, and the first of them."""
    for rule in rules("null"):
        masks = frame.select(bad.fill_null(False).alias(column) for column, bad in rule.bad.items())
        for column in masks.columns:
            if count := int(masks[column].sum()):
                some = frame.filter(masks[column]).head(SHOWN).select("sha256", value=column).rows()
                yield (
                    count,
                    [
                        {"sha256": digest, "column": column, "value": str(value), "problem": rule.problem}
                        for digest, value in some
                    ],
                )
