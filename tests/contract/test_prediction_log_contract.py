"""The prediction log on every kind of lake."""

from __future__ import annotations

from pathlib import Path

from dfp_platform.lake import Lake
from dfp_platform.serving.prediction_files import read_predictions
from dfp_platform.serving.prediction_log import PredictionLog
from tests.predictions import answerer, answers


def test_what_logs_of_two_machines_keep_is_read_from_one_branch(lake: Lake, tmp_path: Path) -> None:
    logs = [PredictionLog(lake, spool=tmp_path / name, seconds=3_600.0) for name in ("one", "two")]
    told = [id for log in logs for id in log.add(answers(answerer(), 0.1, 0.9))]
    for log in logs:
        log.close(patience=60.0)
    assert sorted(read_predictions(lake)["prediction_id"].to_pylist()) == sorted(told)
