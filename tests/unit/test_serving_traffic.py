"""Live traffic: what is taken since the last look, what the page says, and the drift that the check tells."""

from __future__ import annotations

import json

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.assets import traffic as assets
from dfp_platform.assets.choices import TRAFFIC, beyond_the_line
from dfp_platform.errors import CalibrationError
from dfp_platform.lake import Lake
from dfp_platform.models.data import TrainingData
from dfp_platform.reports.traffic import render_traffic, verdict
from dfp_platform.resources.lake import LakeResource
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.predictions import Answerer, Answers, Origin
from dfp_platform.serving.traffic import Look, TrafficReport, answering, look, traffic_report
from dfp_platform.settings import settings
from tests.apps import tiny_table
from tests.check_results import named
from tests.home_lake import lake

__all__ = ["lake"]

DAY = 86_400.0
BEGUN = 1_795_694_400.0
"""2026-11-26 12:00 UTC."""

APPS = TrainingData.from_arrow(tiny_table(seed=3, malware=0.0))
ONLINE = Origin("online-7", "b" * 40)


def model(**told: str) -> Answerer:
    return Answerer(
        **{"artifact": "mobile/a_onnx", "model": "a", "version": "1", "content": "c", "commit": "a" * 40, **told},
        threshold=0.5,
        features=APPS.features,
    )


def ask(
    lake: Lake, rows: range, *, by: Answerer, at: float = BEGUN, shift: float = 0.0, origin: Origin = ONLINE
) -> None:
    """One request an app, whose score is its position in the table over 1,000; `shift` moves the second feature."""
    log = PredictionLog(lake, spool=settings().home / "spool", seconds=3_600.0, clock=lambda: at)
    for row in rows:
        vectors = APPS.matrix[row : row + 1].copy()
        vectors[:, 1] += shift
        score = np.array([row / 1_000], dtype=np.float32)
        log.add(Answers(by, f"r-{row}", [str(APPS.ids[row])], vectors, score, score > 0.5, score, row / 100, origin))
    log.close()


def reported(found: Look | None) -> TrafficReport:
    assert found is not None
    known = pa.chunked_array([APPS.ids[:600].tolist()])
    return traffic_report(found, answering(found.rows), APPS, known=known, synthetic=True)


def test_a_report_counts_what_was_asked_and_answered(lake: Lake) -> None:
    ask(lake, range(400, 500), by=model())
    ask(lake, range(500, 700), by=model(), at=BEGUN + DAY, origin=Origin("request"))
    told = reported(look(lake))
    assert (told.rows, told.requests, told.others, told.shadow) == (300, 300, 0, 0)
    assert [(day.day, day.rows, day.alarms) for day in told.days] == [("2026-11-26", 100, 0), ("2026-11-27", 200, 199)]
    assert told.since == "2026-11-26T12:00:00Z"
    assert told.unknown_apps == pytest.approx(1 / 3, abs=1e-6)
    assert told.sent == pytest.approx(2 / 3, abs=1e-6)
    assert told.latency_ms["p50"] == pytest.approx(5.495, abs=1e-3)
    assert sum(told.scores) == 300
    assert (told.drifted, told.moved, told.shadow_agrees) == (0.0, (), None)


def test_a_feature_that_moved_in_live_traffic_is_named(lake: Lake) -> None:
    ask(lake, range(300, 700), by=model(), shift=10_000.0)
    told = reported(look(lake))
    assert [one.feature for one in told.moved] == [APPS.features[1]]
    assert APPS.features[1] in verdict(told.model_dump(mode="json"))
    check = assets.live_drift(lake=LakeResource(address=lake.uri), report={"report.json": told.to_json()})
    assert isinstance(check, dg.AssetCheckResult)
    assert check.passed is (1 / len(APPS.features) <= 0.1)
    assert named(check, "worst (PSI)") == {APPS.features[1]: told.moved[0].psi}


def test_a_look_takes_what_came_since_the_one_before(lake: Lake) -> None:
    assert look(lake) is None
    ask(lake, range(5), by=model())
    first = look(lake)
    assert first is not None
    assert look(lake, since=first.until) is None
    ask(lake, range(5, 7), by=model())
    second = look(lake, since=first.until)
    assert second is not None
    assert second.rows["request_id"].to_pylist() == ["r-5", "r-6"]
    lake.delete_branch("predictions")
    ask(lake, range(7, 8), by=model())
    unknown = look(lake, since="d" * 40)
    assert unknown is not None
    assert unknown.rows["request_id"].to_pylist() == ["r-7"]


def test_more_than_one_look_takes_leaves_out_the_oldest_and_counts_them(lake: Lake) -> None:
    for day in range(3):
        ask(lake, range(day * 10, day * 10 + 10), by=model(), at=BEGUN + day * DAY)
    found = look(lake, most_rows=25)
    assert found is not None
    assert (found.left_out, found.rows.num_rows) == (10, 20)
    assert found.rows["request_id"][0].as_py() == "r-10"


def test_the_model_that_answered_most_is_reported_and_a_shadow_is_compared(lake: Lake) -> None:
    ask(lake, range(450, 550), by=model())
    ask(lake, range(20), by=model(commit="b" * 40, version="2"))
    shadow = Answerer("mobile/b_onnx", "b", "9", "c", "d" * 40, 0.45, APPS.features, role="challenger")
    log = PredictionLog(lake, spool=settings().home / "spool", seconds=3_600.0, clock=lambda: BEGUN)
    for row in range(450, 550):
        score = np.array([row / 1_000], dtype=np.float32)
        told = APPS.matrix[row : row + 1]
        log.add(Answers(shadow, f"r-{row}", [str(APPS.ids[row])], told, score, score > 0.475, score, 1.0))
    log.close()
    told = reported(look(lake))
    assert (told.by.commit, told.by.version) == ("a" * 40, "1")
    assert (told.rows, told.others, told.shadow) == (100, 20, 100)
    assert told.shadow_agrees == pytest.approx(0.75, abs=0.02)


def test_shadows_alone_are_no_traffic(lake: Lake) -> None:
    ask(lake, range(3), by=Answerer("m", "b", "", "c", "d" * 40, 0.5, APPS.features, role="challenger"))
    found = look(lake)
    assert found is not None
    with pytest.raises(CalibrationError, match="no champion"):
        answering(found.rows)


def test_the_page_is_a_function_of_the_record_alone(lake: Lake) -> None:
    ask(lake, range(300, 700), by=model(), shift=10_000.0)
    told = json.loads(reported(look(lake)).to_json())
    page = render_traffic(told)
    assert page == render_traffic(json.loads(json.dumps(told)))
    assert APPS.features[1].encode() in page
    assert b"Synthetic data" in page
    assert b"<script" not in page


def test_the_asset_is_skipped_without_traffic_and_keeps_a_look_whole(lake: Lake) -> None:
    resource = LakeResource(address=lake.uri)
    assert list(assets.new_traffic(context=dg.build_asset_context(), lake=resource)) == []
    ask(lake, range(5), by=model())
    (output,) = assets.new_traffic(context=dg.build_asset_context(), lake=resource)
    found, again = look(lake), assets.kept(output.value)
    assert found is not None
    assert again.rows.equals(found.rows)
    assert (again.since, again.until, again.left_out) == (found.since, found.until, found.left_out)
    lake.commit("main", {f"{TRAFFIC}/{name}": data for name, data in output.value.items()}, message="take")
    assert list(assets.new_traffic(context=dg.build_asset_context(), lake=resource)) == []
    assert TRAFFIC in beyond_the_line()
