"""What materializations make of models: one commit each, whatever the strategy."""

from __future__ import annotations

import datetime as dt
import json
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dbt.adapters.datafusion import write
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation


class Project:
    """A dbt project in a folder of its own, on a catalog of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        properties = {"type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}/wh"}
        self.catalog = load_catalog("lake", **properties)
        here = {"type": "datafusion", "schema": "main", "threads": 4, "catalog": properties}
        self.write("profiles.yml", json.dumps({"p": {"target": "here", "outputs": {"here": here}}}))
        self.write("dbt_project.yml", json.dumps({"name": "p", "version": "1.0.0", "profile": "p"}))

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def dbt(self, *arguments: str, passes: bool = True) -> Mapping[str, Any]:
        """Run a dbt command in this process; return the result of each node by name."""
        from dbt.cli.main import dbtRunner

        places = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        quiet = ["--no-send-anonymous-usage-stats", "--quiet", "--log-level-file", "none"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dbt's own, of its own dependencies
            outcome = dbtRunner().invoke([*arguments, *places, *quiet])
        results = getattr(outcome.result, "results", ())
        assert outcome.success is passes, outcome.exception or [(r.node.name, r.message) for r in results]
        return {result.node.name: result for result in results}

    def table(self, name: str) -> Table:
        return self.catalog.load_table(("main", name))

    def rows(self, name: str, *columns: str) -> list[tuple]:
        found = self.table(name).scan().to_arrow().to_pylist()
        return sorted((tuple(row[column] for column in columns or row) for row in found), key=str)

    def commits(self, name: str) -> list[tuple[Operation, str]]:
        return [
            (snapshot.summary.operation, snapshot.summary.additional_properties[write.INTENT])
            for snapshot in self.table(name).snapshots()
            if snapshot.summary
        ]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.catalog.close()


def incremental(query: str, **config: Any) -> str:
    settings = ", ".join(f"{name}={value!r}" for name, value in {"materialized": "incremental", **config}.items())
    return f"{{{{ config({settings}) }}}}\n{query}"


def test_a_merge_updates_some_columns_by_one_commit(project: Project):
    config = {"unique_key": "id", "incremental_strategy": "merge", "merge_exclude_columns": ["seen"]}
    project.write("models/m.sql", incremental("select 1 as id, 'a' as name, 'old' as seen", **config))
    project.dbt("run")
    later = "select 1 as id, 'A' as name, 'new' as seen union all select 2, 'b', 'new'"
    project.write("models/m.sql", incremental(later, **config))
    assert project.dbt("run")["m"].adapter_response["rows_affected"] == 2
    assert project.rows("m") == [(1, "A", "old"), (2, "b", "new")]
    assert project.commits("m") == [(Operation.APPEND, "table"), (Operation.OVERWRITE, "rows")]
    assert len(project.table("m").metadata.metadata_log) == 1


def test_a_merge_that_fails_leaves_columns_rows_and_files_as_they_were(project: Project):
    config = {"unique_key": "id", "incremental_strategy": "merge", "on_schema_change": "append_new_columns"}
    project.write("models/m.sql", incremental("select 1 as id, 'a' as name", **config))
    project.dbt("run")
    place, files = project.table("m").metadata_location, set(project.folder.rglob("*.parquet"))
    twice = "select 1 as id, 'A' as name, 5 as size union all select 1, 'B', 6"
    project.write("models/m.sql", incremental(twice, **config))
    assert "keys of the source are not unique" in project.dbt("run", passes=False)["m"].message
    assert project.table("m").metadata_location == place
    assert set(project.folder.rglob("*.parquet")) == files


def test_partitions_are_overwritten_by_one_commit(project: Project):
    config = {"incremental_strategy": "insert_overwrite", "partition_by": ["day(at)"], "sorted_by": "id desc"}
    rows = "select * from (values {}) as t(id, at)"
    first = rows.format("(1, timestamp '2020-01-01T01:00:00'), (2, timestamp '2020-01-02T01:00:00')")
    project.write("models/m.sql", incremental(first, **config))
    project.dbt("run")
    second = rows.format("(3, timestamp '2020-01-02T05:00:00'), (4, timestamp '2020-01-02T06:00:00')")
    project.write("models/m.sql", incremental(second, **config))
    project.dbt("run")
    assert project.rows("m", "id") == [(1,), (3,), (4,)]
    assert project.commits("m") == [(Operation.APPEND, "table"), (Operation.OVERWRITE, "partitions")]
    files = [task.file for task in project.table("m").scan().plan_files()]
    assert {file.partition[0] for file in files} == {18262, 18263}
    assert {file.sort_order_id for file in files} == {1}


def test_a_batch_replaces_its_span_of_time_by_one_commit(project: Project):
    rows = "(1, timestamp '2020-01-01T01:00:00'), ({}, timestamp '2020-01-02T01:00:00')"
    events = f"select * from (values {rows}) as t(id, at)"
    project.write("models/events.sql", "{{ config(materialized='table', event_time='at') }}" + events.format(2))
    config = {"incremental_strategy": "microbatch", "event_time": "at", "batch_size": "day", "begin": "2020-01-01"}
    project.write("models/m.sql", incremental("select * from {{ ref('events') }}", **config))
    span = ("--event-time-start", "2020-01-01", "--event-time-end", "2020-01-03")
    project.dbt("run", *span)
    commits = len(project.commits("m"))
    project.write("models/events.sql", "{{ config(materialized='table', event_time='at') }}" + events.format(7))
    project.dbt("run", "--event-time-start", "2020-01-02", "--event-time-end", "2020-01-03")
    assert project.rows("m", "id") == [(1,), (7,)]
    assert project.commits("m")[commits:] == [(Operation.OVERWRITE, "rows")]


def test_columns_follow_the_model_in_the_commit_that_brings_their_rows(project: Project):
    config = {"unique_key": "id", "on_schema_change": "sync_all_columns"}
    project.write("models/m.sql", incremental("select 1 as id, 'a' as old", **config))
    project.dbt("run")
    project.write("models/m.sql", incremental("select 2 as id, 'n' as new", **config))
    project.dbt("run")
    assert project.rows("m") == [(1, None), (2, "n")]
    assert len(project.table("m").metadata.metadata_log) == 1
    project.write("models/m.sql", incremental("select 'x' as id, 'n' as new", **config))
    assert "full-refresh" in project.dbt("run", passes=False)["m"].message


SNAPSHOT = """
{% snapshot s %}
{{ config(target_schema='main', unique_key='id', strategy='check', check_cols='all', hard_deletes='invalidate',
          dbt_valid_to_current="cast('9999-12-31' as timestamp(6))") }}
