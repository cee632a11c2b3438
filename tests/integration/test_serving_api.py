"""The inference API over a model in a lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfp_platform.errors import NotFoundError, UnreachableError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.service import Limits
from tests.serving_api import ONE_APP, Client, Vectored, client, ids, publish, question, tiny_artifact, tiny_data

pytestmark = pytest.mark.xdist_group("serving")  # one worker exports the model


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = open_lake(tmp_path / "lake", create=True)
    publish(made, tiny_artifact().files)
    return made


@pytest.fixture
def api(lake: Lake) -> Client:
    return client(lake)


def expected(rows: list[int]) -> Any:
    return EXPORTERS["onnx"].load(tiny_artifact()).answer(np.ascontiguousarray(tiny_data().matrix[rows]))


def told(answer: dict[str, Any], name: str) -> np.ndarray:
    return np.array([each[name] for each in answer["predictions"]], dtype=np.float32)


def test_answers_are_the_artifacts_scores_named_by_the_lake_commit(api: Client, lake: Lake) -> None:
    answer = api.post("/predict", json=question(range(5))).json()
    wanted = expected([0, 1, 2, 3, 4])
    assert np.array_equal(told(answer, "score"), wanted.scores)
    assert np.array_equal(told(answer, "reconstruction_error"), wanted.known_errors)
    assert told(answer, "label").tolist() == (wanted.scores > tiny_artifact().card.threshold).tolist()
    assert answer["lake_commit"] == lake.resolve("main")
    assert answer["threshold"] == tiny_artifact().card.threshold
    assert answer["features"] is None, "all features came with the question"


def test_an_app_by_id_is_scored_by_the_features_that_are_served(api: Client) -> None:
    answer = api.post("/predict", json={"apps": [{"sha256": key} for key in ids([3, 1])]}).json()
    assert np.array_equal(told(answer, "score"), expected([3, 1]).scores)
    assert answer["features"] == {"version": "v1-test", "lake_commit": "c" * 40}


def test_served_features_are_taken_by_name_not_by_place(lake: Lake) -> None:
    turned = Vectored(["further", *reversed(tiny_data().features)][1:])
    answer = client(lake, reader=turned).post("/predict", json={"apps": [{"sha256": key} for key in ids([2])]}).json()
    assert np.array_equal(told(answer, "score"), expected([2]).scores)


def test_features_that_lack_one_of_the_model_are_a_503_that_names_it(lake: Lake) -> None:
    short = Vectored(tiny_data().features[1:])
    refused = client(lake, reader=short).post("/predict", json={"apps": [{"sha256": ids([2])[0]}]})
    assert refused.status_code == 503
    assert tiny_data().features[0] in refused.json()["detail"]


def test_a_mixed_batch_keeps_its_order_and_says_which_apps_are_unknown(api: Client) -> None:
    known, unknown = ids([4])[0], "f" * 64
    apps = [{"sha256": unknown}, question([2])["apps"][0], {"sha256": known}]
    answer = api.post("/predict", json={"apps": apps}).json()
    assert [each["sha256"] for each in answer["predictions"]] == [unknown, ids([2])[0], known]
    assert answer["predictions"][0]["score"] is None
    assert "no features are served" in answer["predictions"][0]["error"]
    assert np.array_equal(told({"predictions": answer["predictions"][1:]}, "score"), expected([2, 4]).scores)


def test_no_known_app_is_a_404(api: Client) -> None:
    refused = api.post("/predict", json={"apps": [{"sha256": "f" * 64}]})
    assert (refused.status_code, "f" * 64 in refused.json()["detail"]) == (404, True)


def test_an_app_that_says_little_is_scored_with_the_rest_unknown(api: Client) -> None:
    answer = api.post("/predict", json={"apps": [{"sha256": "0" * 64, "features": {tiny_data().features[0]: 1.0}}]})
    assert answer.status_code == 200
    assert np.isfinite(answer.json()["predictions"][0]["score"])


APP = {"sha256": "0" * 64}


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ('{"apps": []}', ["apps"], "at least 1"),
        ("{}", ["apps"], "required"),
        ("[1]", [], "object"),
        ("not json", [], "JSON"),
        ("", [], "JSON"),
        ('{"apps": [{"sha256": "0"}]}', ["apps", 0, "sha256"], "pattern"),
        ('{"apps": [{"sha256": 7}]}', ["apps", 0, "sha256"], "string"),
        ('{"apps": [{"sha256": "%s", "weight": 1}]}' % ("0" * 64), ["apps", 0, "weight"], "Extra"),
        ('{"apps": [{"sha256": "%s", "features": {"FIRST": "3"}}]}' % ("0" * 64), None, "number"),
        ('{"apps": [{"sha256": "%s", "features": {"FIRST": true}}]}' % ("0" * 64), None, "number"),
        ('{"apps": [{"sha256": "%s", "features": {"FIRST": null}}]}' % ("0" * 64), None, "number"),
        ('{"apps": [{"sha256": "%s", "features": {"FIRST": NaN}}]}' % ("0" * 64), None, "finite"),
        ('{"apps": [{"sha256": "%s", "features": {"FIRST": 1e999}}]}' % ("0" * 64), None, "finite"),
        ('{"apps": [{"sha256": "%s", "features": {"FIRST": 1e39}}]}' % ("0" * 64), None, "less than"),
        ('{"apps": [{"sha256": "%s", "features": {"scanners": 1}}]}' % ("0" * 64), None, "does not know"),
    ],
)
def test_what_is_wrong_with_a_question_is_told_by_field(api: Client, body: str, field: list | None, says: str) -> None:
    first = tiny_data().features[0]
    sent = body.replace("FIRST", first).encode()
    refused = api.post("/predict", content=sent, headers={"content-type": "application/json"})
    fault = refused.json()["detail"][0]
    assert refused.status_code == 422
    assert says in fault["msg"]
    named = field if field is not None else ["apps", 0, "features", "scanners" if "scanners" in body else first]
    assert fault["loc"] == ["body", *named]


def test_too_many_apps_bytes_or_another_type_are_refused(lake: Lake) -> None:
    api = client(lake, limits=Limits(apps=2, bytes=2_000, seconds=1.0))
    many = api.post("/predict", json={"apps": [APP] * 3})
    assert (many.status_code, many.json()["detail"][0]["loc"]) == (422, ["body", "apps"])
    large = api.post("/predict", content=b" " * 2_001, headers={"content-type": "application/json"})
    assert (large.status_code, "2,000 bytes" in large.json()["detail"]) == (413, True)

    async def parts() -> Any:
        for _ in range(3):
            yield b" " * 1_000

    assert api.post("/predict", content=parts(), headers={"content-type": "application/json"}).status_code == 413
    assert api.post("/predict", content=b"{}", headers={"content-type": "text/xml"}).status_code == 415


def test_a_body_that_does_not_come_is_given_up(lake: Lake) -> None:
    import asyncio

    async def slow() -> Any:
        yield b"{"
        await asyncio.sleep(5)

    api = client(lake, limits=Limits(seconds=0.05))
    assert api.post("/predict", content=slow(), headers={"content-type": "application/json"}).status_code == 408


def test_a_store_that_is_gone_is_a_503_until_it_is_back(lake: Lake) -> None:
    reader = Vectored()
    api = client(lake, reader=reader)
    asked = {"apps": [{"sha256": ids([1])[0]}]}
    reader.fail = UnreachableError("Redis does not answer", address="far away")
    gone = api.post("/predict", json=asked)
    assert (gone.status_code, gone.headers["retry-after"]) == (503, "1")
    assert "Redis does not answer" in gone.json()["detail"]
    assert api.post("/predict", json=question([1])).status_code == 200, "raw values need no store"
    assert api.get("/readyz").status_code == 200
    reader.fail = NotFoundError("nothing is served yet")
    assert api.post("/predict", json=asked).status_code == 503
    reader.fail = None
    assert api.post("/predict", json=asked).status_code == 200


def test_probes_and_the_model_can_be_asked_for(api: Client) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    ready = api.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert api.get("/model").json()["card"]["schema_hash"] == tiny_artifact().card.schema_hash


def test_before_the_first_publication_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    empty = open_lake(tmp_path / "empty", create=True)
    api = client(empty)
    assert [api.get(path).status_code for path in ("/healthz", "/readyz", "/model")] == [200, 503, 503]
    assert api.post("/predict", json=ONE_APP).status_code == 503
    assert api.post("/admin/reload").status_code == 409
    publish(empty, tiny_artifact().files)
    assert api.post("/admin/reload").json()["changed"] is True
    assert api.post("/predict", json=ONE_APP).status_code == 200


def test_every_answer_is_logged_under_the_id_it_was_given(lake: Lake, tmp_path: Path) -> None:
    log = PredictionLog(lake, spool=tmp_path / "spool", seconds=60)
    api = client(lake, log=log)
    apps = [{"sha256": "f" * 64}, question([2])["apps"][0], {"sha256": ids([4])[0]}]
    answer = api.post("/predict", json={"apps": apps}, headers={"x-request-id": "mine"})
    log.close()
    given = [each["prediction_id"] for each in answer.json()["predictions"]]
    from dfp_platform.serving.prediction_files import read_predictions

    rows = read_predictions(lake).to_pylist()
    assert answer.headers["x-request-id"] == "mine"
    assert given[0] is None, "what is not scored is no prediction"
    assert [row["prediction_id"] for row in rows] == given[1:]
    assert [row["sha256"] for row in rows] == ids([2, 4])
    assert [row["request_id"] for row in rows] == ["mine"] * 2
    assert [np.float32(row["score"]) for row in rows] == told(
        {"predictions": answer.json()["predictions"][1:]}, "score"
    ).tolist()


def test_what_happened_is_counted_for_prometheus(api: Client) -> None:
    api.post("/predict", json=question(range(3)))
    api.post("/predict", json={"apps": [{"sha256": "f" * 64}]})
    api.ask("BREW", "/coffee")
    page = api.get("/metrics").text
    assert 'dfp_requests_total{method="POST",path="/predict",status="200"} 1.0' in page
    assert 'dfp_requests_total{method="POST",path="/predict",status="404"} 1.0' in page
    assert 'dfp_requests_total{method="other",path="other",status="404"} 1.0' in page
    assert "dfp_unknown_apps_total 1.0" in page
    counted = [float(line.split()[-1]) for line in page.splitlines() if line.startswith("dfp_predictions_total{")]
    assert sum(counted) == 3.0
    assert 'dfp_model_info{model="autoencoder",role="champion"' in page


def test_examples_of_the_description_are_answers_to_it(api: Client) -> None:
    described = api.get("/openapi.json").json()["paths"]["/predict"]["post"]
    examples = described["requestBody"]["content"]["application/json"]["schema"]["examples"]
    assert [api.post("/predict", json=example).status_code for example in examples] == [404, 200]
    assert set(described["responses"]) >= {"200", "401", "403", "404", "408", "413", "415", "422", "503"}
