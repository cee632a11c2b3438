"""How old raw data and marts may be is one setting, and dbt's own threshold is the same number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
import yaml

from dfp_platform.assets import features, models
from dfp_platform.assets.choices import LINE
from dfp_platform.assets.freshness import freshness
from dfp_platform.assets.raw import raw_asset, raw_table
from dfp_platform.settings import PROJECT_ROOT, Settings, settings


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def policies() -> list[dg.FreshnessPolicy | None]:
    return [spec.freshness_policy for make in (raw_asset, raw_table) for spec in make("kronodroid_emulator").specs]


def test_raw_data_is_old_after_the_days_of_the_setting_and_overdue_after_twice_as_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DFP_OLD_AFTER_DAYS", "3")
    wanted = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=6), warn_window=timedelta(days=3))
    assert freshness() == wanted
    assert policies() == [wanted, wanted]


def test_without_days_nothing_is_ever_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_OLD_AFTER_DAYS", "0")
    assert freshness() is None
    assert policies() == [None, None]


def test_dbt_and_dagster_agree_on_how_old_is_old() -> None:
    project = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "dbt_project.yml").read_text())
    assert project["vars"]["raw_is_old_after_days"] == Settings.model_fields["old_after_days"].default


def test_online_features_and_models_of_the_line_grow_old_and_others_do_not() -> None:
    specs = [features.online, *models.assets, *models.beyond]
    aging = {spec.key.path[-1] for made in specs for spec in made.specs if spec.freshness_policy}
    assert aging == {"online", *LINE}
