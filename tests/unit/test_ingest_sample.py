from __future__ import annotations

import csv
from collections import Counter

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dfp_platform.ingest.columns import LANDED_NAMES, PERMISSIONS, PUBLISHED_HEADER, SYSCALLS, landed_schema
from dfp_platform.ingest.contract import Border
from dfp_platform.ingest.published import Batch, batches
from dfp_platform.ingest.reading import csv_table
from dfp_platform.ingest.sample import BLOCK, write_csv
from dfp_platform.ingest.sample import batches as made


@pytest.fixture(scope="module")
def apps() -> pl.DataFrame:
    return pl.concat(made("real_device", rows=9_000, seed=7))


def test_equal_rows_seed_and_device_are_equal_bytes(tmp_path):
    first = write_csv(tmp_path / "a.csv", rows=300, seed=7).read_bytes()
    assert write_csv(tmp_path / "b.csv", rows=300, seed=7).read_bytes() == first
    assert write_csv(tmp_path / "c.csv", rows=300, seed=8).read_bytes() != first
    assert write_csv(tmp_path / "d.csv", rows=300, seed=7, device="emulator").read_bytes() != first
    assert not list(tmp_path.glob("*.part"))


def test_a_smaller_sample_is_the_beginning_of_a_larger_one(apps):
    assert_frame_equal(pl.concat(made("real_device", rows=BLOCK + 10, seed=7)), apps.head(BLOCK + 10))


def test_rows_come_in_blocks_so_that_any_number_needs_little_memory(apps):
    assert [block.height for block in made("real_device", rows=9_000, seed=7)] == [BLOCK, BLOCK, 9_000 - 2 * BLOCK]
    assert apps.schema == pl.Schema(landed_schema())
    assert apps.columns == list(LANDED_NAMES)


def test_a_negative_seed_is_a_seed_of_its_own():
    one, other = (next(iter(made("emulator", rows=5, seed=seed))) for seed in (3, -3))
    assert one["sha256"].to_list() != other["sha256"].to_list()


def test_the_sample_keeps_the_contract_of_the_border(apps):
    rows = list(
        Border(implausible_dates="reject").passed(
            [Batch("sample", range(1, apps.height + 1), apps, dict.fromkeys(LANDED_NAMES, ""))]
        )
    )
    assert rows[0].height == 9_000


def test_the_published_csv_reads_back_as_the_rows_it_was_made_of(tmp_path):
    path = write_csv(tmp_path / "s.csv", rows=200, seed=3)
    read = pl.concat(batch.rows for batch in batches(csv_table("s.csv", lambda: path.open("rb"))))
    assert_frame_equal(read, pl.concat(made("real_device", rows=200, seed=3)))


def test_the_published_csv_has_the_quirks_of_the_real_one(tmp_path):
    path = write_csv(tmp_path / "s.csv", rows=200, seed=3)
    content = path.read_bytes()
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    assert tuple(header) == PUBLISHED_HEADER
    assert all(row[0].endswith("\n") for row in rows)
    assert content.count(b"\r\n") == 201, "one line end a row; the break inside a package is a bare \\n"
    assert content.count(b"\n") == 401


def test_digests_are_unique_and_packages_are_not(apps):
    assert apps["sha256"].n_unique() == apps.height
    repeats = 1 - apps["package"].n_unique() / apps.height
    assert 0.15 < repeats < 0.45, "42 % in the real file of 2019, 25 % in the whole set"


def test_most_apps_ran_on_both_devices_with_equal_labels_and_other_counts(apps):
    emulator = pl.concat(made("emulator", rows=9_000, seed=7))
    both = apps.join(emulator, on="sha256", suffix="_emulator")
    assert 0.85 < both.height / apps.height < 0.95
    static = [name for name in LANDED_NAMES if name.startswith(("perm_", "app_"))]
    for name in ("malware", "mal_family", "package", "highest_date", *static):
        assert both[name].equals(both[f"{name}_emulator"]), name
    assert (both["sys_nr_syscalls"] != both["sys_nr_syscalls_emulator"]).mean() > 0.9


def test_totals_are_the_sums_they_say_they_are(apps):
    calls = apps.select(pl.sum_horizontal(f"sys_{name.lower()}" for name in SYSCALLS)).to_series()
    flags = apps.select(pl.sum_horizontal(f"perm_{name.lower()}" for name in PERMISSIONS)).to_series()
    assert (calls == apps["sys_nr_syscalls"]).all()
    assert (flags == apps["perm_nr_permissions"]).all()
    kinds = apps["perm_normal"] + apps["perm_dangerous"] + apps["perm_signature"]
    assert (kinds == apps["perm_nr_permissions"]).all()
    assert (apps["perm_total_perm"] == apps["perm_nr_permissions"] + apps["perm_nr_custom"]).all()
    assert ((apps["perm_nr_custom"] > 0) == (apps["perm_custom_yes"] == 1)).all()


def test_counts_are_sparse_with_a_heavy_tail(apps):
    calls = apps.select(f"sys_{name.lower()}" for name in SYSCALLS)
    present = sum((calls[name] > 0).sum() for name in calls.columns) / (calls.height * calls.width)
    assert 0.05 < present < 0.25
    total = apps["sys_nr_syscalls"]
    assert total.max() > 30 * total.median()


def test_malware_has_a_few_large_families_and_few_benign_apps_name_one(apps):
    malware, benign = apps.filter(malware=1), apps.filter(malware=0)
    assert 0.4 < apps["malware"].mean() < 0.6
    families = Counter(malware["mal_family"].to_list())
    assert None not in families
    assert len(families) >= 20
    top = [count for _, count in families.most_common()]
    assert sum(top[:5]) > malware.height / 3 > 10 * top[-1]
    assert 0.02 < benign["mal_family"].is_not_null().mean() < 0.06
    assert benign["categories"].unique().to_list() == ["Benign"]


def test_dates_span_the_years_and_malware_is_rare_among_the_newest(apps):
    assert apps["year"].min() == 2008
    assert apps["year"].max() == 2020
    share = apps.group_by("year").agg(pl.col("malware").mean()).sort("year")["malware"].to_list()
    assert max(share[3:5]) > 0.6 > 0.25 > share[-2]
    years = apps.filter(mal_family="DroidKungFu")["year"].median(), apps.filter(mal_family="Boogr", malware=1)["year"]
    assert years[0] < 2013 < years[1].median()


def test_leaking_columns_tell_the_label(apps):
    threshold = apps["detection_ratio"] > 0.25
    assert ((threshold.cast(pl.Int32)) == apps["malware"]).mean() > 0.98
    assert apps.filter(malware=0)["times_submitted"].median() > 3 * apps.filter(malware=1)["times_submitted"].median()


def test_a_reference_model_finds_the_malware_of_the_future_and_not_by_a_single_column(apps):
    xgboost = pytest.importorskip("xgboost")
    from sklearn.metrics import roc_auc_score

    rows = apps.head(3_000).sort("highest_date", "sha256")
    features = [name for name in LANDED_NAMES if name.startswith(("sys_", "perm_", "app_"))]
    values, labels = rows.select(features).to_numpy(), rows["malware"].to_numpy()
    model = xgboost.XGBClassifier(n_estimators=50, max_depth=3, n_jobs=1, random_state=0)
    model.fit(values[:2_100], labels[:2_100])
    assert 0.97 < roc_auc_score(labels[2_100:], model.predict_proba(values[2_100:])[:, 1]) < 1
    single = max(abs(roc_auc_score(labels, values[:, i]) - 0.5) for i in range(values.shape[1]))
    assert single < 0.43
