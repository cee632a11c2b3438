"""A model that is replaced while somebody else writes to its table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from datafusion import DataFrame, SessionContext
from dbt.adapters.datafusion import write
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import ValidationException

TABLE = ("main", "rows")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = load_catalog("here", type="sql", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/w")
    opened.create_namespace(TABLE[0])
    yield opened
    opened.close()


def test_rows_that_came_meanwhile_are_a_conflict_not_rows_of_the_model(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pyiceberg tried the commit again and kept both: two writers' rows stood in one model."""

    def replace(values: list[int]) -> None:
        write.replace(catalog, TABLE, SessionContext().from_pydict({"n": values}))

    replace([1, 2])
    write_files = write._write

    def overtaken(transaction: object, rows: DataFrame) -> object:
        catalog.load_table(TABLE).append(pa.table({"n": [99]}))
        return write_files(transaction, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "_write", overtaken)
    with pytest.raises(ValidationException):
        replace([7])
    assert sorted(catalog.load_table(TABLE).scan().to_arrow()["n"].to_pylist()) == [1, 2, 99]
