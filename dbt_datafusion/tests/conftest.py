"""An engine on a catalog of its own, and what a test asks of a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dbt.adapters.datafusion.connections import Cursor
from dbt.adapters.datafusion.credentials import DataFusionCredentials
from dbt.adapters.datafusion.engine import Engine
from pyiceberg.table import Table


class Lake:
    """Statements against one catalog with the namespace `n`."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        catalog = {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}/wh"}
        spill = str(folder / "spill")
        self.engine = Engine(
            DataFusionCredentials(database="lake", schema="n", catalog=catalog, spill_folder=spill, **settings)
        )
        self.engine.create_schema("n")

    def run(self, sql: str) -> int | None:
        """Run statements; return how many rows the last one changed."""
        cursor = Cursor(self.engine)
        cursor.execute(sql)
        return cursor.response.rows_affected

    def rows(self, sql: str) -> list[tuple]:
        cursor = Cursor(self.engine)
        cursor.execute(sql)
        return cursor.fetchall()

    def table(self, name: str = "t") -> Table:
        return self.engine.catalog.load_table(("n", name))

    def files(self) -> set[Path]:
        """Every parquet file there is, staged ones too."""
        return set(self.folder.rglob("*.parquet"))


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    opened = Lake(tmp_path)
    yield opened
    opened.engine.close()


@pytest.fixture
def small_lake(tmp_path: Path) -> Iterator[Lake]:
    """One whose queries may hold 40 MB together."""
    opened = Lake(tmp_path, memory_limit="40 MB", batch_size=4096)
    yield opened
    opened.engine.close()
