"""Checks of raw rows in the lake: the contract, over rows that came by another way too, and rows that are gone."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest

from dfp_platform.assets import raw_quality
from dfp_platform.assets.evaluation import regressions
from dfp_platform.assets.raw import DATASETS
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.ingest import standing
from dfp_platform.ingest.origin import RECORD, Origin, load_folder
from dfp_platform.ingest.sample import batches
from dfp_platform.ingest.standing import breaches, rows_before
from dfp_platform.lake import Lake
from dfp_platform.resources.lake import LakeResource
from tests.check_results import table
from tests.home_lake import lake

__all__ = ["lake"]

DATASET = DATASETS[0]


@pytest.fixture(scope="module")
def apps() -> pl.DataFrame:
    return pl.concat(list(batches("real_device", rows=40, seed=7)))


def landed(lake: Lake, rows: int, load_id: str = "") -> None:
    """What a load leaves, as far as the number of its rows tells."""
    record = Origin("sample", True, rows=rows, load_id=load_id or "0001").to_bytes()
    lake.commit("main", {load_folder(DATASET, load_id) + RECORD: record}, message="land")


def found(frame: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    return iter(frame.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches())


def test_rows_that_the_border_let_pass_keep_the_contract(apps: pl.DataFrame) -> None:
    told = breaches(found(apps.with_columns(pl.lit("0001-ab").alias("load_id"))))
    assert (told.rows, told.cells, told.shown) == (40, 0, ())


def test_apps_without_a_date_are_within_the_contract(apps: pl.DataFrame) -> None:
    undated = [pl.lit(None).cast(apps.schema[name]).alias(name) for name in ("highest_date", "year_month", "year")]
    assert breaches(found(apps.with_columns(undated))).cells == 0


def test_cells_that_break_a_rule_are_counted_and_shown(apps: pl.DataFrame) -> None:
    third = pl.int_range(pl.len()) % 3 == 0
    told = breaches(
        found(
            apps.with_columns(
                malware=pl.when(third).then(2).otherwise(pl.col("malware")).cast(pl.Int32),
                sys_read=pl.when(pl.int_range(pl.len()) == 5).then(-1).otherwise(pl.col("sys_read")).cast(pl.Int32),
            )
        )
    )
    assert (told.rows, told.cells) == (40, 15)
    assert told.shown[0] == {
        "sha256": apps["sha256"][0],
        "column": "malware",
        "value": "2",
        "problem": "is neither 0 nor 1",
    }
    assert len(told.shown) == 10


def test_a_column_that_is_missing_or_of_another_type_is_named(apps: pl.DataFrame) -> None:
    told = breaches(found(apps.drop("sys_read").with_columns(pl.col("perm_camera").cast(pl.String))))
    assert {row["column"] for row in told.shown} == {"sys_read", "perm_camera"}
    assert told.cells == 2


def test_no_more_rows_are_looked_at_than_agreed(apps: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    [batch] = found(apps)
    monkeypatch.setattr(standing, "MOST_ROWS", 100)
    assert standing.breaches(batch for _ in range(9)).rows == 100


def test_the_check_finds_what_another_writer_put_into_the_table(lake: Lake, apps: pl.DataFrame) -> None:
    rows = apps.to_arrow(compat_level=pl.CompatLevel.oldest())
    overwrite(open_catalog(lake, "main"), ("raw", DATASET), rows)
    check = raw_quality.contract(DATASET)
    good = check(lake=LakeResource(address=lake.uri))
    assert isinstance(good, dg.AssetCheckResult)
    assert (good.passed, good.metadata["rows"].value) == (True, 40)
    table_of_apps = open_catalog(lake, "main").load_table(("raw", DATASET))
    odd, at = table_of_apps.scan().to_arrow().slice(0, 1), rows.column_names.index("detection_ratio")
    table_of_apps.append(odd.set_column(at, odd.schema.field(at), pa.array([7.0], odd.schema.field(at).type)))
    bad = check(lake=LakeResource(address=lake.uri))
    assert isinstance(bad, dg.AssetCheckResult)
    assert (bad.passed, bad.severity, bad.metadata["figure"].value) == (False, dg.AssetCheckSeverity.WARN, 1.0)
    [shown] = table(bad, "sample of bad cells")
    assert (shown["column"], shown["value"], shown["problem"]) == ("detection_ratio", "7.0", "is above 1")


def test_a_load_that_leaves_many_rows_out_warns_and_says_the_same_again(lake: Lake) -> None:
    def judged() -> tuple[bool, float]:
        said = raw_quality.volume(DATASET)(lake=LakeResource(address=lake.uri))
        assert isinstance(said, dg.AssetCheckResult)
        return said.passed, float(str(said.metadata["figure"].value))

    landed(lake, 40)
    assert rows_before(lake, "main", DATASET) is None
    assert judged() == (True, 0.0)
    landed(lake, 38)
    assert judged() == (True, pytest.approx(0.05))
    landed(lake, 20)
    assert rows_before(lake, "main", DATASET) == 38
    lost = judged()
    assert lost == (False, pytest.approx(1 - 20 / 38))
    landed(lake, 20)
    lake.commit("main", {"raw/other/file": b"x"}, message="something else")
    assert judged() == lost, "a verdict on equal rows is the same"
    landed(lake, 5, load_id="0002-ab")
    assert rows_before(lake, "main", DATASET) == 20, "a load that is appended takes nothing away"
    assert judged() == (True, 0.0)


class Judged:
    """An evaluation report as far as regressions look at it."""

    def __init__(self, **areas: float | None) -> None:
        self.models = {name: Overall(area) for name, area in areas.items()}


class Overall:
    def __init__(self, area: float | None) -> None:
        self.overall, self.roc_auc = self, area


def test_the_largest_fall_of_a_score_comes_first_and_new_models_have_none() -> None:
    now, before = Judged(a=0.9, b=0.7, new=0.2, c=None), Judged(a=0.88, b=0.8, gone=0.9, c=0.5)
    assert regressions(now, before) == [
        {"model": "b", "before": 0.8, "now": 0.7, "fall": pytest.approx(0.1)},
        {"model": "a", "before": 0.88, "now": 0.9, "fall": 0.0},
    ]
    assert regressions(now, None) == []
