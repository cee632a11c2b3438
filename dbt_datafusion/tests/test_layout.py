"""Partitioned and sorted tables: what their files hold, what they say of it, and what is read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from dbt.adapters.datafusion import layout, write
from pyiceberg.expressions import EqualTo
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.sorting import NullOrder, SortDirection

if TYPE_CHECKING:
    from conftest import Lake

DAYS = """
select value as id, date '2020-01-01' + cast(value % 90 as int) as day, 'k' || cast(value % 7 as varchar) as kind
from generate_series(1, 9000) as g(value)
"""


def files(table: Table) -> list[DataFile]:
    return [task.file for task in table.scan().plan_files()]


def column(file: DataFile, name: str) -> list:
    return pq.read_table(file.file_path.removeprefix("file://"))[name].to_pylist()


def test_each_file_lies_in_one_partition_and_says_which(lake: Lake):
    lake.run(f"create table n.t partitioned by (month(day), bucket(4, id)) as {DAYS}")
    table = lake.table()
    assert [str(field.transform) for field in table.spec().fields] == ["month", "bucket[4]"]
    assert [field.name for field in table.spec().fields] == ["day_month", "id_bucket_4"]
    assert len(files(table)) == 12
    bucket = table.spec().fields[1].transform.transform(table.schema().find_type("id"))
    for file in files(table):
        assert {(day.year - 1970) * 12 + day.month - 1 for day in column(file, "day")} == {file.partition[0]}
        assert {bucket(value) for value in column(file, "id")} == {file.partition[1]}
        assert f"id_bucket_4={file.partition[1]}" in file.file_path
    assert sum(file.record_count for file in files(table)) == 9000


@pytest.mark.parametrize(
    ("by", "partitions"),
    [("kind", 7), ("truncate(1, kind)", 1), ("year(day)", 1), ("days(day)", 90), ("truncate(1000, id)", 10)],
)
def test_every_transform_makes_its_partitions(lake: Lake, by: str, partitions: int):
    lake.run(f"create table n.t partitioned by ({by}) as {DAYS}")
    assert len({file.partition for file in files(lake.table())}) == partitions
    assert lake.table().scan(row_filter=EqualTo("id", 77)).to_arrow().num_rows == 1
    assert lake.rows("select count(*), sum(id) from n.t") == [(9000, 9000 * 9001 // 2)]


def test_null_is_a_partition_of_its_own(lake: Lake):
    lake.run("create table n.t partitioned by (kind) as select * from (values (1, 'a'), (2, null)) as t(id, kind)")
    assert {file.partition[0] for file in files(lake.table())} == {"a", None}
    assert lake.rows("select id from n.t where kind is null") == [(2,)]


def test_files_of_other_partitions_are_not_planned(lake: Lake):
    lake.run(f"create table n.t partitioned by (month(day)) as {DAYS}")
    planned = list(lake.table().scan(row_filter=EqualTo("day", "2020-02-03")).plan_files())
    assert len(planned) == 1
    assert planned[0].file.partition[0] == 601


def test_rows_are_sorted_within_each_file_and_the_file_names_its_order(lake: Lake):
    lake.run(f"create table n.t partitioned by (month(day)) sorted by (kind desc nulls last, id) as {DAYS}")
    table = lake.table()
    [kind, _] = table.sort_order().fields
    assert (kind.direction, kind.null_order) == (SortDirection.DESC, NullOrder.NULLS_LAST)
    for file in files(table):
        assert file.sort_order_id == table.sort_order().order_id == 1
        rows = list(zip(column(file, "kind"), column(file, "id"), strict=True))
        assert rows == sorted(rows, key=lambda row: (-ord(row[0][1]), row[1]))


def test_a_table_keeps_its_layout_until_it_is_told_another(lake: Lake):
    lake.run(f"create table n.t partitioned by (kind) sorted by (id) as {DAYS}")
    lake.run(f"create or replace table n.t as {DAYS}")
    assert [field.name for field in lake.table().spec().fields] == ["kind"]
    assert len(files(lake.table())) == 7
    lake.run(f"create or replace table n.t partitioned by (month(day)) sorted by () as {DAYS}")
    assert [field.name for field in lake.table().spec().fields] == ["day_month"]
    assert lake.table().sort_order().is_unsorted
    assert {file.spec_id for file in files(lake.table())} == {lake.table().spec().spec_id}
    assert {file.sort_order_id for file in files(lake.table())} == {None}
    lake.run("insert into n.t values (1, date '2021-05-05', 'k')")
    assert len(files(lake.table())) == 4
    with pytest.raises(ValueError, match="partitioned or sorted by a column that the query no longer has"):
        lake.run("create or replace table n.t as select 1 as id")
    with pytest.raises(ValueError, match="files partitioned by day_month, whose column goes: drop it first"):
        lake.run("create or replace table n.t partitioned by () as select 1 as id")
    assert lake.rows("select count(*) from n.t") == [(9001,)]


def test_a_table_that_is_built_again_as_it_is_sorted_keeps_its_order(lake: Lake):
    build = f"create or replace table n.t sorted by (id, kind desc) as {DAYS}"
    lake.run(build)
    before = lake.table().metadata
    lake.run(build)
    after = lake.table().metadata
    assert (after.default_sort_order_id, after.sort_orders) == (before.default_sort_order_id, before.sort_orders)
    lake.run(
        f"create or replace table n.t sorted by (id, kind desc) as select cast(id as varchar) as id, kind from ({DAYS})"
    )
    [by_id, _] = lake.table().sort_order().fields
    assert lake.table().schema().find_column_name(by_id.source_id) == "id"


def test_an_overwrite_replaces_only_the_partitions_its_rows_fall_in(lake: Lake):
    lake.run(
        "create table n.t partitioned by (kind) as select * from (values (1, 'a'), (2, 'a'), (3, 'b')) as t(id, kind)"
    )
    kept = {file.file_path for file in files(lake.table()) if file.partition[0] == "b"}
    assert lake.run("insert overwrite n.t values (9, 'a'), (8, 'c')") == 2
    assert lake.rows("select id, kind from n.t order by id") == [(3, "b"), (8, "c"), (9, "a")]
    assert kept <= {file.file_path for file in files(lake.table())}
    assert len(lake.table().snapshots()) == 2
    summary = lake.table().current_snapshot().summary
    assert summary.additional_properties[write.INTENT] == "partitions"
    assert (summary["added-data-files"], summary["deleted-data-files"]) == ("2", "1")


def test_an_overwrite_of_an_unpartitioned_table_replaces_all(lake: Lake):
    lake.run("create table n.t as select 1 as id; insert overwrite n.t values (2)")
    assert lake.rows("select * from n.t") == [(2,)]


def test_an_overwrite_across_an_older_partitioning_is_refused(lake: Lake):
    lake.run("create table n.t as select 1 as id, 'a' as kind")
    with lake.table().update_spec() as update:
        update.add_identity("kind")
    with pytest.raises(ValueError, match="older partitioning"):
        lake.run("insert overwrite n.t values (2, 'a')")
    assert lake.run("insert into n.t values (2, 'a')") == 1


def test_rows_of_a_partitioned_table_are_changed_in_the_files_of_their_partitions(lake: Lake):
    lake.run(f"create table n.t partitioned by (kind) sorted by (id) as {DAYS}")
    before = {file.partition[0]: file.file_path for file in files(lake.table())}
    lake.run("update n.t set kind = 'moved' where id = 7")
    after = {file.partition[0]: file.file_path for file in files(lake.table())}
    assert set(after) - set(before) == {"moved"}
    assert [kind for kind in before if before[kind] != after[kind]] == ["k0"]


def test_a_thousand_partitions_need_one_open_file_and_little_memory(small_lake: Lake):
    small_lake.run(
        "create table n.t partitioned by (part) as "
        "select value % 1000 as part, repeat(md5(cast(value as varchar)), 5) as pad "
        "from generate_series(1, 400000) as g(value)"
    )
    assert len(files(small_lake.table())) == 1000
    assert small_lake.rows("select count(*) from n.t") == [(400000,)]


@pytest.mark.parametrize("transform", ["year", "month", "day", "hour"])
def test_a_transform_is_spelled_as_iceberg_or_as_spark_spells_it(transform: str):
    assert layout.term(f"{transform}s(day) desc") == layout.term(f"{transform}(day) desc")


@pytest.mark.parametrize(
    "text", ["month(day) sideways", "week(day)", "bucket(id)", "month(3)", "(id)", "truncate(2, a, b)"]
)
def test_what_is_no_transform_is_refused(text: str):
    with pytest.raises(ValueError, match="is not"):
        layout.term(text)


def test_a_column_or_type_that_cannot_be_partitioned_by_is_named(lake: Lake):
    with pytest.raises(ValueError, match="day, which is no column of the query"):
        lake.run("create table n.t partitioned by (day) as select 1 as id")
    with pytest.raises(ValueError, match="month is no transform of id"):
        lake.run("create table n.t partitioned by (month(id)) as select 1 as id")
    assert not lake.engine.catalog.table_exists("n.t")
