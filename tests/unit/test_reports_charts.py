"""Charts and the figures behind them: places follow values."""

from __future__ import annotations

import datetime
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfp_platform.reports import describe_dataset, score_distribution
from dfp_platform.reports.axes import Axis, linear_axis, log_axis, number
from dfp_platform.reports.charts import Series, column_chart, line_chart
from dfp_platform.reports.figures import by_period, latency_chart, over_time_chart


def shapes(svg: str, tag: str, style: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(svg).iter(tag) if style in (e.get("class") or "").split()]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_an_axis_spans_its_values_with_round_ticks(low: float, width: float) -> None:
    axis = linear_axis("x", low, low + width)
    slack = width * 1e-6
    assert axis.low <= low + slack
    assert axis.high >= low + width - slack
    assert 2 <= len(axis.ticks) <= 9
    assert [value for value, _ in axis.ticks] == sorted({value for value, _ in axis.ticks})


@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e6))
def test_a_log_axis_keeps_its_ticks_within_its_ends(low: float, ratio: float) -> None:
    axis = log_axis("x", low, low * ratio)
    assert all(0 <= axis.share(value) <= 1 for value, _ in axis.ticks)
    assert axis.share(low * ratio**0.5) == pytest.approx(0.5, abs=1e-9)


def test_an_axis_without_width_is_given_some() -> None:
    axis = linear_axis("x", 3.0, 3.0)
    assert axis.low <= 3.0 < axis.high


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.25, "0.25"), (1500, "1,500"), (1e-5, "1e-5"), (2.5e7, "2e7"), (100, "100")]
)
def test_numbers_beside_an_axis_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_columns_are_as_tall_as_their_counts_and_stand_on_each_other() -> None:
    layers = [Series("benign", "benign", [(0, 10.0), (1, 30.0)]), Series("malware", "malware", [(0, 20.0), (1, 0.0)])]
    svg = column_chart(["2018", "2019"], layers, y=linear_axis("apps", 0, 30), x_label="year", title="t").svg
    first, second = shapes(svg, "rect", "benign")
    upon, nothing = shapes(svg, "rect", "malware")
    assert float(second.get("height")) == pytest.approx(3 * float(first.get("height")), abs=0.2)
    assert float(upon.get("y")) + float(upon.get("height")) == pytest.approx(float(first.get("y")), abs=0.2)
    assert float(nothing.get("height")) == 0


def test_a_gap_in_a_line_is_not_drawn_over() -> None:
    x, y = Axis("x", 0, 4, ()), Axis("y", 0, 1, ())
    points = [(0, 0.1), (1, 0.2), (2, None), (3, 0.4), (4, 0.5)]
    svg = line_chart([Series("a", "model-0", points)], x=x, y=y, title="t").svg
    assert len(shapes(svg, "path", "model-0")) == 2


def test_a_lone_point_between_gaps_is_a_dot() -> None:
    x, y = Axis("x", 0, 2, ()), Axis("y", 0, 1, ())
    svg = line_chart([Series("a", "model-0", [(0, None), (1, 0.5), (2, None)])], x=x, y=y, title="t").svg
    assert len(shapes(svg, "circle", "model-0")) == 1


def test_a_month_without_a_figure_is_a_gap() -> None:
    months = [{"name": f"2019-0{i}", "roc_auc": value} for i, value in enumerate([0.9, None, 0.8], start=1)]
    chart = over_time_chart([{"model": "autoencoder", "months": months}], "roc_auc", "ROC-AUC")
    assert len(shapes(chart.svg, "circle", "model-0")) == 2
    assert shapes(chart.svg, "path", "model-0") == []


def test_latencies_far_apart_are_drawn_on_ratios() -> None:
    def row(name: str, p50: float) -> dict:
        return {"runtime": name, "model": "m", "p50_us": p50, "p90_us": p50, "p99_us": p50}

    assert "(log)" in latency_chart([row("a", 1.0), row("b", 5000.0)]).svg
    assert "(log)" not in latency_chart([row("a", 10.0), row("b", 20.0)]).svg


def test_every_score_is_in_a_bin_and_unknown_ones_are_not() -> None:
    scores = np.array([0.1, 0.5, 0.9, 1.5, np.nan], np.float32)
    spread = score_distribution("m", scores, np.array([0, 0, 1, 1, 1], np.int8), threshold=1.0)
    assert (sum(spread["benign"]), sum(spread["malware"])) == (2, 2)
    assert len(spread["edges"]) == len(spread["benign"]) + 1


def test_widely_spread_errors_are_binned_by_ratio() -> None:
    scores = np.geomspace(0.01, 1000, 200).astype(np.float32)
    assert score_distribution("m", scores, np.zeros(200, np.int8), threshold=5.0)["scale"] == "log"
    assert score_distribution("m", scores - 1, np.zeros(200, np.int8), threshold=5.0)["scale"] == "linear"


def test_a_threshold_beyond_all_scores_is_still_on_the_axis() -> None:
    scores = np.full(10, 0.5, np.float32)
    spread = score_distribution("m", scores, np.zeros(10, np.int8), threshold=2.0)
    assert spread["edges"][0] <= 0.5
    assert spread["edges"][-1] >= 2.0
    assert sum(spread["benign"]) == 10


def test_equal_scores_at_the_threshold_have_a_place() -> None:
    spread = score_distribution("m", np.full(4, 0.5, np.float32), np.ones(4, np.int8), threshold=0.5)
    assert sum(spread["malware"]) == 4
    assert spread["edges"] == sorted(set(spread["edges"]))


def test_the_dataset_is_counted_by_device_month_and_label() -> None:
    table = pa.table(
        {
            "device": ["real_device", "real_device", "emulator", "real_device"],
            "highest_date": [datetime.date(2018, 5, 1), datetime.date(2019, 1, 1), datetime.date(2018, 2, 2), None],
            "malware": [0, 1, 1, 1],
            "sys_read": [1, 2, 3, 4],
            "package": ["a", "b", "c", "d"],
        }
    )
    told = describe_dataset(table)
    assert (told["rows"], told["features"]) == (4, 1)
    emulator, real = told["devices"]
    assert emulator == {
        "device": "emulator", "rows": 1, "malware": 1, "first": "2018-02-02", "last": "2018-02-02",
    }  # fmt: skip
    assert (real["rows"], real["malware"], real["first"], real["last"]) == (3, 2, "2018-05-01", "2019-01-01")
    assert {"device": "real_device", "month": "2019-01", "benign": 0, "malware": 1} in told["periods"]
    assert len(told["periods"]) == 3


def months(*names: str) -> list[dict]:
    return [{"device": "real_device", "month": name, "benign": 2, "malware": 1} for name in names]


def test_many_years_are_counted_by_year_and_few_by_month() -> None:
    word, counts = by_period(months("2015-01", "2015-07", "2016-01", "2017-01", "2018-03"), "real_device")
    assert (word, counts[0]) == ("year", {"name": "2015", "benign": 4, "malware": 2})
    assert [entry["name"] for entry in counts] == ["2015", "2016", "2017", "2018"]
    word, counts = by_period(months("2019-01", "2019-02"), "real_device")
    assert (word, [entry["name"] for entry in counts]) == ("month", ["2019-01", "2019-02"])
    assert by_period(months("2019-01"), "emulator") == ("month", [])