select * from {{ ref('m') }}
{% endsnapshot %}
"""


def test_a_snapshot_closes_and_adds_versions_by_one_commit(project: Project):
    project.write(
        "models/m.sql", "{{ config(materialized='table') }} select * from (values (1, 'a'), (2, 'b')) as t(id, name)"
    )
    project.write("snapshots/s.sql", SNAPSHOT)
    project.dbt("build")
    project.write(
        "models/m.sql",
        "{{ config(materialized='table') }} select 1 as id, 'A' as name, 7 as size union all select 3, 'c', 8",
    )
    project.dbt("build")
    forever = dt.datetime(9999, 12, 31)
    versions = project.rows("s", "id", "name", "size", "dbt_valid_to")
    open_ones = [row[:3] for row in versions if forever in row]
    assert open_ones == [(1, "A", 7), (3, "c", 8)]
    assert [row[:3] for row in versions if forever not in row] == [(1, "a", None), (2, "b", None)]
    assert all(None not in row[3:] for row in versions)
    assert project.commits("s") == [(Operation.APPEND, "table"), (Operation.OVERWRITE, "rows")]
    project.dbt("build")
    assert len(project.commits("s")) == 2  # nothing changed


def test_grants_are_ignored_with_a_warning(project: Project):
    project.write("models/m.sql", "{{ config(materialized='table', grants={'select': ['someone']}) }} select 1 as id")
    project.dbt("run")
    assert project.rows("m") == [(1,)]
    assert project.dbt("--warn-error", "run", passes=False) is not None


def test_a_clone_shares_no_file(project: Project):
    project.write("models/m.sql", "{{ config(materialized='table', partition_by='id') }} select 1 as id")
    project.dbt("run", "--target-path", str(project.folder / "state"))
    text = (project.folder / "profiles.yml").read_text().replace('"main"', '"copy"')
    project.write("profiles.yml", text)
    project.dbt("clone", "--state", str(project.folder / "state"))
    copy = project.catalog.load_table(("copy", "m"))
    assert copy.scan().to_arrow().to_pylist() == [{"id": 1}]
    assert copy.spec().fields[0].name == "id"
    files = {task.file.file_path for table in (copy, project.table("m")) for task in table.scan().plan_files()}
    assert len(files) == 2


def test_failures_are_stored_as_tables_and_views(project: Project):
    project.write("models/m.sql", "{{ config(materialized='table') }} select * from (values (1), (null)) as t(id)")
    project.write(
        "tests/as_table.sql", "{{ config(store_failures=true) }} select * from {{ ref('m') }} where id is null"
    )
    project.write(
        "tests/as_view.sql", "{{ config(store_failures_as='view') }} select * from {{ ref('m') }} where id = 1"
    )
    project.dbt("build", passes=False)
    kept = {name: project.catalog.load_table(("main_dbt_test__audit", name)) for name in ("as_table", "as_view")}
    assert kept["as_table"].scan().to_arrow().to_pylist() == [{"id": None}]
    assert write.VIEW_QUERY in kept["as_view"].properties
