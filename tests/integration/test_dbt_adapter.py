"""The adapter on pyiceberg's own catalog in a SQLite file, which knows no lake, and its core on ours as well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.table.snapshots import Operation

from tests.dbt_harness import CATALOGS, Project, made_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project on the first catalog."""
    yield from made_project(tmp_path, "sqlite")


@pytest.fixture(params=CATALOGS)
def any_project(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project on each catalog in turn."""
    yield from made_project(tmp_path, request.param)


def test_a_table_model_is_created_by_one_commit_and_replaced_by_one_snapshot(any_project: Project):
    any_project.write({"models/apps.sql": "select 1 as id, 'a' as name union all select 2, 'b' order by id"})
    assert any_project.dbt("run")["apps"].adapter_response["rows_affected"] == 2
    created = any_project.catalog.load_table("main.apps")
    assert [snapshot.summary.operation for snapshot in created.snapshots()] == [Operation.APPEND]
    assert len(created.metadata.metadata_log) == 0  # one metadata file: created with its rows in it

    any_project.write({"models/apps.sql": "select 3 as id, 'c' as name"})
    any_project.dbt("run")
    replaced = any_project.catalog.load_table("main.apps")
    operations = [snapshot.summary.operation for snapshot in replaced.snapshots()]
    assert operations == [Operation.APPEND, Operation.OVERWRITE]
    assert len(replaced.metadata.metadata_log) == 1
    assert any_project.rows("main.apps") == [{"id": 3, "name": "c"}]
    old = replaced.scan(snapshot_id=created.current_snapshot().snapshot_id).to_arrow().to_pylist()
    assert old == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


def test_a_model_that_fails_midway_leaves_the_table_and_no_file_behind(any_project: Project):
    any_project.write({"models/apps.sql": "select * from (values (1), (2)) as t(id)"})
    any_project.dbt("run")
    before = any_project.catalog.load_table("main.apps").metadata_location
    files = set(any_project.folder.rglob("*.parquet"))
    # The first batches are fine and written; row 60,000 divides by zero.
    any_project.write(
        {"models/apps.sql": "select 10 / (value - 60000) as id from generate_series(1, 100000) as t(value)"}
    )
    message = any_project.dbt("run", passes=False)["apps"].message
    assert "divide by zero" in message.lower()
    assert any_project.catalog.load_table("main.apps").metadata_location == before
    assert set(any_project.folder.rglob("*.parquet")) == files


def test_columns_that_change_keep_their_field_ids_by_name(project: Project):
    project.write({"models/apps.sql": "select 1 as id, 'a' as name, cast(1 as int) as size, 'x' as kind"})
    project.dbt("run")
    before = {field.name: field for field in project.catalog.load_table("main.apps").schema().fields}
    # `size` is promoted, `kind` becomes something else, `id` goes, `more` comes, and the order is another.
    project.write({"models/apps.sql": "select 2.5e0 as more, 'b' as name, 7 as kind, cast(2 as bigint) as size"})
    project.dbt("run")
    table = project.catalog.load_table("main.apps")
    after = {field.name: field for field in table.schema().fields}
    assert list(after) == ["more", "name", "kind", "size"]
    assert after["name"].field_id == before["name"].field_id
    assert after["size"].field_id == before["size"].field_id
    assert {after["kind"].field_id, after["more"].field_id}.isdisjoint(field.field_id for field in before.values())
    assert project.rows("main.apps") == [{"more": 2.5, "name": "b", "kind": 7, "size": 2}]
    oldest = table.scan(snapshot_id=table.snapshots()[0].snapshot_id).to_arrow().to_pylist()
    assert oldest == [{"id": 1, "name": "a", "size": 1, "kind": "x"}]


def test_names_keep_their_case(project: Project):
    project.write(
        {
            "models/Apps.sql": 'select 1 as "reboot", 2 as "REBOOT", 3 as "a ""quoted"" name"',
            "models/reader.sql": 'select "reboot", "REBOOT" + 1 as "More" from {{ ref("Apps") }}',
        }
    )
    project.dbt("run")
    assert project.rows("main.Apps") == [{"reboot": 1, "REBOOT": 2, 'a "quoted" name': 3}]
    assert project.rows("main.reader") == [{"reboot": 1, "More": 3}]


def test_views_are_kept_between_invocations_and_follow_what_they_read(any_project: Project):
    any_project.write(
        {
            "models/base.sql": "select * from (values (1), (2)) as t(id)",
            "models/doubled.sql": "{{ config(materialized='view') }} select id * 2 as id from {{ ref('base') }}",
            "models/nested.sql": "{{ config(materialized='view') }} select id + 1 as id from {{ ref('doubled') }}",
            "models/short.sql": "{{ config(materialized='ephemeral') }} select max(id) best from {{ ref('nested') }}",
            "models/top.sql": "select best from {{ ref('short') }}",
        }
    )
    any_project.dbt("run")
    assert any_project.rows("main.top") == [{"best": 5}]
    any_project.write({"models/base.sql": "select 10 as id"})
    any_project.dbt("run", "--select", "base", "top")
    assert any_project.rows("main.top") == [{"best": 21}]
    # A model that becomes a table, and one that becomes a view.
    any_project.write(
        {"models/doubled.sql": "select 1 as id", "models/base.sql": "{{ config(materialized='view') }} select 5 as id"}
    )
    any_project.dbt("run")
    assert any_project.rows("main.doubled") == [{"id": 1}]
    assert any_project.rows("main.top") == [{"best": 2}]


def test_a_view_that_reads_itself_is_an_error(project: Project):
    project.write({"models/a.sql": "{{ config(materialized='view') }} select 1 as id"})
    project.dbt("run")
    project.write({"models/a.sql": "{{ config(materialized='view') }} select id from main.a"})
    project.dbt("run")
    project.write({"models/b.sql": "select id from {{ ref('a') }}"})
    assert "reads itself" in project.dbt("run", "--select", "b", passes=False)["b"].message


def test_an_incremental_model_appends_in_one_snapshot(project: Project):
    project.write(
        {
            "models/log.sql": """
                {{ config(materialized='incremental') }}
                select {{ var('day', 1) }} as day, 'x' as what
                {% if is_incremental() %} where {{ var('day', 1) }} > (select max(day) from {{ this }}) {% endif %}
            """
        }
    )
    project.dbt("run")
    project.dbt("run", "--vars", json.dumps({"day": 2}))
    project.dbt("run", "--vars", json.dumps({"day": 2}))
    table = project.catalog.load_table("main.log")
    assert sorted(row["day"] for row in project.rows("main.log")) == [1, 2]
    assert [snapshot.summary.operation for snapshot in table.snapshots()] == [Operation.APPEND, Operation.APPEND]
    project.dbt("run", "--full-refresh")
    assert project.rows("main.log") == [{"day": 1, "what": "x"}]


def test_an_incremental_model_with_a_key_replaces_rows_in_one_snapshot_and_takes_new_columns(any_project: Project):
    config = "{{ config(materialized='incremental', unique_key='id', on_schema_change='append_new_columns') }}"
    any_project.write({"models/apps.sql": f"{config} select * from (values (1, 'a'), (2, 'b')) as t(id, name)"})
    any_project.dbt("run")
    any_project.write(
        {"models/apps.sql": f"{config} select * from (values (2, 'B', 7), (3, 'c', 8)) as t(id, name, size)"}
    )
    any_project.dbt("run")
    assert sorted(any_project.rows("main.apps"), key=lambda row: row["id"]) == [
        {"id": 1, "name": "a", "size": None},
        {"id": 2, "name": "B", "size": 7},
        {"id": 3, "name": "c", "size": 8},
    ]
    assert len(any_project.catalog.load_table("main.apps").snapshots()) == 2


def test_an_incremental_model_told_to_fail_on_new_columns_fails(project: Project):
    config = "{{ config(materialized='incremental', on_schema_change='fail') }}"
    project.write({"models/apps.sql": f"{config} select 1 as id"})
    project.dbt("run")
    project.write({"models/apps.sql": f"{config} select 2 as id, 3 as size"})
    assert "added: size" in project.dbt("run", passes=False)["apps"].message
    assert project.rows("main.apps") == [{"id": 1}]


def test_seeds_are_stored_with_the_types_their_values_suggest_or_the_project_names(project: Project):
    project.write(
        {
            "seeds/families.csv": """\
                id,name,share,first_seen,seen_at,benign,code
                1,Malap,0.5,2019-01-02,2019-01-02 03:04:05,true,007
                2,,1,2020-02-03,,false,8
            """,
            "seeds/schema.yml": "seeds: [{name: families, config: {column_types: {code: varchar, id: int}}}]",
            "models/reader.sql": "select name from {{ ref('families') }} where benign",
        }
    )
    project.dbt("build")
    project.dbt("build")
    rows = project.rows("main.families")
    assert [row["code"] for row in rows] == ["007", "8"]
    assert [row["name"] for row in rows] == ["Malap", None]
    assert str(rows[0]["first_seen"]) == "2019-01-02"
    assert str(rows[0]["seen_at"]) == "2019-01-02 03:04:05"
    kinds = {field.name: str(field.field_type) for field in project.catalog.load_table("main.families").schema().fields}
    assert (kinds["id"], kinds["share"], kinds["benign"]) == ("int", "double", "boolean")
    assert project.rows("main.reader") == [{"name": "Malap"}]


def test_generic_and_singular_tests_pass_fail_and_warn_as_they_should(project: Project):
    project.write(
        {
            "models/apps.sql": "select * from (values (1, 'a'), (1, 'b'), (2, null)) as t(id, name)",
            "models/owners.sql": "select 1 as id",
            "models/schema.yml": """
                models:
                  - name: apps
                    columns:
                      - name: id
                        data_tests:
                          - unique: {name: ids_unique}
                          - relationships: {name: ids_owned, arguments: {to: ref('owners'), field: id}}
                          - accepted_values: {name: ids_known, arguments: {values: [1, 2], quote: false}}
                      - name: name
                        data_tests: [not_null: {name: named, config: {severity: warn}}]
            """,
            "tests/few.sql": "select count(*) from {{ ref('apps') }} having count(*) > 3",
        }
    )
    results = project.dbt("build", passes=False)
    statuses = {name: str(result.status) for name, result in results.items()}
    assert statuses == {
        "apps": "success", "owners": "success", "ids_unique": "fail", "ids_owned": "fail",
        "ids_known": "pass", "named": "warn", "few": "pass",
    }  # fmt: skip
    assert results["ids_unique"].failures == 1


def test_docs_know_columns_types_rows_and_descriptions(project: Project):
    project.write(
        {
            "models/apps.sql": "{{ config(persist_docs={'relation': true, 'columns': true}) }} "
            "select cast(1 as bigint) as id, 'a' as name, date '2020-01-01' as seen",
            "models/schema.yml": """
                models:
                  - name: apps
                    description: All apps.
                    columns: [{name: id, description: Names the app.}]
            """,
        }
    )
    project.dbt("build")
    metadata_location = project.catalog.load_table("main.apps").metadata_location
    project.dbt("docs", "generate")
    [node] = json.loads((project.folder / "target" / "catalog.json").read_text())["nodes"].values()
    assert {name: column["type"] for name, column in node["columns"].items()} == {
        "id": "bigint", "name": "varchar", "seen": "date",
    }  # fmt: skip
    assert node["metadata"]["comment"] == "All apps."
    assert node["columns"]["id"]["comment"] == "Names the app."
    assert node["stats"]["rows"]["value"] == 1
    assert project.catalog.load_table("main.apps").metadata_location == metadata_location


def test_a_unit_test_runs_the_model_on_made_rows_and_makes_no_table(project: Project):
    project.write(
        {
            "models/apps.sql": "select 1 as id, 'x' as name",
            "models/doubled.sql": "select id * 2 as twice, name from {{ ref('apps') }}",
            "models/schema.yml": """
                unit_tests:
                  - name: twice_is_double
                    model: doubled
                    given: [{input: ref('apps'), rows: [{id: 21, name: a}, {id: 2, name: null}]}]
                    expect: {rows: [{twice: 42, name: a}, {twice: 4, name: null}]}
                  - name: wrong
                    model: doubled
                    given: [{input: ref('apps'), rows: [{id: 21}]}]
                    expect: {rows: [{twice: 43}]}
            """,
        }
    )
    project.dbt("run", "--select", "apps")
    statuses = {name: str(result.status) for name, result in project.dbt("test", passes=False).items()}
    assert statuses == {"twice_is_double": "pass", "wrong": "fail"}
    assert project.catalog.list_tables("main") == [("main", "apps")]


def test_a_contract_that_the_query_breaks_is_refused_before_anything_is_written(project: Project):
    contract = """
        models:
          - name: apps
            config: {contract: {enforced: true}}
            columns: [{name: id, data_type: bigint}, {name: name, data_type: varchar}]
    """
    project.write({"models/apps.sql": "select 'a' as name, 1 as id", "models/schema.yml": contract})
    project.dbt("run")
    assert project.catalog.load_table("main.apps").schema().column_names == ["id", "name"]
    project.write({"models/apps.sql": "select 'a' as name, 'one' as id"})
    assert "contract" in project.dbt("run", passes=False)["apps"].message
    assert project.rows("main.apps") == [{"id": 1, "name": "a"}]


def test_hooks_run_before_and_after_inside_and_outside_of_dbts_transaction(project: Project):
    hooks = """
        {{ config(
            pre_hook=[before_begin("create table main.one as select 1 as a"), "insert into main.one select 2"],
            post_hook=[after_commit("drop table main.one"), "insert into {{ this }} select 9"],
        ) }}
        select a from main.one
    """
    project.write({"models/apps.sql": hooks})
    project.dbt("run")
    assert sorted(row["a"] for row in project.rows("main.apps")) == [1, 2, 9]
    assert project.catalog.list_tables("main") == [("main", "apps")]


def test_a_model_of_another_schema_makes_its_namespace_and_is_documented(project: Project):
    project.write(
        {
            "models/apps.sql": "{{ config(schema='Marts', alias='Apps') }} select 1 as id",
            "macros/schema.sql": "{% macro generate_schema_name(name, node) %}{{ name or 'main' }}{% endmacro %}",
        }
    )
    project.dbt("run")
    project.dbt("docs", "generate")
    assert project.rows("Marts.Apps") == [{"id": 1}]
    assert list(json.loads((project.folder / "target" / "catalog.json").read_text())["nodes"]) == [
        "model.adapter_test.apps"
    ]


def test_four_threads_build_twelve_models_at_once(any_project: Project):
    one = "select value as id, value * {n} as x from generate_series(1, 20000) as t(value) order by 1"
    any_project.write({f"models/m{n}.sql": one.format(n=n) for n in range(11)})
    refs = " union all ".join(f"select count(*) as n from {{{{ ref('m{n}') }}}}" for n in range(11))
    any_project.write({"models/total.sql": f"select sum(n) as n from ({refs})"})
    any_project.dbt("run", "--threads", "4")
    assert any_project.rows("main.total") == [{"n": 220_000}]
    first = any_project.rows("main.m3")
    any_project.dbt("run", "--threads", "4")
    assert any_project.rows("main.m3") == first


def test_what_the_catalog_cannot_do_is_said_in_a_dbt_error(project: Project):
    project.write({"models/apps.sql": "select * from nowhere.table_x"})
    assert "table 'lake.nowhere.table_x' not found" in project.dbt("run", passes=False)["apps"].message


def test_show_and_debug_work(project: Project, capsys: pytest.CaptureFixture[str]):
    project.write({"models/apps.sql": "select 41 + 1 as answer"})
    project.dbt("show", "--inline", "select answer from {{ ref('apps') }}", passes=False)
    project.dbt("run")
    project.dbt("show", "--inline", "select answer from {{ ref('apps') }}")
    assert "42" in capsys.readouterr().out
    project.dbt("debug")


def test_a_source_is_as_fresh_as_its_last_snapshot(any_project: Project):
    sources = """
        sources:
          - name: raw
            schema: raw
            tables: [{name: apps}, {name: never_written}]
            config: {freshness: {warn_after: {count: 1, period: day}}}
    """
    any_project.write({"models/sources.yml": sources})
    any_project.catalog.create_namespace("raw")
    apps = pa.table({"id": [1]})
    for name in ("apps", "never_written"):
        any_project.catalog.create_table(f"raw.{name}", schema=apps.schema)
    any_project.catalog.load_table("raw.apps").append(apps)
    found = any_project.dbt("source", "freshness")
    assert {name: str(result.status) for name, result in found.items()} == {"apps": "pass", "never_written": "warn"}
    snapshot = any_project.catalog.load_table("raw.apps").current_snapshot()
    assert snapshot is not None
    assert found["apps"].max_loaded_at.timestamp() == snapshot.timestamp_ms / 1000
