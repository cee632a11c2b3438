"""The prediction log on every kind of lake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from dfp_platform.lake import Lake
from dfp_platform.serving.prediction_days import Joined, forget_days, join_days
from dfp_platform.serving.prediction_files import find_prediction, read_predictions
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.predictions import PredictionId
from tests.predictions import answerer, answers


def test_what_logs_of_two_machines_keep_is_read_from_one_branch(lake: Lake, tmp_path: Path) -> None:
    logs = [PredictionLog(lake, spool=tmp_path / name, seconds=3_600.0) for name in ("one", "two")]
    told = [id for log in logs for id in log.add(answers(answerer(), 0.1, 0.9))]
    for log in logs:
        log.close(patience=60.0)
    assert sorted(read_predictions(lake)["prediction_id"].to_pylist()) == sorted(told)


def test_days_are_joined_and_forgotten_on_any_lake(lake: Lake, tmp_path: Path) -> None:
    begun, told = datetime(2026, 11, 1, 8, tzinfo=UTC), list[str]()
    for hour in range(2):
        at = (begun + timedelta(hours=hour)).timestamp()
        log = PredictionLog(lake, spool=tmp_path / "spool", seconds=3_600.0, clock=lambda at=at: at)
        told += log.add(answers(answerer(), 0.1, 0.9))
        log.close(patience=60.0)
    assert list(join_days(lake, now=begun + timedelta(days=5))) == [Joined("2026-11-01", 2, 1)]
    assert read_predictions(lake)["prediction_id"].to_pylist() == told
    assert find_prediction(lake, PredictionId.parse(told[3]), spool=tmp_path)[0]["prediction_id"] == told[3]
    assert forget_days(lake, before=begun + timedelta(days=5)) == ["2026-11-01"]
    assert read_predictions(lake).num_rows == 0
