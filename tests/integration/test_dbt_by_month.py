"""`fct_apps_by_month`: what a month counts, and that months are built by themselves without a look at the others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl
import pytest

from dfp_platform.assets.tables import MONTHS
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.ingest import sample
from dfp_platform.lake.interface import Lake
from tests.integration.test_dbt_project import RUN, Warehouse, generated

TABLE, SAMPLES = "marts.fct_apps_by_month", "marts.fct_malware_samples"
KEYS = ["month", "device", "malware"]
LAST_OF_2018 = ("--event-time-start", "2018-10-01", "--event-time-end", "2019-01-01")
BY_MONTH = ("build", "--select", "fct_apps_by_month")


def overwritten(lake: Lake, table: str, rows: pl.DataFrame, *, ref: str) -> None:
    found = open_catalog(lake, ref).load_table(table)
    found.overwrite(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(found.schema().as_arrow()))


def counted(samples: pl.DataFrame) -> pl.DataFrame:
    """The table of a set of apps, written again in polars."""
    named = (pl.col("malware") == 1) & (pl.col("mal_family") != "unknown")
    apps = (
        samples.filter(pl.col("highest_date").is_not_null())
        .with_columns(month=pl.col("highest_date").dt.month_start())
        .group_by(KEYS)
        .agg(
            apps=pl.len(),
            packages=pl.col("package").n_unique(),
            families=pl.col("mal_family").filter(named).n_unique(),
            permissions=pl.col("nr_permissions").sum(),
            dangerous_permissions=pl.col("nr_dangerous_permissions").sum(),
            apps_asking_dangerous=(pl.col("nr_dangerous_permissions") > 0).sum(),
            syscalls=pl.col("nr_syscalls").sum(),
            silent_apps=(pl.col("nr_syscalls") == 0).sum(),
            compressed_bytes=pl.col("compressed_bytes").sum(),
        )
    )
    months = pl.DataFrame({"month": [date.fromisoformat(key) for key in MONTHS.get_partition_keys()]})
    devices, labels = (
        pl.DataFrame({"device": [*sample.DEVICES]}),
        pl.DataFrame({"malware": [0, 1]}, {"malware": pl.Int32}),
    )
    every = months.join(devices, how="cross").join(labels, how="cross").join(apps, on=KEYS, how="left")
    counts = [name for name in every.columns if name not in KEYS]
    share = pl.col("dangerous_permissions") / pl.col("permissions")
    whole = every.with_columns(pl.col(counts).cast(pl.Int64).fill_null(0))
    return whole.with_columns(dangerous_permission_share=pl.when(pl.col("permissions") > 0).then(share)).sort(KEYS)


def samples_of(device: str) -> pl.DataFrame:
    """What the model reads of `fct_malware_samples`; every 50th app has no date."""
    undated = pl.when(pl.int_range(pl.len()) % 50 == 0).then(None).otherwise(pl.col("highest_date"))
    return generated(device, 400).select(
        "sha256",
        pl.col("package").str.strip_chars(),
        pl.lit(device).alias("device"),
        "malware",
        pl.when(pl.col("malware") == 1).then(pl.col("mal_family").fill_null("unknown")).alias("mal_family"),
        undated.alias("highest_date"),
        nr_syscalls="sys_nr_syscalls",
        nr_permissions="perm_nr_permissions",
        nr_dangerous_permissions="perm_dangerous",
        compressed_bytes="app_c_file_size",
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Apps of both devices, and the table by month built whole."""
    warehouse = Warehouse(tmp_path_factory.mktemp("months"))
    samples = pl.concat(samples_of(device) for device in sample.DEVICES)
    arrow = samples.to_arrow(compat_level=pl.CompatLevel.oldest())
    overwrite(open_catalog(warehouse.lake), SAMPLES, arrow)
    warehouse.lake.create_branch(RUN)
    statuses = warehouse.dbt(*BY_MONTH)
    assert set(statuses.values()) == {"success", "pass"}
    assert statuses.keys() >= {"months_and_the_undated_are_all_apps", "a_month_counts_its_apps"}
    return warehouse


