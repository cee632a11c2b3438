"""`dbt_project` on a lake: the tables it makes, on generated apps and, where they are present, on the real ones."""

from __future__ import annotations

import hashlib
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dfp_platform.catalog import open_catalog
from dfp_platform.ingest import sample
from dfp_platform.ingest.columns import landed_schema
from dfp_platform.schemas import FEATURE_PREFIXES, LEAKING_COLUMNS, MAIN
from tests.dbt_warehouse import PROJECT, RUN, Warehouse

REAL = Path(__file__).resolve().parents[3] / "shared" / "kronodroid" / "real_device_2019.csv"
ROWS = 700


def generated(device: str, rows: int = ROWS) -> pl.DataFrame:
    return pl.concat(list(sample.batches(device, rows=rows, seed=7)))


def real_apps() -> pl.DataFrame:
    """The real rows beside the checkout, as they land."""
    kinds = landed_schema()
    published = pl.read_csv(REAL, infer_schema=False)
    landed = published.rename(dict(zip(published.columns, kinds, strict=True)))
    return landed.with_columns(
        pl.col(name).str.to_date() if kind == pl.Date else pl.col(name).cast(kind) for name, kind in kinds.items()
    )


@pytest.fixture(scope="module")
def apps() -> dict[str, pl.DataFrame]:
    made = {device: generated(device) for device in sample.DEVICES}
    # The first app calls reboot five times and asks for the permission REBOOT; what totals there are say so too.
    first = pl.int_range(pl.len()) == 0
    calls = pl.when(first).then(5 - pl.col("sys_reboot")).otherwise(0)
    asks = pl.when(first).then(1 - pl.col("perm_reboot")).otherwise(0)
    permitted = ("perm_reboot", "perm_signature", "perm_nr_permissions", "perm_total_perm")
    made["real_device"] = made["real_device"].with_columns(
        *((pl.col(name) + calls).alias(name) for name in ("sys_reboot", "sys_nr_syscalls")),
        *((pl.col(name) + asks).alias(name) for name in permitted),
    )
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, apps: Mapping[str, pl.DataFrame]) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("built"))
    warehouse.land(apps)
    warehouse.dbt("build")
    shutil.copytree(warehouse.folder / "target" / "compiled", warehouse.folder / "compiled")  # of a build from nothing
    return warehouse


def test_a_build_makes_the_tables_of_staging_and_marts_on_its_branch_only(built: Warehouse):
    raw = {"raw/kronodroid_real_device", "raw/kronodroid_emulator"}
    staging = {f"staging/stg_kronodroid__{name}" for name in ("real_device", "emulator", "combined")}
    marts = {
        f"marts/{name}"
        for name in (
            "fct_malware_samples",
            "dim_malware_families",
            "fct_training_dataset",
            "split_index",
            "fct_apps_by_month",
        )
    }
    assert built.tables() == raw | staging | marts
    assert built.tables(MAIN) == raw


def test_the_training_set_has_the_agreed_columns_and_every_feature_in_order(built: Warehouse):
    columns = built.table("marts.fct_training_dataset").columns
    features = [name for name in landed_schema() if name.startswith(FEATURE_PREFIXES)]
    assert columns[:7] == ["sha256", "package", "device", "malware", "mal_family", "highest_date", "split"]
    assert columns[7:] == [*features, "load_id"]
    assert not LEAKING_COLUMNS & set(columns)
    assert str(built.table("marts.split_index").schema["time_rank"]) == "Int64"


def test_every_app_is_trained_on_with_the_counts_it_landed_with(built: Warehouse, apps: Mapping[str, pl.DataFrame]):
    trained = built.table("marts.fct_training_dataset")
    features = [name for name in trained.columns if name.startswith(FEATURE_PREFIXES)]
    for device, landed in apps.items():
        mine = trained.filter(pl.col("device") == device).sort("sha256")
        theirs = landed.sort("sha256")
        assert mine.select("sha256", "malware", *features).equals(theirs.select("sha256", "malware", *features))
        assert mine["package"].to_list() == theirs["package"].str.strip_chars().to_list()
        assert not mine["package"].str.contains(r"\s").any()


