"""The dbt project on DataFusion, Spark and DuckDB: equal tables, column by column and row by row. `make engines`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import ignore_patterns

import duckdb
import polars as pl
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.ingest import sample
from dfp_platform.lake import open_lake
from dfp_platform.resources.engines import ENGINES
from tests.e2e.conftest import environment_for
from tests.integration.test_dbt_project import PROJECT, REAL, Warehouse, generated, real_apps

KEYS = ("month", "sha256", "device", "malware", "mal_family")
"""What names a row, in every table that the project makes."""

pytestmark = pytest.mark.timeout(900)


def landed(folder: Path, rows: str) -> Warehouse:
    warehouse = Warehouse(folder)
    if rows == "real":
        real = real_apps()
        warehouse.land({"real_device": real, "emulator": real.head(0)})
    else:
        warehouse.land({device: generated(device) for device in sample.DEVICES})
    return warehouse


def dbt_build(
    target: str, environment: Mapping[str, str], folder: Path, *, select: str = "*", project: Path = PROJECT
) -> None:
    """In a process of its own, as Spark's session lives as long as its process."""
    command = [sys.executable, "-W", "ignore", "-c", "from dbt.cli.main import cli; cli()", "build"]
    chosen = ["--select", select, "--indirect-selection", "cautious"]  # no test of what is not built
    places = ["--project-dir", str(project), "--profiles-dir", str(project), "--target", target]
    outputs = ["--target-path", str(folder / target), "--log-level-file", "none", "--no-use-colors"]
    environment = {**os.environ, **environment, "DBT_LOG_PATH": str(folder / target)}
    done = subprocess.run(
        [*command, *chosen, *places, *outputs], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]


def built_in_lake(warehouse: Warehouse, engine: str, *, branch: str = "", select: str = "*") -> dict[str, pl.DataFrame]:
    branch = branch or engine
    warehouse.lake.create_branch(branch)
    with ENGINES[engine](warehouse.lake, branch) as target:
        dbt_build(target.name, target.environment, warehouse.folder, select=select)
    names = [path.replace("/", ".") for path in warehouse.tables(branch) if not path.startswith("raw/")]
    return {name: warehouse.table(name, branch) for name in names}


def built_in_duckdb(warehouse: Warehouse) -> dict[str, pl.DataFrame]:
    path = warehouse.folder / "third.duckdb"
    catalog = open_catalog(warehouse.lake)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema raw")
        for device in sample.DEVICES:
            rows = catalog.load_table(f"raw.kronodroid_{device}").scan().to_arrow()
            connection.register("rows", rows)
            connection.execute(f"create table raw.kronodroid_{device} as from rows")
    dbt_build("duckdb", {"DFP_DUCKDB": str(path)}, warehouse.folder)
    with duckdb.connect(str(path), read_only=True) as connection:
        listed = "select table_schema, table_name from information_schema.tables where table_schema <> 'raw'"
        names = [".".join(name) for name in connection.execute(listed).fetchall()]
        return {name: pl.from_arrow(connection.sql(f"from {name}").to_arrow_table()) for name in names}  # type: ignore[misc]


def refuse_drift(name: str, mine: pl.DataFrame, theirs: pl.DataFrame, engine: str) -> None:
    """Fail with the first rows that two engines made differently; nothing is rounded."""
    assert mine.columns == theirs.columns, f"{name}: {engine} has other columns"
    keys = [key for key in KEYS if key in mine.columns]
    mine, theirs = mine.sort(keys, nulls_last=True), theirs.cast(dict(mine.schema)).sort(keys, nulls_last=True)
    assert len(mine) == len(theirs), f"{name}: DataFusion made {len(mine)} rows, {engine} {len(theirs)}"
    for column in mine.columns:
        odd = mine[column].ne_missing(theirs[column])
        if odd.any():
            both = mine.filter(odd).select(*keys, column).with_columns(theirs.filter(odd)[column].alias(engine))
            shown = "\n".join(map(str, both.head(5).iter_rows(named=True)))
            pytest.fail(f"{name}.{column}: {odd.sum()} rows differ on {engine}, the first of them:\n{shown}")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The real rows where they lie beside the checkout, else generated ones."""
    rows = "real" if REAL.exists() else "generated"
    return landed(tmp_path_factory.mktemp(rows), rows)


def test_datafusion_spark_and_duckdb_make_equal_rows(built: Warehouse):
    mine = built_in_lake(built, "datafusion")
    assert len(mine) == 8
    for engine, tables in (("spark", built_in_lake(built, "spark")), ("duckdb", built_in_duckdb(built))):
        assert tables.keys() == mine.keys(), engine
        for name, rows in mine.items():
            refuse_drift(name, rows, tables[name], engine)


DAYS = "select cast(7 as bigint) as id, cast('2020-01-31' as date) as day union all select 8, cast(null as date)"
LAID_OUT = {
    "plural": "partition_by=['months(day)', 'bucket(4, id)'], sorted_by=['years(day) desc nulls last', 'id']",
    "singular": "partition_by='month(day)', sorted_by='year(day), id desc'",
}


def test_a_model_is_laid_out_by_one_spelling_on_every_engine(tmp_path: Path):
    models = shutil.copytree(PROJECT, tmp_path / "project", ignore=ignore_patterns("models", "tests", "target"))
    (models / "models" / "marts").mkdir(parents=True)
    for name, layout in LAID_OUT.items():
        (models / "models" / "marts" / f"{name}.sql").write_text(f"{{{{ config({layout}) }}}} {DAYS}")
    warehouse = Warehouse(tmp_path)
    for engine in ENGINES:
        warehouse.lake.create_branch(engine)
        with ENGINES[engine](warehouse.lake, engine) as target:
            dbt_build(target.name, target.environment, tmp_path, project=models)
    dbt_build("duckdb", {"DFP_DUCKDB": str(tmp_path / "third.duckdb")}, tmp_path, project=models)
    for name in LAID_OUT:
        mine, theirs = (open_catalog(warehouse.lake, engine).load_table(f"marts.{name}") for engine in ENGINES)
        fields = [[(field.source_id, field.transform) for field in each.spec().fields] for each in (mine, theirs)]
        assert fields[0] == fields[1]
        assert len(fields[0]) == (2 if name == "plural" else 1)
        assert mine.sort_order().fields == theirs.sort_order().fields
        assert len(mine.sort_order().fields) == 2
        refuse_drift(name, *(warehouse.table(f"marts.{name}", engine).sort("id") for engine in ENGINES), "spark")


def test_drift_is_shown_by_its_first_rows():
    ours = pl.DataFrame({"sha256": ["a", "b"], "share": [0.5, 0.25]})
    theirs = ours.with_columns(share=pl.Series([0.5, 0.250000001]))
    with pytest.raises(pytest.fail.Exception, match=r"(?s)marts.t.share: 1 rows differ on spark.*0\.250000001"):
        refuse_drift("marts.t", ours, theirs, "spark")


def test_a_run_on_another_engine_makes_the_same_contents(tmp_path: Path):
    environment = environment_for(tmp_path) | {"DFP_SAMPLE_ROWS": "300"}
    found: dict[str, dict[str, str]] = {}
    for engine in ("spark", "datafusion"):
        command = ["dfp", "run", "--to", "tables", "--source", "sample", "--engine", engine]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
        lake = open_lake(tmp_path / ".dfp" / "lake")
        catalog = open_catalog(lake)
        found[engine] = {".".join(name): catalog.pointer(name).content for name in catalog.all_tables()}
    assert len(found["spark"]) == 10
    assert found["spark"] == found["datafusion"]
