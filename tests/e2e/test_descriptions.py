"""No column of any table that the demo made lacks a description, in the table itself and on its page in Dagster."""

from __future__ import annotations

import json
import subprocess

import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.catalog.describing import column_docs
from dfp_platform.ingest.descriptions import DESCRIPTIONS
from dfp_platform.lake import open_lake
from dfp_platform.resources.dagster_internals import key_of, path_of, project_instance
from dfp_platform.settings import PROJECT_ROOT
from tests.e2e.conftest import Demo


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_every_column_of_every_table_of_the_demo_is_described(demo: Demo) -> None:
    catalog = open_catalog(open_lake(demo.home / "lake"))
    tables = [".".join(name) for name in catalog.all_tables()]
    assert len(tables) == 10
    docs = {table: {name: doc for name, _, doc in column_docs(catalog, table)} for table in tables}
    assert [f"{table}.{name}" for table, columns in docs.items() for name, doc in columns.items() if not doc] == []
    trained = docs["marts.fct_training_dataset"]
    assert trained["sys_read"] == docs["raw.kronodroid_emulator"]["sys_read"] == DESCRIPTIONS["sys_read"]
    assert "android.permission.CAMERA" in trained["perm_camera"]
    assert trained["split"] == "train, validation or test by hash.", "what the dbt project says comes first"
    assert all(catalog.load_table(table).properties.get("comment") for table in tables if not table.startswith("raw."))


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_the_page_of_a_table_shows_its_columns_and_so_does_the_command(demo: Demo) -> None:
    with project_instance(PROJECT_ROOT, demo.home / "dagster") as instance:
        for asset in ("tables/raw/kronodroid_real_device", "tables/marts/fct_training_dataset"):
            latest = instance.get_latest_materialization_event(key_of(asset))
            assert latest is not None
            assert latest.asset_materialization is not None
            schema = latest.asset_materialization.metadata["dagster/column_schema"].value
            described = {column.name: column.description for column in schema.columns}
            assert described["sys_read"] == DESCRIPTIONS["sys_read"]
        lineage = latest.asset_materialization.metadata["dagster/column_lineage"].value  # of the last, which dbt made
        (read,), (split,) = lineage.deps_by_column["sys_read"], lineage.deps_by_column["split"]
        assert (path_of(read.asset_key), read.column_name) == ("tables/staging/stg_kronodroid__combined", "sys_read")
        assert split.column_name == "sha256", "a hash of it decides"
    command = ["dfp", "catalog", "describe", "marts.split_index", "--json"]
    told = subprocess.run(command, cwd=demo.root, env=demo.environment, capture_output=True, text=True, check=True)
    columns = {column["column"]: column for column in json.loads(told.stdout)}
    assert columns["time_rank"]["type"] == "long"
    assert "oldest is 0" in columns["time_rank"]["description"]