def test_the_call_reboot_and_the_permission_reboot_stay_apart(built: Warehouse, apps: Mapping[str, pl.DataFrame]):
    trained = built.table("marts.fct_training_dataset").filter(pl.col("device") == "real_device")
    called, asked = trained.select("sha256", "sys_reboot"), trained.select("sha256", "perm_reboot")
    assert dict(called.iter_rows())[apps["real_device"]["sha256"][0]] == 5
    assert dict(asked.iter_rows())[apps["real_device"]["sha256"][0]] == 1
    assert trained["perm_reboot"].max() == 1


def split_by_rule(sha256: str) -> str:
    place = int(hashlib.md5(f"v1:{sha256}".encode()).hexdigest(), 16) / 16**32
    return "train" if place < 0.7 else "validation" if place < 0.85 else "test"


def check_splits(trained: pl.DataFrame, index: pl.DataFrame) -> None:
    """Hold both splits against the rule, written again in Python."""
    assert index["split"].to_list() == [split_by_rule(sha256) for sha256 in index["sha256"]]
    placed = trained.join(index.drop("split"), on=["sha256", "device"])
    assert len(placed) == len(trained) == len(index)
    for (device,), apps in placed.group_by("device"):
        ordered = apps.sort("highest_date", "sha256", nulls_last=True)
        assert ordered["time_rank"].to_list() == list(range(len(apps))), device
        past = -(-len(apps) * 7 // 10)
        assert ordered["time_split"].to_list() == ["past"] * past + ["future"] * (len(apps) - past), device
    keys = ["sha256", "device", "split"]
    assert trained.select(keys).sort(keys).equals(index.select(keys).sort(keys))


def test_both_splits_follow_their_rules(built: Warehouse):
    index = built.table("marts.split_index")
    check_splits(built.table("marts.fct_training_dataset"), index)
    assert set(index["split_version"]) == {"v1"}
    shares = dict(index.unique("sha256")["split"].value_counts(normalize=True).iter_rows())
    assert shares["train"] == pytest.approx(0.70, abs=0.06)
    assert shares["test"] == pytest.approx(0.15, abs=0.06)


def test_another_engine_makes_equal_rows_of_the_same_sql(built: Warehouse):
    import duckdb

    compiled = built.folder / "compiled" / "dfp" / "models"
    engine = duckdb.connect()
    for namespace in ("raw", "staging", "marts"):
        engine.execute(f"create schema {namespace}")
    for device in sample.DEVICES:
        path = built.folder / f"{device}.parquet"
        engine.execute(f"create table raw.kronodroid_{device} as from read_parquet('{path}')")
    order = [
        "staging/stg_kronodroid__real_device",
        "staging/stg_kronodroid__emulator",
        "staging/stg_kronodroid__combined",
    ]
    order += [f"marts/{name}" for name in ("split_index", "fct_training_dataset", "fct_malware_samples")]
    for model in [*order, "marts/dim_malware_families", "marts/fct_apps_by_month"]:
        name = model.replace("/", ".")
        engine.execute(f"create table {name} as {(compiled / f'{model}.sql').read_text()}")
        theirs = pl.from_arrow(engine.sql(f"from {name}").to_arrow_table())
        mine = built.table(name)
        keys = [key for key in ("month", "sha256", "device", "malware", "mal_family") if key in mine.columns]
        assert mine.columns == theirs.columns, model
        assert_frame_equal(mine.sort(keys), theirs.sort(keys), check_exact=True, check_dtypes=False)
    engine.close()


def test_families_are_counted_over_malware_only(built: Warehouse, apps: Mapping[str, pl.DataFrame]):
    families = built.table("marts.dim_malware_families")
    malware = pl.concat(list(apps.values())).filter(pl.col("malware") == 1)
    assert families["apps"].sum() == len(malware)
    assert families["share"].sum() == pytest.approx(1.0)
    assert families["apps_on_real_device"].sum() == apps["real_device"]["malware"].sum()
    assert families["first_seen"].min() == malware["highest_date"].min()


def test_a_second_build_of_equal_rows_commits_nothing_and_keeps_no_file(built: Warehouse):
    head, files = built.lake.resolve(RUN), set(built.folder.rglob("*.parquet"))
    built.dbt("build")
    assert built.lake.resolve(RUN) == head
    assert set(built.folder.rglob("*.parquet")) == files


def test_another_branch_needs_no_new_parse(built: Warehouse):
    built.lake.create_branch("run-2")
    built.dbt("run", "--select", "split_index", ref="run-2", passes=False)  # its staging tables are not there yet
    assert "UnableToPartialParse" not in built.events
    built.dbt("run", ref="run-2")
    assert built.tables("run-2") == built.tables(RUN)


def test_a_branch_that_is_not_there_is_named(built: Warehouse):
    from dbt.cli.main import dbtRunner

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")
        environment.setenv("DFP_LAKE", built.lake.uri)
        environment.setenv("DFP_REF", "no-such-branch")
        places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        outputs = ["--target-path", str(built.folder / "target"), "--quiet", "--log-level-file", "none"]
        outcome = dbtRunner().invoke(["run", *places, *outputs])
    assert not outcome.success
    assert "no-such-branch" in str(outcome.exception)


def test_an_app_that_landed_twice_stops_the_build_before_the_marts(tmp_path: Path, apps: Mapping[str, pl.DataFrame]):
    twice = pl.concat([apps["real_device"], apps["real_device"].head(1)])
    warehouse = Warehouse(tmp_path)
    warehouse.land({"real_device": twice, "emulator": apps["emulator"].head(0)})
    statuses = warehouse.dbt("build", passes=False)
    assert statuses["unique_stg_kronodroid__real_device_sha256"] == "fail"
    assert statuses["fct_training_dataset"] == "skipped"
    assert "marts/fct_training_dataset" not in warehouse.tables()


def test_a_missing_date_or_a_small_set_warns_and_goes_on(tmp_path: Path, apps: Mapping[str, pl.DataFrame]):
    few = (
        apps["real_device"]
        .head(40)
        .with_columns(highest_date=pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("highest_date")))
    )
    warehouse = Warehouse(tmp_path)
    warehouse.land({"real_device": few, "emulator": apps["emulator"].head(0)})
    statuses = warehouse.dbt("build")
    assert statuses["enough_apps_to_learn_from"] == "warn"
    assert statuses["not_null_stg_kronodroid__real_device_highest_date"] == "warn"
    undated = warehouse.table("marts.split_index").filter(pl.col("sha256") == few["sha256"][3])
    assert undated["time_split"].to_list() == ["future"]
    assert undated["time_rank"].to_list() == [39]
    check_splits(warehouse.table("marts.fct_training_dataset"), warehouse.table("marts.split_index"))


