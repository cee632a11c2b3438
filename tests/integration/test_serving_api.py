"""The inference API over a model in a lake."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn

from dfp_platform.errors import NotFoundError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from dfp_platform.serving.api import create_api
from dfp_platform.serving.champion import CHAMPION
from tests.apps import tiny_table
from tests.configured import tiny

pytestmark = pytest.mark.xdist_group("serving")  # one worker exports the model


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData.from_arrow(tiny_table())


@pytest.fixture(scope="module")
def artifact(data: TrainingData) -> MobileArtifact:
    trained = train(data, tiny("ae_small", "training.epochs=1"), progress=False)
    return EXPORTERS["onnx"].export(trained.files)


@pytest.fixture
def lake(tmp_path: Path, artifact: MobileArtifact) -> Lake:
    made = open_lake(tmp_path / "lake", create=True)
    made.commit("main", {f"{CHAMPION}/{name}": data for name, data in artifact.files.items()}, message="a model")
    return made


@pytest.fixture
def client(lake: Lake) -> Iterator[httpx.Client]:
    """A client of the API on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(create_api(lake, "main"), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as opened:
        yield opened
    server.should_exit = True
    thread.join(timeout=20)


def question(data: TrainingData, rows: range) -> dict:
    return {
        "apps": [
            {"sha256": str(data.ids[row]), "features": dict(zip(data.features, data.matrix[row].tolist(), strict=True))}
            for row in rows
        ]
    }


def test_answers_are_the_artifacts_scores_named_by_the_lake_commit(
    client: httpx.Client, lake: Lake, data: TrainingData, artifact: MobileArtifact
) -> None:
    answer = client.post("/predict", json=question(data, range(5))).json()
    expected = EXPORTERS["onnx"].load(artifact).answer(np.ascontiguousarray(data.matrix[:5]))
    told = {name: np.array([each[name] for each in answer["scores"]]) for name in ("score", "reconstruction_error")}
    assert np.array_equal(told["score"].astype(np.float32), expected.scores)
    assert np.array_equal(told["reconstruction_error"].astype(np.float32), expected.known_errors)
    assert [s["malware"] for s in answer["scores"]] == (expected.scores > artifact.card.threshold).tolist()
    assert answer["lake_commit"] == lake.resolve("main")


def test_a_feature_the_model_does_not_know_is_refused_by_name(client: httpx.Client, data: TrainingData) -> None:
    asked = question(data, range(1))
    asked["apps"][0]["features"]["scanners"] = 3.0
    refused = client.post("/predict", json=asked)
    assert refused.status_code == 422
    assert "scanners" in refused.json()["detail"]


def test_an_app_that_says_little_is_scored_with_the_rest_unknown(client: httpx.Client, data: TrainingData) -> None:
    answer = client.post("/predict", json={"apps": [{"sha256": "0" * 64, "features": {data.features[0]: 1.0}}]})
    assert answer.status_code == 200
    assert np.isfinite(answer.json()["scores"][0]["score"])


def test_no_apps_is_no_question(client: httpx.Client) -> None:
    assert client.post("/predict", json={"apps": []}).status_code == 422


def test_the_model_and_its_health_can_be_asked_for(client: httpx.Client, artifact: MobileArtifact) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/model").json()["schema_hash"] == artifact.card.schema_hash


def test_a_lake_without_a_model_serves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no model is published"):
        create_api(open_lake(tmp_path / "empty", create=True), "main")
