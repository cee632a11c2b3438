"""`dfp trace <prediction id>`: from one answer to the model that gave it and the raw bytes behind both."""

from __future__ import annotations

import json

import pytest

from dfp_platform.errors import NotFoundError
from dfp_platform.lake import Lake
from dfp_platform.resources.trace_targets import resolve
from dfp_platform.resources.tracing import traced
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.predictions import FOLDER, Origin
from dfp_platform.settings import settings
from tests.predictions import answerer, answers
from tests.unit.test_cli_lake import Dfp
from tests.unit.test_tracing import dfp, lake, write

__all__ = ["dfp", "lake"]


def opened_log(lake: Lake) -> PredictionLog:
    return PredictionLog(lake, spool=settings().home / FOLDER, seconds=3_600.0)


def test_it_leads_to_the_model_as_it_was_when_it_answered(lake: Lake) -> None:
    commit = lake.resolve("main")
    log = opened_log(lake)
    (told,) = log.add(answers(answerer(artifact="models/small", commit=commit), 0.75))
    log.close()
    write(lake, "models/small", {"card.json": b"{}", "weights": b"newer"}, inputs=["features/apps"])
    found = resolve(lake, told, "main")
    assert (found.kind, found.asset, found.commit) == ("prediction", "models/small", commit)
    steps = traced(lake, found.commit, found.asset)
    assert [step.asset for step in steps] == ["models/small", "features/apps", "raw/kronodroid_real_device"]
    assert steps[0].config == {"a": {"seed": 7}}
    assert steps[0].content != traced(lake, "main", "models/small")[0].content


def test_a_person_reads_the_answer_above_its_lineage(lake: Lake, dfp: Dfp) -> None:
    commit = lake.resolve("main")
    log = opened_log(lake)
    origin = Origin("online-7", commit)
    (told,) = log.add(answers(answerer(artifact="models/small", commit=commit), 0.75, origins=origin))
    code, waiting, _ = dfp("trace", told)
    assert (code, "in the spool of this machine" in waiting) == (0, True)
    log.close()
    code, said, _ = dfp("trace", told)
    assert code == 0
    assert f"in commit {lake.resolve('predictions')}" in said
    assert "score 0.75, malware (threshold 0.5), reconstruction error 1.5" in said
    assert f"dfp trace features/online --ref {commit}" in said
    assert "sha256 " + "ab" * 32 in said


def test_json_holds_the_row_and_every_feature(lake: Lake, dfp: Dfp) -> None:
    log = opened_log(lake)
    (told,) = log.add(answers(answerer(artifact="models/small", commit=lake.resolve("main")), 0.25))
    log.close()
    code, said, _ = dfp("trace", told, "--json")
    answer = json.loads(said, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert code == 0
    assert answer["prediction"]["vector"] == {"sys_read": 0.0, "sys_write": None, "perm_internet": None}
    assert answer["prediction"]["features_from"] == "request"
    assert answer["complete"]


def test_one_that_is_nowhere_is_said_to_come(lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="DFP_PREDICTION_LOG_SECONDS"):
        resolve(lake, "p-20261126123456-k3f7x2ab-000000", "main")
