"""Which version answers: the champion that the lake names, what stands on the branch, a challenger in shadow."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dfp_platform.catalog import content_at
from dfp_platform.errors import NotFoundError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.models.champions import Challenger, Reign
from dfp_platform.publishing.champions import tagged
from dfp_platform.serving.prediction_files import read_predictions
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.published import PublishedModel, published
from dfp_platform.serving.versions import reign_path
from tests.serving_api import EXPORT, client, question, tiny_artifact

pytestmark = pytest.mark.xdist_group("serving")  # one worker exports the model

MODEL = "models/autoencoder"


class Published:
    """A lake whose publications each hold a model, its export, and who reigns."""

    def __init__(self, folder: Path) -> None:
        self.lake = open_lake(folder, create=True)
        self.contents: list[str] = []

    def version(self, threshold: float, *, exported: bool = True) -> str:
        """Publish one more version, told apart by its threshold; its commit."""
        weights = f"weights {threshold}".encode()
        card = tiny_artifact().card
        files: dict[str, Any] = {f"{MODEL}/weights.safetensors": weights, f"{MODEL}/card.json": b"{}"}
        if exported:
            told = {"threshold": threshold, "weights_sha256": hashlib.sha256(weights).hexdigest()}
            made = replace(tiny_artifact(), card=card.model_copy(update=told))
            files |= {f"{EXPORT}/{name}": data for name, data in made.files.items()}
        commit = self.lake.commit("main", files, message=f"version {threshold}")
        self.contents.append(content_at(self.lake, commit, MODEL))
        tagged(self.lake, "autoencoder", self.contents[-1], commit)
        return commit

    def crown(self, champion: int, challenger: int | None = None) -> str:
        beside = None if challenger is None else Challenger(content=self.contents[challenger], reason="a test")
        reign = Reign(
            model="autoencoder",
            content=self.contents[champion],
            since=datetime(2026, 11, 26, tzinfo=UTC),
            why="by hand",
            reason="a test",
            challenger=beside,
        )
        return self.lake.commit("main", {reign_path("autoencoder"): reign.to_json()}, message="crowned")


@pytest.fixture
def line(tmp_path: Path) -> Published:
    return Published(tmp_path / "lake")


def told(lake: Lake, alias: Any) -> tuple[str, float]:
    found: PublishedModel = published(lake, "main", alias=alias)
    from dfp_platform.mobile.artifact import MobileArtifact

    return found.version, MobileArtifact.from_files(found.files).card.threshold


def test_a_champion_that_nobody_crowned_is_what_stands_there(line: Published) -> None:
    line.version(0.1)
    line.version(0.2)
    assert told(line.lake, "champion") == told(line.lake, "latest") == ("v2", 0.2)


def test_the_champion_is_found_in_the_history_when_another_version_stands_on_the_branch(line: Published) -> None:
    first = line.version(0.1)
    line.version(0.2)
    head = line.crown(0, challenger=1)
    assert told(line.lake, "champion") == ("v1", 0.1)
    assert told(line.lake, "challenger") == told(line.lake, "latest") == ("v2", 0.2)
    assert published(line.lake, "main", alias="champion").commit == first
    assert published(line.lake, "main", alias="challenger").commit == head


def test_an_export_that_lags_behind_is_not_taken_for_the_version_that_stands_there(line: Published) -> None:
    line.version(0.1)
    line.version(0.2, exported=False)
    line.crown(1)
    with pytest.raises(NotFoundError, match="no export of the champion"):
        published(line.lake, "main", alias="champion")
    assert published(line.lake, "main", alias="latest").number is None, "the export is of neither"


def test_no_challenger_and_no_such_model_are_said(line: Published) -> None:
    line.version(0.1)
    line.crown(0)
    with pytest.raises(NotFoundError, match="no challenger"):
        published(line.lake, "main", alias="challenger")
    with pytest.raises(NotFoundError, match="no export of the latest of vae"):
        published(line.lake, "main", "vae")


def test_a_promotion_by_hand_changes_who_answers(line: Published) -> None:
    line.version(0.1)
    line.version(0.2)
    line.crown(0)
    api = client(line.lake, alias="champion")
    assert api.post("/predict", json=question([0])).json()["model"]["version"] == "v1"
    line.crown(1)
    assert api.post("/admin/reload").json()["changed"] is True
    answer = api.post("/predict", json=question([0])).json()
    assert (answer["model"]["version"], answer["threshold"]) == ("v2", 0.2)


def test_a_challenger_answers_in_the_log_alone(line: Published, tmp_path: Path) -> None:
    line.version(0.1)
    line.version(0.2)
    line.crown(0, challenger=1)
    log = PredictionLog(line.lake, spool=tmp_path / "spool", seconds=60)
    api = client(line.lake, alias="champion", shadow=True, log=log)
    answer = api.post("/predict", json=question([0, 1])).json()
    log.close()
    rows = read_predictions(line.lake).to_pylist()
    assert [(row["role"], row["model_version"]) for row in rows] == [("champion", "v1")] * 2 + [
        ("challenger", "v2")
    ] * 2
    assert [each["prediction_id"] for each in answer["predictions"]] == [row["prediction_id"] for row in rows[:2]]
    assert api.get("/model").json()["shadow"] == "v2"
    page = api.get("/metrics").text
    assert 'dfp_model_info{model="autoencoder",role="challenger",version="v2"} 1.0' in page


def test_a_challenger_that_is_no_model_keeps_nobody_from_answering(line: Published) -> None:
    line.version(0.1)
    line.version(0.2)
    line.lake.commit("main", {f"{EXPORT}/model.onnx": b"no model"}, message="broken")
    line.crown(0, challenger=1)
    api = client(line.lake, alias="champion", shadow=True)
    assert api.post("/predict", json=question([0])).json()["model"]["version"] == "v1"
    assert api.get("/model").json()["shadow"] is None