@pytest.fixture
def fewer(built: Warehouse, request: pytest.FixtureRequest) -> tuple[Warehouse, str]:
    """A branch on which the apps of every December, and every third other, are gone, and the months do not know yet."""
    ref = request.node.name[:40].replace("[", "-").replace("]", "")
    built.lake.create_branch(ref, RUN)
    dated = pl.col("highest_date").dt.month().fill_null(1)
    kept = built.table(SAMPLES).filter((dated != 12) & (pl.int_range(pl.len()) % 3 > 0))
    overwritten(built.lake, SAMPLES, kept, ref=ref)
    return built, ref


def test_every_month_device_and_label_counts_its_apps_and_the_undated_are_in_none(built: Warehouse) -> None:
    samples = built.table(SAMPLES)
    assert samples["highest_date"].null_count() == 16
    made = built.table(TABLE).sort(KEYS)
    assert made.equals(counted(samples))
    assert made["apps"].sum() == len(samples) - 16
    assert len(made) == 168 * 4


def test_months_are_built_by_themselves_and_the_others_stay_as_they_are(fewer: tuple[Warehouse, str]) -> None:
    built, ref = fewer
    statuses = built.dbt(*BY_MONTH, *LAST_OF_2018, ref=ref)
    assert statuses["a_month_counts_its_apps"] == "pass"
    assert statuses["months_and_the_undated_are_all_apps"] == "warn", "the other months wait"
    whole, old = counted(built.table(SAMPLES, ref)), built.table(TABLE).sort(KEYS)
    asked = pl.col("month").is_between(date(2018, 10, 1), date(2018, 12, 1))
    made = built.table(TABLE, ref).sort(KEYS)
    assert made.filter(asked).equals(whole.filter(asked))
    assert made.filter(~asked).equals(old.filter(~asked))
    december = pl.col("month") == date(2018, 12, 1)
    assert old.filter(december)["apps"].sum() > 0
    assert made.filter(december)["apps"].sum() == 0, "a month whose apps are gone is zero, not what it was"


def test_a_build_without_months_builds_all(fewer: tuple[Warehouse, str]) -> None:
    built, ref = fewer
    assert set(built.dbt(*BY_MONTH, ref=ref).values()) == {"success", "pass"}
    assert built.table(TABLE, ref).sort(KEYS).equals(counted(built.table(SAMPLES, ref)))


def test_the_first_build_is_whole_whatever_months_were_asked_for(built: Warehouse) -> None:
    built.lake.create_branch("first", RUN)
    open_catalog(built.lake, "first").drop_table(TABLE)
    built.dbt(*BY_MONTH, *LAST_OF_2018, ref="first")
    assert built.table(TABLE, "first").sort(KEYS).equals(built.table(TABLE).sort(KEYS))


def test_a_month_that_counts_wrong_fails_its_test(built: Warehouse) -> None:
    built.lake.create_branch("wrong", RUN)
    apps: Mapping[str, pl.Expr] = {"apps": pl.col("apps") + (pl.col("month") == date(2018, 10, 1)).cast(pl.Int64)}
    overwritten(built.lake, TABLE, built.table(TABLE).with_columns(**apps), ref="wrong")
    chosen = ("test", "--select", "fct_apps_by_month")
    found = built.dbt(*chosen, ref="wrong", passes=False)
    assert found["a_month_counts_its_apps"] == "fail"
    assert found["months_and_the_undated_are_all_apps"] == "warn"


def test_the_project_and_the_platform_agree_on_the_months(built: Warehouse) -> None:
    months = [f"{month}" for month in built.table(TABLE)["month"].unique().sort()]
    assert months == MONTHS.get_partition_keys()


def test_months_lie_in_partitions_of_their_own(built: Warehouse) -> None:
    from dfp_platform.catalog.partitions import partition_contents

    held = partition_contents(built.lake, RUN, "tables/marts/fct_apps_by_month")
    assert {month: found.rows for month, found in held.items()} == dict.fromkeys(MONTHS.get_partition_keys(), 4)
