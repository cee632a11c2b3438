"""The drift score of the model that reigns, its check and page, and the sensor that trains again by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.assets import drift as assets
from dfp_platform.assets import traffic
from dfp_platform.assets.choices import DRIFT_REPORT, TRAFFIC
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.errors import CalibrationError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.models.data import TrainingData
from dfp_platform.models.drift import largest_rise
from dfp_platform.models.training import train
from dfp_platform.reports.drift import render_drift
from dfp_platform.resources.lake import LakeResource
from dfp_platform.sensors.drift import DRIFT_TAG, published_report, retrain_on_drift, wish
from dfp_platform.serving.drift import FEWEST_APPS, DriftReport
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.predictions import Answerer, Answers, Origin
from dfp_platform.settings import settings
from tests.apps import tiny_table
from tests.configured import tiny

pytestmark = pytest.mark.timeout(600)  # the first test imports torch and lightning, and trains

TABLE = tiny_table()
APPS = TrainingData.from_arrow(TABLE)
PLACES = ["time_rank", "time_split"]
NEWEST = range(1_080, 1_200)


@pytest.fixture(scope="module")
def trained() -> dict[str, bytes]:
    return dict(train(APPS, tiny("ae_small"), progress=False).files)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: dict[str, bytes]) -> Iterator[Lake]:
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    made = open_lake(tmp_path / "lake", create=True)
    put(made, TABLE)
    made.commit("main", {f"models/autoencoder/{name}": data for name, data in trained.items()}, message="train")
    yield made
    settings.cache_clear()


def put(lake: Lake, table: pa.Table) -> None:
    overwrite(open_catalog(lake, "main"), "marts.fct_training_dataset", table.drop_columns(PLACES))
    overwrite(open_catalog(lake, "main"), "marts.split_index", table.select(["sha256", "device", *PLACES]))


def moved(columns: int, rows: range = NEWEST) -> pa.Table:
    """The table with the first features of some apps far from where they were."""
    table = TABLE
    for name in APPS.features[:columns]:
        values = table[name].to_numpy().copy()
        values[rows.start : rows.stop] = values[rows.start : rows.stop] * 3 + 5_000
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def looked(lake: Lake) -> dict[str, bytes]:
    (output,) = assets.new_drift(dg.build_asset_context(), LakeResource(address=lake.uri))
    return dict(output.value)


def report_of(lake: Lake) -> DriftReport:
    return DriftReport.from_json(looked(lake)["report.json"])


def ask(lake: Lake, *, shift: float, features: tuple[str, ...] = APPS.features, apps: int = 150) -> None:
    """Log traffic, and take it: apps of the middle of the table, all values moved by `shift`."""
    log(lake, shift=shift, features=features, apps=apps)
    (output,) = traffic.new_traffic(dg.build_asset_context(), LakeResource(address=lake.uri))
    lake.commit("main", {f"{TRAFFIC}/{name}": data for name, data in output.value.items()}, message="take")


def log(lake: Lake, *, shift: float, features: tuple[str, ...] = APPS.features, apps: int = 150) -> None:
    """Predictions in their branch of the lake, as `ask`."""
    by = Answerer("mobile/a_onnx", "autoencoder", "1", "c", "a" * 40, 0.5, features)
    written = PredictionLog(lake, spool=settings().home / "spool", seconds=3_600.0, clock=lambda: 1_795_694_400.0)
    vectors = APPS.matrix[500 : 500 + apps, : len(features)] + np.float32(shift)
    score = np.zeros(apps, dtype=np.float32)
    written.add(
        Answers(
            by, "r-1", [str(name) for name in APPS.ids[:apps]], vectors, score, score > 0.5, score, 1.0, Origin("x")
        )
    )
    written.close()


@pytest.mark.parametrize(
    ("before", "now", "rise"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 0.0),
        ([1, 2], [3, 4], 1.0),
        ([3, 4], [1, 2], 0.0),
        ([1, 2, 3, 4], [3, 4, 9, 9], 0.5),
    ],
)
def test_the_rise_of_a_figure_is_the_most_by_which_more_lies_beyond(before: list, now: list, rise: float) -> None:
    assert largest_rise(np.array(before, np.float32), np.array(now, np.float32)) == rise


def test_a_rise_needs_both_samples() -> None:
    with pytest.raises(CalibrationError):
        largest_rise(np.empty(0, np.float32), np.ones(3, np.float32))


def test_apps_like_those_of_the_training_score_low_and_the_check_passes(lake: Lake) -> None:
    files = looked(lake)
    told = DriftReport.from_json(files["report.json"])
    live, newest = told.sides
    assert (live.score, live.reason) == (None, "nothing has been asked yet")
    assert (newest.apps, newest.first, newest.last) == (120, "2019-04-19", "2019-04-30")
    assert told.score == newest.score
    assert told.score < 0.2
    check = assets.drift(lake=LakeResource(address=lake.uri), report=files)
    assert isinstance(check, dg.AssetCheckResult)
    assert check.passed
    assert (check.metadata["figure"].value, check.metadata["limit"].value) == (told.score, 0.3)
    assert looked(lake) == files, "equal content makes equal bytes"


def test_newest_apps_that_moved_are_beyond_the_limit_by_their_features_and_their_errors(lake: Lake) -> None:
    quiet = report_of(lake)
    put(lake, moved(6))
    files = looked(lake)
    told = DriftReport.from_json(files["report.json"])
    newest = told.sides[1]
    assert newest.drifted == pytest.approx(0.5)
    assert {one.feature for one in newest.moved} == set(APPS.features[:6])
    assert newest.error_rise is not None
    assert newest.error_rise > 0.8
    assert told.drifted
    assert told.data != quiet.data
    assert told.data_commit != quiet.data_commit
    assert told.content == quiet.content
    check = assets.drift(lake=LakeResource(address=lake.uri), report=files)
    assert isinstance(check, dg.AssetCheckResult)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    page = render_drift(json.loads(files["report.json"]))
    assert page == files["index.html"]
    assert b"is at or above the limit" in page
    assert newest.moved[0].feature.encode() in page


def test_live_traffic_that_moved_is_found_though_the_table_has_not(lake: Lake) -> None:
    ask(lake, shift=0.0)
    quiet = report_of(lake).sides[0]
    assert (quiet.apps, quiet.first) == (150, "2026-11-26")
    assert quiet.score is not None
    assert quiet.score < 0.3
    ask(lake, shift=50_000.0)
    told = report_of(lake)
    assert told.drifted
    assert told.score == told.sides[0].score
    assert told.sides[1].score == report_of(lake).sides[1].score < 0.3


def test_traffic_of_other_features_or_of_few_apps_is_not_judged_and_says_why(lake: Lake) -> None:
    ask(lake, shift=50_000.0, features=APPS.features[:-1])
    assert report_of(lake).sides[0].reason == f"live traffic was asked without the feature {APPS.features[-1]}"
    ask(lake, shift=50_000.0, apps=FEWEST_APPS - 1)
    told = report_of(lake)
    assert (told.sides[0].score, told.sides[0].apps) == (None, FEWEST_APPS - 1)
    assert not told.drifted


def test_without_a_model_there_is_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    empty = open_lake(tmp_path / "lake", create=True)
    assert list(assets.new_drift(dg.build_asset_context(), LakeResource(address=empty.uri))) == []
    assert wish(published_report(empty, "main"), branch="main", limit=0.3).said.startswith("no drift report is on main")
    settings.cache_clear()


def test_one_step_takes_traffic_and_judges_it_and_judges_without_any_too(lake: Lake) -> None:
    def made() -> dict[str, dict[str, bytes]]:
        told = assets.daily_look(context=dg.build_asset_context(), lake=LakeResource(address=lake.uri))
        return {output.output_name: dict(output.value) for output in told}

    assert set(made()) == {"drift"}
    log(lake, shift=0.0)
    assert set(made()) == {"traffic", "drift"}


def test_one_model_and_data_is_one_run_whatever_else_changes(lake: Lake) -> None:
    put(lake, moved(6))
    told = report_of(lake)
    first = wish(told, branch="main", limit=0.3)
    assert first.run_key
    ask(lake, shift=50_000.0)
    assert wish(report_of(lake), branch="main", limit=0.3).run_key == first.run_key, "traffic is not in the key"
    others = [told.model_copy(update={field: "0" * 64}) for field in ("content", "data")]
    keys = [wish(each, branch="main", limit=0.3).run_key for each in others]
    assert len({first.run_key, wish(told, branch="next", limit=0.3).run_key, *keys}) == 4
    assert wish(told, branch="main", limit=1.0).run_key in ("", first.run_key)
    unknown = wish(told.model_copy(update={"score": None}), branch="main", limit=0.3)
    assert (unknown.run_key, "not known" in unknown.said) == ("", True)


def test_the_sensor_launches_once_and_then_says_which_run_it_was(lake: Lake) -> None:
    put(lake, moved(6))
    lake.commit("main", {f"{DRIFT_REPORT}/{name}": data for name, data in looked(lake).items()}, message="look")
    with dg.instance_for_test() as instance:
        first = retrain_on_drift(dg.build_sensor_context(instance=instance))
        assert isinstance(first, dg.SensorResult)
        (request,) = first.run_requests or ()
        assert request.tags["lake/branch"] == "main"
        assert float(request.tags[DRIFT_TAG]) >= 0.3
        run = instance.create_run_for_job(noop, tags={"dagster/run_key": str(request.run_key)})
        again = retrain_on_drift(dg.build_sensor_context(instance=instance))
        assert isinstance(again, dg.SkipReason)
        assert f"run {run.run_id} was launched for it" in str(again.skip_message)


def test_the_sensor_skips_below_the_limit_and_where_the_lake_does_not_answer(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.commit("main", {f"{DRIFT_REPORT}/{name}": data for name, data in looked(lake).items()}, message="look")
    with dg.instance_for_test() as instance:
        below = retrain_on_drift(dg.build_sensor_context(instance=instance))
        assert isinstance(below, dg.SkipReason)
        assert "below 0.3" in str(below.skip_message)
        monkeypatch.setenv("DFP_LAKE", "lakefs://nobody")
        monkeypatch.setenv("LAKEFS_ENDPOINT_URL", "http://127.0.0.1:9")
        settings.cache_clear()
        away = retrain_on_drift(dg.build_sensor_context(instance=instance))
        assert isinstance(away, dg.SkipReason)
        assert "the lake was not read" in str(away.skip_message)


@dg.op
def nothing() -> None: ...


@dg.job
def noop() -> None:
    nothing()
