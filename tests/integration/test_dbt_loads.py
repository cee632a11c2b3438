"""Tables that grow load by load: what an increment leaves is what a build from nothing would have made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dfp_platform.ingest import sample
from tests.dbt_warehouse import Warehouse

SECOND, THIRD = "0002-000000000000", "0003-000000000000"
MARTS = ("fct_malware_samples", "fct_training_dataset", "split_index", "dim_malware_families")
TABLES = (
    *(f"staging.stg_kronodroid__{name}" for name in ("real_device", "emulator", "combined")),
    *(f"marts.{name}" for name in MARTS),
)
BY_LOAD = ("staging.stg_kronodroid__real_device", "staging.stg_kronodroid__combined", "marts.fct_training_dataset")

Apps = Mapping[str, pl.DataFrame]


def generated(device: str, *, rows: int, seed: int) -> pl.DataFrame:
    return pl.concat(list(sample.batches(device, rows=rows, seed=seed)))


@pytest.fixture(scope="module")
def first() -> dict[str, pl.DataFrame]:
    return {device: generated(device, rows=60, seed=3) for device in sample.DEVICES}


@pytest.fixture(scope="module")
def later(first: Apps) -> pl.DataFrame:
    """New apps of the real device, one that was there before with other values, and a system call nobody counted."""
    oldest = pl.date(2009, 1, 1)
    again = first["real_device"].head(1).with_columns(package=pl.lit("org.example.again"), highest_date=oldest)
    apps = pl.concat([generated("real_device", rows=20, seed=4), again])
    calls = pl.int_range(pl.len(), dtype=pl.Int32)
    return apps.with_columns(sys_statx=calls, sys_nr_syscalls=pl.col("sys_nr_syscalls") + calls)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, first: Apps, later: pl.DataFrame) -> Warehouse:
    """Built, one load more, built again."""
    warehouse = Warehouse(tmp_path_factory.mktemp("grown"))
    warehouse.land(first)
    warehouse.dbt("run")
    warehouse.append("real_device", later, load=SECOND)
    warehouse.dbt("build")
    return warehouse


@pytest.fixture(scope="module")
def from_nothing(tmp_path_factory: pytest.TempPathFactory, first: Apps, later: pl.DataFrame) -> Warehouse:
    """Both loads, built at once."""
    warehouse = Warehouse(tmp_path_factory.mktemp("from-nothing"))
    warehouse.land(first)
    warehouse.append("real_device", later, load=SECOND)
    warehouse.dbt("run")
    return warehouse


def assert_equal_rows(mine: Warehouse, theirs: Warehouse, name: str) -> None:
    keys = [key for key in ("sha256", "device", "mal_family") if key in mine.table(name).columns]
    assert_frame_equal(
        mine.table(name).sort(keys), theirs.table(name).sort(keys), check_exact=True, check_column_order=False
    )


@pytest.mark.parametrize("name", TABLES)
def test_an_increment_leaves_the_rows_of_a_build_from_nothing(grown: Warehouse, from_nothing: Warehouse, name: str):
    assert_equal_rows(grown, from_nothing, name)


def test_an_app_of_two_loads_is_there_once_as_the_later_load_has_it(grown: Warehouse, first: Apps):
    digest = first["real_device"]["sha256"][0]
    for name in ("staging.stg_kronodroid__real_device", "marts.fct_training_dataset"):
        [row] = grown.table(name).filter(sha256=digest, device="real_device").to_dicts()
        assert (row["package"], row["load_id"]) == ("org.example.again", SECOND)
    [place] = grown.table("marts.split_index").filter(sha256=digest, device="real_device").to_dicts()
    assert place["time_rank"] == 0  # its date is the oldest now, and all others moved up


def test_a_new_system_call_goes_through_to_the_training_set(grown: Warehouse):
    trained = grown.table("marts.fct_training_dataset")
    assert trained.filter(pl.col("load_id") != SECOND)["sys_statx"].null_count() == 119
    assert sorted(trained.filter(load_id=SECOND)["sys_statx"]) == list(range(21))


def test_an_increment_writes_only_the_files_it_changes(tmp_path: Path, first: Apps, later: pl.DataFrame):
    warehouse = Warehouse(tmp_path)
    warehouse.land(first)
    warehouse.dbt("run")
    before = {name: set(warehouse.files(name)) for name in BY_LOAD}
    warehouse.append("real_device", later.head(20), load=SECOND)  # without the app that was there before
    warehouse.dbt("run")
    for name in BY_LOAD:
        assert before[name] < set(warehouse.files(name)), name
    head = warehouse.lake.resolve("run-1")
    warehouse.dbt("run")
    assert warehouse.lake.resolve("run-1") == head  # nothing new, nothing written


def test_a_load_whose_apps_all_came_again_is_not_taken_twice(tmp_path: Path, first: Apps):
    warehouse = Warehouse(tmp_path)
    few = {device: apps.head(5) for device, apps in first.items()}
    warehouse.land(few)
    warehouse.append("real_device", few["real_device"].with_columns(year=pl.lit(None, pl.Int32)), load=SECOND)
    warehouse.dbt("run", "--select", "staging")
    warehouse.append("real_device", first["real_device"].tail(5), load=THIRD)
    warehouse.dbt("run", "--select", "staging")
    staged = warehouse.table("staging.stg_kronodroid__real_device")
    assert dict(staged["load_id"].value_counts().iter_rows()) == {SECOND: 5, THIRD: 5}
    assert staged.filter(load_id=SECOND)["year"].null_count() == 5


def test_rows_that_were_replaced_are_gone_from_every_table(tmp_path: Path, first: Apps):
    warehouse = Warehouse(tmp_path)
    warehouse.land(first)
    warehouse.dbt("run")
    other = tmp_path / "other.parquet"
    generated("real_device", rows=30, seed=9).with_columns(load_id=pl.lit("0001-ffffffffffff")).write_parquet(other)
    warehouse.replace("real_device", [str(other)])
    warehouse.dbt("run")
    for name in ("staging.stg_kronodroid__combined", "marts.fct_training_dataset", "marts.split_index"):
        assert warehouse.table(name).filter(device="real_device").height == 30, name
        assert warehouse.table(name).filter(device="emulator").height == 60, name
