"""`POST /admin/reload`: what is published by then, or the model before; and the promotion that asks for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from dfp_platform.errors import UnreachableError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.mobile.artifact import MobileArtifact, MobileCard
from dfp_platform.publishing.promotions import reload_services
from dfp_platform.serving.api import create_api
from dfp_platform.serving.service import follow
from dfp_platform.settings import Settings
from tests.local_servers import free_port
from tests.serving_api import AWAY, HERE, ONE_APP, client, listening, publish, question, service, tiny_artifact

pytestmark = pytest.mark.xdist_group("serving")  # one worker exports the model

TOKEN = "a sécret of the test"


@pytest.fixture(scope="module")
def artifacts() -> list[MobileArtifact]:
    """Two models that differ by their thresholds."""
    one = tiny_artifact()
    return [one, replace(one, card=one.card.model_copy(update={"threshold": 0.25}))]


@pytest.fixture
def lake(tmp_path: Path, artifacts: list[MobileArtifact]) -> Lake:
    made = open_lake(tmp_path / "lake", create=True)
    publish(made, artifacts[0].files)
    return made


def one_feature_less(card: bytes) -> bytes:
    told = MobileCard.from_json(card)
    return told.model_copy(update={"features": told.features[1:]}).to_json()


def test_it_takes_the_model_that_is_published_by_then(lake: Lake, artifacts: list[MobileArtifact]) -> None:
    api = client(lake)
    before = api.post("/predict", json=ONE_APP).json()
    assert api.post("/admin/reload").json() == {"lake_commit": before["lake_commit"], "changed": False}
    head = publish(lake, artifacts[1].files)
    assert api.post("/predict", json=ONE_APP).json() == before, "nothing changes by itself"
    assert api.post("/admin/reload").json() == {"lake_commit": head, "changed": True}
    after = api.post("/predict", json=ONE_APP).json()
    assert (after["lake_commit"], after["threshold"]) == (head, 0.25)
    assert before["threshold"] == artifacts[0].card.threshold != 0.25


@pytest.mark.parametrize(
    "broken",
    [
        lambda files: {**files, "model.onnx": b"no model"},
        lambda files: {**files, "card.json": b"{}"},
        lambda files: {**files, "card.json": files["card.json"].replace(b'"exporter": "onnx"', b'"exporter": "x"')},
        lambda files: {**files, "card.json": one_feature_less(files["card.json"])},
        lambda files: {**files, "second.onnx": b""},
        lambda files: dict.fromkeys(files),
    ],
    ids=["bytes", "card", "exporter", "shape", "two models", "none"],
)
def test_a_model_that_is_none_is_refused_and_the_one_before_goes_on(
    lake: Lake, artifacts: list[MobileArtifact], broken: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    api = client(lake)
    before = api.post("/predict", json=ONE_APP).json()
    publish(lake, broken({**artifacts[1].files}))
    refused = api.post("/admin/reload")
    assert refused.status_code == 409
    assert "goes on answering" in refused.json()["detail"]
    assert api.post("/predict", json=ONE_APP).json() == before
    head = publish(lake, {"second.onnx": None, **artifacts[1].files})
    assert api.post("/admin/reload").json()["lake_commit"] == head, "a mended one is taken"


class Distant:
    """A lake that may stop answering."""

    def __init__(self, lake: Lake) -> None:
        self.lake, self.answers = lake, True

    def __getattr__(self, name: str) -> Any:
        if not self.answers:
            raise UnreachableError("the lake does not answer", address="far away")
        return getattr(self.lake, name)


def test_a_lake_that_does_not_answer_is_a_503_and_the_model_goes_on(lake: Lake) -> None:
    distant = Distant(lake)
    api = client(distant)
    distant.answers = False
    refused = api.post("/admin/reload")
    assert (refused.status_code, api.post("/predict", json=ONE_APP).status_code) == (503, 200)
    assert "the lake does not answer" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("token", "shown", "host", "status"),
    [
        ("", "", HERE, 200),
        ("", "", ("::1", 4_000), 200),
        ("", "", AWAY, 403),
        ("", f"Bearer {TOKEN}", AWAY, 403),
        (TOKEN, f"Bearer {TOKEN}", AWAY, 200),
        (TOKEN, "Bearer another", HERE, 401),
        (TOKEN, TOKEN, HERE, 401),
        (TOKEN, "", HERE, 401),
        (TOKEN, "Bearer \xff", HERE, 401),
    ],
)
def test_who_may_ask(lake: Lake, token: str, shown: str, host: tuple[str, int], status: int) -> None:
    headers = {b"Authorization": shown.encode()} if shown else {}
    assert client(lake, token=token, host=host).post("/admin/reload", headers=headers).status_code == status


def test_all_but_probes_and_the_description_want_the_token(lake: Lake) -> None:
    api = client(lake, token=TOKEN)
    asked = [("GET", "/model"), ("GET", "/metrics"), ("POST", "/predict"), ("GET", "/nowhere")]
    assert {path: api.ask(method, path).status_code for method, path in asked} == {path: 401 for _, path in asked}
    assert [api.get(path).status_code for path in ("/healthz", "/readyz", "/openapi.json", "/docs")] == [200] * 4


def test_an_equal_model_at_another_commit_is_no_change(lake: Lake) -> None:
    api = client(lake)
    lake.commit("main", {"elsewhere/file": b"1"}, message="something else")
    assert api.post("/admin/reload").json() == {"lake_commit": lake.resolve("main"), "changed": False}


def test_it_may_look_for_another_model_by_itself_and_goes_on_looking_whatever_happens(
    lake: Lake, artifacts: list[MobileArtifact]
) -> None:
    answering, stop, looked, failed = service(lake), threading.Event(), threading.Event(), threading.Event()

    def reload() -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("whatever a lake may raise")
        answering.reload()
        looked.set()

    thread = follow(reload, 0.01, stop)
    head = publish(lake, artifacts[1].files)
    looked.clear()
    assert looked.wait(20)
    stop.set()
    thread.join(20)
    assert answering.served.current.head == head


def test_reloads_under_load_drop_no_request(lake: Lake, artifacts: list[MobileArtifact]) -> None:
    answers: list[tuple[int, float]] = []
    done = threading.Event()

    def ask(address: str) -> None:
        with httpx.Client(base_url=address, headers={b"Authorization": f"Bearer {TOKEN}".encode()}) as one:
            while not done.is_set():
                answer = one.post("/predict", json=asked)
                answers.append((answer.status_code, answer.json()["threshold"]))

    asked = question([0, 1])
    with serving(lake) as address:
        askers = [threading.Thread(target=ask, args=(address,)) for _ in range(3)]
        for asker in askers:
            asker.start()
        for turn in range(12):
            publish(lake, artifacts[(turn + 1) % 2].files)
            reload_services(lake, "main", at(address, token=TOKEN))
        publish(lake, {"model.onnx": b"no model"})
        reload_services(lake, "main", at(address, token=TOKEN))
        done.set()
        for asker in askers:
            asker.join(20)
    thresholds = {threshold for _, threshold in answers}
    assert {status for status, _ in answers} == {200}
    assert thresholds == {artifact.card.threshold for artifact in artifacts}, "both have answered"


# -- the promotion ---------------------------------------------------------------------------------------------------


def serving(lake: Lake) -> AbstractContextManager[str]:
    return listening(create_api(service(lake), token=TOKEN))


def model_at(address: str) -> dict[str, Any]:
    return httpx.get(f"{address}/model", headers={b"Authorization": f"Bearer {TOKEN}".encode()}).json()


def at(*addresses: str, token: str | None = None) -> Settings:
    return Settings(_env_file=None, serving_urls=", ".join(addresses), serving_token=token)


def test_a_promotion_has_every_service_load_it(lake: Lake, artifacts: list[MobileArtifact]) -> None:
    services: list[AbstractContextManager[str]] = [serving(lake) for _ in range(2)]
    with services[0] as one, services[1] as other:
        head = publish(lake, artifacts[1].files)
        reload_services(lake, "main", at(one, f"{other}/", token=TOKEN))
        assert [model_at(each)["lake_commit"] for each in (one, other)] == [head, head]


def test_a_service_that_is_not_there_is_a_warning_and_keeps_the_others_from_nothing(
    lake: Lake, artifacts: list[MobileArtifact], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lake) as here, caplog.at_level(logging.DEBUG):
        publish(lake, artifacts[1].files)
        gone = f"http://127.0.0.1:{free_port()}"
        reload_services(lake, "main", at(gone, "no address", here, token=TOKEN))
        assert model_at(here)["lake_commit"] == lake.resolve("main")
        reload_services(lake, "main", at(here, token="another"))
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [next(name for name in (gone, "no address", here) if name in said) for said in warned] == [
        gone,
        "no address",
        here,
    ]
    assert "401" in warned[2]
    assert TOKEN not in caplog.text
    assert "another" not in caplog.text
