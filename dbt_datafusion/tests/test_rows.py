"""Statements that change rows: each is one snapshot, or leaves the table as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from dbt.adapters.datafusion import write
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation

if TYPE_CHECKING:
    from conftest import Lake

APPS = "create or replace table n.t as select * from (values (1, 'a'), (2, 'b'), (3, null)) as t(id, name)"


def snapshots(table: Table) -> list[tuple[Operation, str]]:
    return [
        (snapshot.summary.operation, snapshot.summary.additional_properties[write.INTENT])
        for snapshot in table.snapshots()
        if snapshot.summary
    ]


def test_delete_takes_the_rows_a_condition_holds_for_and_keeps_those_it_is_null_for(lake: Lake):
    lake.run(APPS)
    assert lake.run("delete from n.t where name <> 'a'") == 1
    assert lake.rows("select id from n.t order by id") == [(1,), (3,)]
    assert snapshots(lake.table())[1:] == [(Operation.OVERWRITE, "rows")]


def test_delete_without_a_condition_takes_all_and_with_a_subquery_those_it_finds(lake: Lake):
    lake.run(APPS)
    assert lake.run("delete from n.t as d where id in (select id + 1 from n.t) and d.id > 2") == 1
    assert lake.run("delete from n.t") == 2
    assert lake.rows("select * from n.t") == []


def test_update_sets_columns_from_the_row_as_it_was_in_the_columns_types(lake: Lake):
    lake.run(APPS)
    before = lake.table().schema()
    assert lake.run("update n.t set id = id + 10, name = coalesce(name, 'c') || id where id >= 2") == 2
    assert lake.rows("select id, name from n.t order by id") == [(1, "a"), (12, "b2"), (13, "c3")]
    assert lake.table().schema() == before


def test_only_the_files_that_hold_a_row_that_is_meant_are_written_anew(lake: Lake):
    lake.run(
        "create table n.t (id bigint, name varchar); insert into n.t values (1, 'a'); insert into n.t values (2, 'b')"
    )
    before = {task.file.file_path for task in lake.table().scan().plan_files()}
    lake.run("update n.t set name = 'B' where id = 2")
    after = {task.file.file_path for task in lake.table().scan().plan_files()}
    assert len(before & after) == 1
    assert len(after) == 2


def test_a_statement_that_means_no_row_makes_no_snapshot(lake: Lake):
    lake.run(APPS)
    place = lake.table().metadata_location
    assert lake.run("delete from n.t where id > 99") == 0
    assert lake.run("update n.t set name = 'x' where id > 99") == 0
    merge = "merge into n.t as d using (select 99 as id) as s on d.id = s.id when matched then delete"
    assert lake.run(merge) == 0
    assert lake.table().metadata_location == place


MERGE = """
merge into n.t as d using ({source}) as s on d.id = s.id
when matched and s.name = 'gone' then delete
when matched then update set name = s.name
when not matched and s.id < 100 then insert (id, name) values (s.id, s.name)
"""


def test_merge_updates_deletes_and_inserts_by_one_snapshot(lake: Lake):
    lake.run(APPS)
    source = "values (1, 'gone'), (2, 'B'), (4, 'd'), (100, 'no')"
    assert lake.run(MERGE.format(source=f"select column1 as id, column2 as name from ({source})")) == 3
    assert lake.rows("select id, name from n.t order by id") == [(2, "B"), (3, None), (4, "d")]
    assert snapshots(lake.table())[1:] == [(Operation.OVERWRITE, "rows")]
    assert len(lake.files()) == 2  # that of the table and the old one: what was staged is gone


def test_merge_refuses_two_rows_for_one_and_leaves_no_file(lake: Lake):
    lake.run(APPS)
    place, files = lake.table().metadata_location, lake.files()
    with pytest.raises(ValueError, match="2 rows of the source would change 1 rows"):
        lake.run(MERGE.format(source="select 1 as id, 'x' as name union all select 1, 'y'"))
    assert lake.table().metadata_location == place
    assert lake.files() == files


def test_the_source_of_a_merge_is_computed_once(lake: Lake):
    lake.run("create table n.t as select 1 as id, 0e0 as x, 0e0 as y")
    lake.run(
        "merge into n.t as d using (select 1 as id, random() as x union all select 2, random()) as s on d.id = s.id "
        "when matched then update set x = s.x, y = s.x when not matched then insert (id, x, y) values (id, x, x)"
    )
    assert lake.rows("select count(*) from n.t where x = y and x > 0") == [(2,)]


def test_new_columns_come_with_the_rows_that_bring_them(lake: Lake):
    lake.run(APPS)
    ids = {field.name: field.field_id for field in lake.table().schema().fields}
    lake.run(
        "merge with schema evolution into n.t as d using (select 1 as id, 7 as size union all select 9, 8) as s "
        "on d.id = s.id when matched then update set size = s.size "
        "when not matched then insert (id, size) values (id, size)"
    )
    lake.run("insert with schema evolution into n.t (id, kind) select 10 as id, 'k' as kind")
    assert lake.rows("select id, name, size, kind from n.t order by id") == [
        (1, "a", 7, None), (2, "b", None, None), (3, None, None, None), (9, None, 8, None), (10, None, None, "k"),
    ]  # fmt: skip
    assert {name: ids[name] for name in ids} == {
        field.name: field.field_id for field in lake.table().schema().fields if field.name in ids
    }


def test_columns_that_are_gone_from_the_query_go_and_types_widen(lake: Lake):
    lake.run("create table n.t as select cast(1 as int) as id, 'a' as name")
    lake.run("insert with schema replacement into n.t (id, size) select 2 as id, 1.5e0 as size")
    assert lake.rows("select * from n.t order by id") == [(1, None), (2, 1.5)]
    place = lake.table().metadata_location
    with pytest.raises(ValueError, match="id is bigint in the table and varchar in the query"):
        lake.run("insert with schema replacement into n.t (id, size) select 'x' as id, 1e0 as size")
    assert lake.table().metadata_location == place


def test_rows_with_the_same_keys_are_replaced_where_a_condition_holds(lake: Lake):
    lake.run(APPS)
    query = (
        "insert into n.t (id, name) replace using (id) where (id <> 2) select * from (values (2, 'new'), (3, 'c')) as v"
    )
    assert lake.run(query) == 2
    assert lake.rows("select id, name from n.t order by id, name") == [(1, "a"), (2, "b"), (2, "new"), (3, "c")]
    assert lake.run("insert into n.t replace where (id between 2 and 3) values (5, 'e')") == 1
    assert lake.rows("select id from n.t order by id") == [(1,), (5,)]


def test_null_in_a_required_column_is_refused_and_leaves_no_file(lake: Lake):
    lake.run("create table n.t (id int not null, name varchar); insert into n.t values (1, 'a')")
    files = lake.files()
    for statement in ("insert into n.t values (null, 'b')", "update n.t set id = null where name = 'a'"):
        with pytest.raises(ValueError, match='null value in column "id" violates not-null constraint'):
            lake.run(statement)
    assert lake.files() == files
    assert lake.rows("select * from n.t") == [(1, "a")]


def test_altered_columns_keep_their_ids_and_rows(lake: Lake):
    lake.run("create table n.t as select cast(1 as int) as id, 'a' as name, 5 as old")
    ids = {field.name: field.field_id for field in lake.table().schema().fields}
    lake.run("alter table n.t add column more varchar(3), drop column old; alter table n.t rename column name to title")
    lake.run("alter table n.t alter column id type bigint")
    assert lake.rows("select * from n.t") == [(1, "a", None)]
    now = {field.name: field.field_id for field in lake.table().schema().fields}
    assert (now["id"], now["title"]) == (ids["id"], ids["name"])
    lake.run("alter table n.t alter column id type varchar")  # no promotion of Iceberg's: the column is written anew
    assert lake.rows("select id from n.t") == [("1",)]


def test_nulls_are_equal_where_sql_says_so(lake: Lake):
    """DataFusion 54 lost them: a filter made of the smaller side's bounds dropped NULLs from the larger."""
    lake.run("create table n.a as select * from (values (1, 'x'), (2, null)) as t(id, name)")
    lake.run("create table n.b as select * from (values (1, 'x'), (2, null), (3, 'y')) as t(id, name)")
    assert lake.rows("select * from n.b except select * from n.a") == [(3, "y")]
    assert lake.rows("select * from n.a except select * from n.b") == []


