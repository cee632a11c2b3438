"""Spark 4.0 on the lake through the REST catalog: `make engines`. Slow, needs Java 17 and the `spark` extra.

Not collected by `make test`: Spark fetches its Iceberg runtime from Maven at the first start.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dfp_platform.catalog import open_catalog
from dfp_platform.lake import Lake, open_lake
from tests.conformance.spark_session import LEAVES_SOCKETS, spark_on

REFUSED = (PySparkException, Py4JJavaError)
"""What Spark raises for what a catalog refuses, before and during execution."""

REFS = ("main", "dev", "v1")

pytestmark = [
    pytest.mark.timeout(600),
    *(pytest.mark.filterwarnings(warning) for warning in LEAVES_SOCKETS),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return open_lake(tmp_path_factory.mktemp("spark") / "lake", create=True)


@pytest.fixture(scope="module")
def spark(lake: Lake) -> Iterator[SparkSession]:
    """One session whose catalogs `main`, `dev` and `v1` are refs of one lake."""
    with spark_on(lake, REFS) as session:
        session.sql("create namespace main.marts")
        yield session


@pytest.fixture
def table(spark: SparkSession, request: pytest.FixtureRequest) -> str:
    """A name of the test's own, and three rows under it."""
    name = f"main.marts.{request.function.__name__.removeprefix('test_')[:60]}"
    spark.sql(f"create or replace table {name} (id bigint, name string) using iceberg")
    spark.sql(f"insert into {name} values (1, 'a'), (2, 'b'), (3, 'c')")
    return name


def rows(spark: SparkSession, name: str, columns: str = "id, name") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in spark.sql(f"select {columns} from {name} order by 1, 2").collect()]


def directly(lake: Lake, name: str, ref: str = "main") -> list[int]:
    """What the catalog reads without any server."""
    found = open_catalog(lake, ref).load_table(name.split(".", 1)[1]).scan().to_arrow()
    return sorted(found["id"].to_pylist())


def test_rows_that_spark_inserts_are_in_the_lake(spark, lake, table):
    assert rows(spark, table) == [(1, "a"), (2, "b"), (3, "c")]
    assert directly(lake, table) == [1, 2, 3]
    assert open_catalog(lake).pointer(table.split(".", 1)[1]).rows == 3


@pytest.mark.parametrize("mode", ["copy-on-write", "merge-on-read"])
@pytest.mark.parametrize("version", [2, 3])
def test_update_delete_and_merge(spark, lake, table, mode, version):
    modes = ", ".join(f"'write.{verb}.mode'='{mode}'" for verb in ("update", "delete", "merge"))
    spark.sql(f"alter table {table} set tblproperties ('format-version'='{version}', {modes})")
    spark.sql(f"update {table} set name = 'x' where id = 1")
    spark.sql(f"delete from {table} where id = 2")
    spark.sql(
        f"merge into {table} t using (select * from values (3, 'z'), (4, 'd') as s(id, name)) s on t.id = s.id "
        "when matched then update set name = s.name when not matched then insert *"
    )
    assert rows(spark, table) == [(1, "x"), (3, "z"), (4, "d")]
    assert directly(lake, table) == [1, 3, 4]
    assert open_catalog(lake).pointer(table.split(".", 1)[1]).rows == 3


def test_columns_come_go_and_change_their_names(spark, lake, table):
    spark.sql(f"alter table {table} add column size int")
    spark.sql(f"alter table {table} rename column name to label")
    spark.sql(f"alter table {table} alter column size type bigint")
    spark.sql(f"insert into {table} values (4, 'd', 7)")
    assert rows(spark, table, "id, label, size")[-1] == (4, "d", 7)
    spark.sql(f"alter table {table} drop column label")
    spark.sql(f"alter table {table} add partition field bucket(2, id)")
    spark.sql(f"alter table {table} write ordered by size")
    spark.sql(f"insert into {table} values (5, 8)")
    assert rows(spark, table, "id, size")[-1] == (5, 8)
    assert directly(lake, table) == [1, 2, 3, 4, 5]


def test_time_travel_by_snapshot_and_by_a_branch_of_the_table(spark, table):
    (first,) = spark.sql(f"select snapshot_id from {table}.snapshots").collect()
    spark.sql(f"alter table {table} create branch audit")
    spark.sql(f"insert into {table}.branch_audit values (9, 'i')")
    spark.sql(f"insert into {table} values (4, 'd')")
    assert rows(spark, f"{table} version as of {first[0]}", "id, name")[-1] == (3, "c")
    assert rows(spark, f"{table} version as of 'audit'")[-1] == (9, "i")
    spark.sql(f"call main.system.fast_forward('{table.split('.', 1)[1]}', 'main', 'main')")
    spark.sql(f"call main.system.rollback_to_snapshot('{table.split('.', 1)[1]}', {first[0]})")
    assert rows(spark, table) == [(1, "a"), (2, "b"), (3, "c")]


def test_a_table_is_created_or_replaced_from_a_query(spark, lake, table):
    spark.sql(f"create or replace table {table} using iceberg as select id + 10 as id from {table} where id > 1")
    assert rows(spark, table, "id, 0") == [(12, 0), (13, 0)]
    spark.sql(f"insert overwrite {table} values (5)")
    assert directly(lake, table) == [5]
    spark.sql(f"create table {table}_copy using iceberg as select * from {table}")
    assert directly(lake, f"{table}_copy") == [5]


def test_branches_of_the_lake_are_catalogs_and_merge(spark, lake, table):
    lake.create_branch("dev")
    there = table.replace("main.", "dev.", 1)
    spark.sql(f"insert into {there} values (4, 'd')")
    spark.sql(f"create table {there}_young using iceberg as select 1 as id")
    assert (len(rows(spark, table)), len(rows(spark, there))) == (3, 4)
    lake.tag("v1", "main")
    lake.merge("dev", "main", message="publish")
    assert rows(spark, table)[-1] == (4, "d")
    assert directly(lake, f"{table}_young") == [1]
    before = table.replace("main.", "v1.", 1)
    assert len(rows(spark, before)) == 3
    with pytest.raises(REFUSED, match="no branch"):
        spark.sql(f"insert into {before} values (5, 'e')")


def test_views_are_made_replaced_and_dropped(spark, lake, table):
    view = f"{table}_view"
    spark.sql(f"create view {view} as select id, name from {table} where id > 1")
    assert rows(spark, view) == [(2, "b"), (3, "c")]
    spark.sql(f"create or replace view {view} as select id, name from {table} where id > 2")
    assert rows(spark, view) == [(3, "c")]
    assert [row.viewName for row in spark.sql("show views in main.marts").collect()] == [view.rsplit(".", 1)[1]]
    spark.sql(f"drop view {view}")
    assert open_catalog(lake).list_views("marts") == []


def test_what_would_delete_files_that_other_branches_need_is_refused(spark, lake, table):
    lake.create_branch("other")
    short = table.split(".", 1)[1]
    with pytest.raises(REFUSED, match="GC is disabled"):
        spark.sql(f"call main.system.expire_snapshots(table => '{short}', retain_last => 1)")
    with pytest.raises(REFUSED, match="GC is disabled"):
        spark.sql(f"call main.system.remove_orphan_files(table => '{short}')")
    with pytest.raises(REFUSED, match="GC is disabled"):
        spark.sql(f"drop table {table} purge")
    spark.sql(f"drop table {table}")
    assert directly(lake, table, "other") == [1, 2, 3]
    assert Path(open_catalog(lake, "other").load_table(short).metadata_location.removeprefix("file://")).exists()
