"""Engines that read the lake's tables through the REST catalog, each in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from datafusion import SessionContext

from dfp_platform.catalog import open_catalog
from dfp_platform.lake import Lake, open_lake
from tests.serving_rest import pyiceberg_client, serving

ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "name": ["a", "b", None]})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake", create=True)
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    catalog.create_table("marts.apps", ROWS.schema).append(ROWS)
    lake.create_branch("dev")
    open_catalog(lake, "dev").load_table("marts.apps").delete("id = 2")
    return lake


@pytest.fixture
def uri(lake: Lake) -> Iterator[str]:
    with serving(lake) as uri:
        yield uri


@pytest.mark.parametrize(("ref", "ids"), [("main", [1, 2, 3]), ("dev", [1, 3])])
def test_polars_scans_a_table_of_a_branch(uri, ref, ids, monkeypatch):
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")  # else it wants a package for planning, with a warning
    found = pl.scan_iceberg(pyiceberg_client(uri, ref).load_table("marts.apps")).sort("id").collect()
    assert found["id"].to_list() == ids


@pytest.mark.parametrize(("ref", "count"), [("main", 3), ("dev", 2)])
def test_datafusion_queries_the_rows_of_a_table_of_a_branch(uri, ref, count):
    context = SessionContext()
    context.from_arrow(pyiceberg_client(uri, ref).load_table("marts.apps").scan().to_arrow(), "apps")
    assert context.sql("select count(*) as n from apps").to_pydict() == {"n": [count]}