def test_points_in_time_far_from_now_survive_an_update(lake: Lake):
    lake.run("create table n.t as select 1 as id, cast('2020-01-01' as timestamp(6)) as until")
    lake.run("update n.t set until = cast('9999-12-31' as timestamp(6))")
    assert lake.rows("select cast(until as varchar) from n.t") == [("9999-12-31T00:00:00",)]


def test_the_catalog_can_be_asked_what_it_holds(lake: Lake):
    lake.run(APPS)
    lake.run("create view n.v as select id from n.t")
    tables = "select table_name, table_type from information_schema.tables where table_schema = 'n' order by 1"
    assert lake.rows(tables) == [("t", "BASE TABLE"), ("v", "VIEW")]
    columns = "select column_name, data_type from information_schema.columns where table_name = 't' order by 1"
    assert lake.rows(columns) == [("id", "bigint"), ("name", "varchar")]


def test_a_merge_bigger_than_memory_spills_or_streams(small_lake: Lake):
    """A table of 96 MB in rows, changed through 40 MB of memory."""
    small_lake.run("create table n.t as select value as id, repeat(md5(cast(value as varchar)), 3) as pad "
                   "from generate_series(1, 600000) as g(value)")  # fmt: skip
    changed = small_lake.run(
        "merge into n.t as d using (select value as id, 'new' as pad from generate_series(599901, 600100) as g(value)) "
        "as s on d.id = s.id when matched then update set pad = s.pad "
        "when not matched then insert (id, pad) values (id, pad)"
    )
    assert changed == 200
    assert small_lake.rows("select count(*), count(*) filter (where pad = 'new') from n.t") == [(600100, 200)]


def test_rows_that_came_meanwhile_are_a_conflict(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    lake.run(APPS)
    write_files = write._write

    def overtaken(transaction: object, rows: object) -> object:
        lake.table().append(pa.table({"id": [2], "name": ["late"]}))
        return write_files(transaction, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "_write", overtaken)
    with pytest.raises(Exception, match="Added data files were found"):
        lake.run("update n.t set name = 'x' where id = 2")
    assert lake.rows("select name from n.t where id = 2 order by name") == [("b",), ("late",)]
