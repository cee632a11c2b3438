"""Checks of what is served: how old, how complete and how drifted features are, on tables of a small lake."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.assets import feature_quality as checks
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.features.quality import MISSING_RISE, missing_before, missing_rise, newest_drift, served_features
from dfp_platform.lake import Lake
from dfp_platform.resources.lake import LakeResource
from tests.apps import tiny_table
from tests.check_results import named
from tests.home_lake import lake

__all__ = ["lake"]

TABLE = ("marts", "fct_training_dataset")
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def without(table: pa.Table, column: str, share: float) -> pa.Table:
    """The table with that share of one column's values gone."""
    keep = np.arange(table.num_rows) >= share * table.num_rows
    values = pa.array(table[column].to_numpy(), mask=~keep)
    return table.set_column(table.column_names.index(column), column, values)


def judged(lake: Lake, branch: str = "main") -> dict[str, dg.AssetCheckResult]:
    """What the checks say of what stands at a branch, as against main."""

    class AtBranch(LakeResource):
        @property
        def ref(self) -> str:
            return branch

    @dg.asset(key=list(checks.ONLINE))
    def online() -> None: ...

    with dg.instance_for_test() as instance:
        told = dg.materialize(
            [online, checks.feature_quality],
            resources={"lake": AtBranch(address=lake.uri)},
            instance=instance,
            raise_on_error=False,
        )
        return {each.check_name: each for each in told.get_asset_check_evaluations()}


def test_good_features_pass_all_three(lake: Lake) -> None:
    overwrite(open_catalog(lake, "main"), TABLE, tiny_table())
    told = judged(lake)
    assert {name: each.passed for name, each in told.items()} == {"fresh": True, "missing": True, "drift": True}
    assert told["missing"].blocking
    assert not told["fresh"].blocking
    assert not told["drift"].blocking
    assert told["fresh"].metadata["newest app"].value == "2019-04-30"


def test_a_feature_that_stops_coming_holds_back_and_is_named(lake: Lake) -> None:
    whole = tiny_table()
    overwrite(open_catalog(lake, "main"), TABLE, whole)
    lake.create_branch("run-1")
    overwrite(open_catalog(lake, "run-1"), TABLE, without(without(whole, "perm_f1", 0.3), "sys_f0", 0.05))
    told = judged(lake, "run-1")["missing"]
    assert not told.passed
    assert told.severity == dg.AssetCheckSeverity.ERROR
    assert told.metadata["figure"].value == pytest.approx(0.3)
    assert named(told, "worst") == {"perm_f1": "0.0% → 30.0%", "sys_f0": "0.0% → 5.0%"}


def test_what_is_published_first_is_held_against_nothing(lake: Lake) -> None:
    lake.create_branch("run-1")
    overwrite(open_catalog(lake, "run-1"), TABLE, without(tiny_table(), "perm_f1", 0.9))
    told = judged(lake, "run-1")
    assert {name: each.passed for name, each in told.items()} == {"fresh": True, "missing": True, "drift": True}
    assert told["missing"].metadata["compared features"].value == 0
    assert missing_before(lake, "nowhere") == {}
    overwrite(open_catalog(lake, "main"), TABLE, tiny_table())
    assert missing_before(lake, "main", device="emulator") == {}


def test_one_that_was_missing_before_or_is_new_holds_nothing_back(lake: Lake) -> None:
    whole = tiny_table()
    overwrite(open_catalog(lake, "main"), TABLE, without(whole, "perm_f1", 0.9).drop_columns(["sys_f0"]))
    lake.create_branch("run-1")
    overwrite(open_catalog(lake, "run-1"), TABLE, without(without(whole, "perm_f1", 0.95), "sys_f0", 0.5))
    told = judged(lake, "run-1")["missing"]
    assert told.passed
    assert told.metadata["figure"].value == pytest.approx(0.05)


def test_the_newest_apps_that_are_others_are_drift_and_named_but_hold_nothing_back(lake: Lake) -> None:
    table = tiny_table(seed=3)
    others = tiny_table(seed=3)
    for name in ("sys_f0", "perm_f1"):
        values = table[name].to_numpy().copy()
        values[-200:] = others[name].to_numpy()[-200:] * 50 + 1_000
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    overwrite(open_catalog(lake, "main"), TABLE, table)
    told = judged(lake)["drift"]
    assert not told.passed
    assert told.severity == dg.AssetCheckSeverity.WARN
    assert set(named(told, "worst (PSI)")) == {"sys_f0", "perm_f1"}
    assert told.metadata["figure"].value == pytest.approx(2 / 12)


@pytest.mark.parametrize(("days", "limit", "passed"), [(10, 180, True), (181, 180, False), (10_000, 0, True)])
def test_features_that_did_not_change_for_too_long_are_old(days: int, limit: int, passed: bool) -> None:
    told = checks.fresh(NOW - timedelta(days=days), datetime(2020, 12, 30, tzinfo=UTC), now=NOW, days=limit)
    assert told.passed is passed
    assert (told.metadata["figure"].value > told.metadata["limit"].value) is not passed
    assert told.metadata["features changed (days ago)"].value == days
    assert told.metadata["newest app (days ago)"].value == 2157.0


def test_rows_are_read_oldest_first_whatever_their_order(lake: Lake) -> None:
    table = tiny_table()
    overwrite(open_catalog(lake, "main"), TABLE, table.take(np.random.default_rng(1).permutation(table.num_rows)))
    found = served_features(lake, "main")
    first_days = table["highest_date"].to_pylist()[:10]
    assert set(first_days) == {date(2019, 1, 1)}
    assert sorted(found.matrix[:10, 0].tolist()) == sorted(table[found.features[0]].to_pylist()[:10])
    assert abs((found.written - datetime.now(UTC)).total_seconds()) < 60
    assert not newest_drift(found.matrix, found.features).drifted.any()


def test_the_rise_is_of_features_that_both_have_the_worst_first() -> None:
    assert missing_rise({"a": 0.2, "b": 0.5, "c": 0.9, "d": 0.0}, {"a": 0.1, "b": 0.1, "d": 0.3}) == pytest.approx(
        {"b": 0.4, "a": 0.1}
    )
    assert list(missing_rise({"a": 0.2, "b": 0.5}, {"a": 0.1, "b": 0.1})) == ["b", "a"]
    assert missing_rise({"a": 0.2}, {}) == {}
    assert MISSING_RISE < 0.3
