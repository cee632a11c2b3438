"""DuckDB on the lake through the REST catalog: `make engines`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.lake import Lake, open_lake
from tests.conformance.duckdb_session import asked

REFS = {"trunk": "main", "dev": "dev", "old": "v1"}
ROWS = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", "b"]})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake", create=True)
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    catalog.create_table("marts.apps", ROWS.schema).append(ROWS)
    lake.create_branch("dev")
    lake.tag("v1", "main")
    return lake


def ids(lake: Lake, name: str, ref: str = "main") -> list[int]:
    return sorted(open_catalog(lake, ref).load_table(name).scan().to_arrow()["id"].to_pylist())


def test_duckdb_reads_and_writes_the_branch_that_it_attached(lake: Lake) -> None:
    found = asked(
        lake,
        REFS,
        "insert into dev.marts.apps values (3, 'c')",
        "select id, name from dev.marts.apps order by id",
        "select count(*) from trunk.marts.apps",
    )
    assert found[1:] == [[[1, "a"], [2, "b"], [3, "c"]], [[2]]]
    assert (ids(lake, "marts.apps", "dev"), ids(lake, "marts.apps")) == ([1, 2, 3], [1, 2])


def test_duckdb_makes_tables_and_changes_their_rows(lake: Lake) -> None:
    found = asked(
        lake,
        REFS,
        "create schema trunk.duck",
        "create table trunk.duck.apps as select id, name from trunk.marts.apps",
        "insert into trunk.duck.apps values (3, 'c'), (4, 'd')",
        "update trunk.duck.apps set name = 'x' where id = 1",
        "delete from trunk.duck.apps where id = 2",
        "select id, name from trunk.duck.apps order by id",
    )
    assert found[-1] == [[1, "x"], [3, "c"], [4, "d"]]
    assert ids(lake, "duck.apps") == [1, 3, 4]


def test_duckdb_is_told_that_a_tag_cannot_be_written(lake: Lake) -> None:
    wrong, rows = asked(lake, REFS, "insert into old.marts.apps values (9, 'i')", "select count(*) from old.marts.apps")
    assert "no branch" in wrong
    assert rows == [[2]]