@pytest.mark.skipif(not REAL.exists(), reason="the real rows are not beside this checkout")
def test_the_real_rows_build_and_split_as_measured(tmp_path: Path):
    real = real_apps()
    warehouse = Warehouse(tmp_path)
    warehouse.land({"real_device": real, "emulator": real.head(0)})
    statuses = warehouse.dbt("build")
    assert set(statuses.values()) == {"success", "pass"}
    trained = warehouse.table("marts.fct_training_dataset")
    assert dict(trained["split"].value_counts().iter_rows()) == {"train": 1140, "validation": 247, "test": 235}
    assert trained["malware"].sum() == 169
    index = warehouse.table("marts.split_index")
    future = trained.join(index.filter(time_split="future"), on=["sha256", "device"])
    assert str(future["highest_date"].min()) == "2019-10-24"
    families = warehouse.table("marts.dim_malware_families")
    assert families.sort("apps", descending=True).row(0)[:2] == ("MobiDash", 78)
    check_splits(trained, index)


def test_dagster_finds_the_agreed_asset_keys_and_blocking_checks(built: Warehouse):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dagster's previews
        from dagster_dbt import dbt_assets

        @dbt_assets(manifest=built.folder / "target" / "manifest.json")
        def tables(context):
            yield from ()  # never run: only what it declares is looked at

        specs = list(tables.check_specs)
    made = {key.to_user_string() for key in tables.keys}
    assert made == {f"tables/{name}" for name in built.tables() if not name.startswith("raw/")}
    read = {key.to_user_string() for key in tables.dependency_keys}
    assert {"tables/raw/kronodroid_real_device", "tables/raw/kronodroid_emulator"} <= read
    training = {
        spec.name: spec.blocking
        for spec in specs
        if spec.asset_key.to_user_string() == "tables/marts/fct_training_dataset"
    }
    assert training["no_leaking_column_is_trained_on"] is True
    assert len(training) >= 7
    assert all(training.values())


