"""Reading tables at any ref: by columns and filter, by SQL, and by engines on their own."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfp_platform.catalog import open_catalog, overwrite, query, register_files, scan
from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.lake import Lake, open_lake

APPS = pa.table({"sha256": ["a", "b", "c"], "malware": pa.array([0, 1, None], pa.int32())})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def catalog(lake: Lake):
    return open_catalog(lake, "main")


def snapshots(catalog, identifier: str) -> list[str]:
    return [str(s.summary.operation.value) for s in catalog.load_table(identifier).metadata.snapshots]


def commits(lake: Lake) -> int:
    return sum(1 for _ in lake.log("main"))


def land(lake: Lake, path: str, data: pa.Table) -> str:
    buffer = io.BytesIO()
    pq.write_table(data, buffer)
    lake.commit("main", {path: buffer.getvalue()}, message=f"land {path}")
    return lake.address("main", path)


def test_a_scan_takes_columns_and_a_filter_at_any_ref(lake, catalog):
    overwrite(catalog, "marts.apps", APPS)
    old = lake.resolve("main")
    overwrite(catalog, "marts.apps", APPS.slice(2))
    assert scan(lake, old, "marts.apps", columns=["sha256"], row_filter="malware = 1").to_pylist() == [{"sha256": "b"}]
    assert scan(lake, "main", ("marts", "apps")).num_rows == 1
    with pytest.raises(NotFoundError):
        scan(lake, "main", "marts.nope")
    with pytest.raises(NotFoundError):
        scan(lake, "nope", "marts.apps")
    with pytest.raises(InputError, match="nope"):
        scan(lake, "main", "marts.apps", columns=["nope"])
    with pytest.raises(InputError):
        scan(lake, "main", "marts.apps", row_filter="nope = 1")
    with pytest.raises(InputError):
        scan(lake, "main", "marts.apps", row_filter="((")


def test_sql_joins_tables_at_a_ref(lake, catalog):
    overwrite(catalog, "marts.apps", APPS)
    overwrite(catalog, "marts.families", pa.table({"family": ["x", "y"], "malware": pa.array([0, 1], pa.int32())}))
    old = lake.resolve("main")
    overwrite(catalog, "marts.apps", APPS.slice(0, 1))
    sql = "SELECT a.sha256, f.family FROM marts.apps a JOIN marts.families AS f USING (malware) ORDER BY 1"
    assert query(lake, "main", sql).to_pylist() == [{"sha256": "a", "family": "x"}]
    assert query(lake, old, sql).num_rows == 2
    assert query(lake, "main", "select count(*) as n from marts.apps").to_pylist() == [{"n": 1}]
    assert query(lake, old, "select * from marts.apps order by sha256").to_pylist() == APPS.to_pylist()
    assert query(lake, old, "select * from marts.apps natural join marts.families").num_rows == 2
    assert query(lake, "main", "select 1 as one").to_pylist() == [{"one": 1}]


def test_sql_reads_columns_by_id_not_by_the_names_in_files(lake, catalog):
    overwrite(catalog, "marts.apps", pa.table({"a": [1], "b": [2]}))
    table = catalog.load_table("marts.apps")
    with table.update_schema(allow_incompatible_changes=True) as change:
        change.rename_column("a", "c")
        change.rename_column("b", "a")
    assert query(lake, "main", "select a, c from marts.apps").to_pylist() == [{"a": 2, "c": 1}]


def test_sql_lists_and_describes_tables(lake, catalog):
    overwrite(catalog, "marts.apps", APPS)
    overwrite(catalog, "marts.other", APPS)
    shown = query(lake, "main", "show tables").to_pylist()
    assert {row["table_name"] for row in shown if row["table_schema"] == "marts"} == {"apps", "other"}
    assert query(lake, "main", "describe marts.apps")["column_name"].to_pylist() == APPS.column_names


def test_sql_finds_odd_names_in_quotes(lake, catalog):
    overwrite(catalog, ("Odd.ns", 'a "b"'), pa.table({"Col": [1]}))
    overwrite(catalog, ("a", "b", "t"), pa.table({"x": [2]}))
    assert query(lake, "main", 'select "Col" from "Odd.ns"."a ""b"""').to_pylist() == [{"Col": 1}]
    assert query(lake, "main", 'select x from "a.b".t').to_pylist() == [{"x": 2}]


@pytest.mark.parametrize(
    "sql",
    [
        "insert into marts.apps select * from marts.apps",
        "create table t as select 1",
        "drop table marts.apps",
        "copy (select 1) to 'out.csv'",
        "create external table e stored as csv location '/etc/passwd'",
        "set datafusion.execution.batch_size = 1",
        "select nope from marts.apps",
        "select * from marts.nope",
        "select * from '/etc/passwd'",
        "selec",
    ],
)
def test_sql_only_reads_and_says_what_is_wrong(lake, catalog, sql):
    overwrite(catalog, "marts.apps", APPS)
    count = commits(lake)
    with pytest.raises(InputError):
        query(lake, "main", sql)
    assert commits(lake) == count


def test_engines_of_their_own_read_a_table_by_its_address(lake, catalog):
    import polars as pl
    from datafusion import SessionContext

    overwrite(catalog, "marts.apps", APPS)
    register_files(catalog, "raw.apps", [land(lake, "raw/apps/0.parquet", APPS)])
    for name in ("marts.apps", "raw.apps"):
        context = SessionContext()
        context.register_table("t", catalog.load_table(name))
        assert context.sql("select * from t order by sha256").to_arrow_table().to_pylist() == APPS.to_pylist()
        address = catalog.load_table(name).inspect.files()["file_path"].to_pylist()[0]
        assert pl.scan_parquet(address).collect().height == 3