def test_every_singular_test_fails_on_what_it_is_there_to_find(built: Warehouse):
    built.lake.create_branch("broken", RUN)
    catalog = open_catalog(built.lake, "broken")
    trained = catalog.load_table("marts.fct_training_dataset")
    rows = built.table("marts.fct_training_dataset").head(50)
    odd = pl.int_range(pl.len()) % 2
    flipped = rows.with_columns(highest_date=pl.date(2010 + odd, 1, 1))
    with trained.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("sys_read")
        update.rename_column("sys_write", "app_scanners")
    flipped = flipped.drop("sys_read").rename({"sys_write": "app_scanners"})
    trained.overwrite(flipped.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(trained.schema().as_arrow()))
    index = catalog.load_table("marts.split_index")
    younger = flipped.filter(pl.col("highest_date").dt.year() == 2011)["sha256"]
    both = built.table("marts.split_index").with_columns(
        split=pl.when(pl.col("device") == "emulator").then(pl.lit("test")).otherwise(pl.lit("train")),
        time_split=pl.when(pl.col("sha256").is_in(younger.implode())).then(pl.lit("past")).otherwise(pl.lit("future")),
    )
    index.overwrite(both.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(index.schema().as_arrow()))
    staged = catalog.load_table("staging.stg_kronodroid__combined")
    apps = built.table("staging.stg_kronodroid__combined").with_columns(
        sha256=pl.col("sha256").first(),  # one app, malware on one device and benign on the other
        malware=pl.when(pl.col("device") == "emulator").then(1).otherwise(0).cast(pl.Int32),
        detection_ratio=pl.lit(0.0),  # which no scanner found
        perm_normal=pl.col("perm_normal") + 1,
    )
    staged.overwrite(apps.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(staged.schema().as_arrow()))
    months = catalog.load_table("marts.fct_apps_by_month")
    miscounted = built.table("marts.fct_apps_by_month").with_columns(apps=pl.col("apps") + 1)
    months.overwrite(miscounted.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(months.schema().as_arrow()))
    statuses = built.dbt("test", "--select", "test_type:singular", ref="broken", passes=False)
    assert statuses == {
        "a_month_counts_its_apps": "fail",
        "an_app_has_one_label": "fail",
        "an_app_has_one_split": "fail",
        "counts_add_up": "fail",
        "every_feature_is_trained_on": "fail",
        "hash_split_keeps_its_shares": "warn",
        "labels_agree_with_the_scanners": "warn",
        "months_and_the_undated_are_all_apps": "warn",
        "no_leaking_column_is_trained_on": "fail",
        "past_is_older_than_future": "fail",
        "training_set_and_index_agree_on_the_split": "fail",
        "training_set_holds_every_app": "fail",
    }


def test_apps_that_made_no_system_call_are_a_warning_if_they_are_many(tmp_path: Path, apps: Mapping[str, pl.DataFrame]):
    calls = [name for name in apps["real_device"].columns if name.startswith("sys_")]
    some = apps["real_device"].with_columns(pl.when(pl.int_range(pl.len()) >= 8).then(pl.col(calls)).otherwise(0))
    warehouse = Warehouse(tmp_path)
    warehouse.land({"real_device": some, "emulator": apps["emulator"].head(0)})
    chosen = ["--select", "stg_kronodroid__real_device"]
    assert warehouse.dbt("build", *chosen)["nearly_every_app_made_a_system_call"] == "warn"


def test_the_project_and_the_platform_agree_on_prefixes_and_leaking_columns():
    import yaml

    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    assert tuple(variables["feature_prefixes"]) == FEATURE_PREFIXES
    leaking = (PROJECT / "tests" / "no_leaking_column_is_trained_on.sql").read_text()
    assert set(re.findall(r"'(\w+)'", leaking.partition("]")[0])) == LEAKING_COLUMNS


def test_only_the_profile_reads_the_environment():
    sources = [path for path in PROJECT.rglob("*") if path.suffix in (".sql", ".yml")]
    reading = {path.name for path in sources if "target" not in path.parts and "env_var(" in path.read_text()}
    assert reading == {"profiles.yml"}
