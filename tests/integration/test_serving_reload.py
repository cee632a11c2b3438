"""`POST /admin/reload`: what is published by then, or the model before; and the promotion that asks for it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from dfp_platform.errors import UnreachableError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.mobile.artifact import MobileArtifact, MobileCard
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from dfp_platform.publishing.promotions import reload_services
from dfp_platform.serving.api import create_api
from dfp_platform.serving.champion import CHAMPION
from dfp_platform.settings import Settings
from tests.apps import tiny_table
from tests.configured import tiny

pytestmark = pytest.mark.xdist_group("serving")  # one worker exports the model

TOKEN = "a sécret of the test"
AWAY = ("10.0.0.9", 4_000)
HERE = ("127.0.0.1", 4_000)
ONE_APP = {"apps": [{"sha256": "0" * 64, "features": {}}]}


@pytest.fixture(scope="module")
def artifacts() -> list[MobileArtifact]:
    """Two models that differ by their thresholds."""
    trained = train(TrainingData.from_arrow(tiny_table()), tiny("ae_small", "training.epochs=1"), progress=False)
    one = EXPORTERS["onnx"].export(trained.files)
    return [one, replace(one, card=one.card.model_copy(update={"threshold": 0.25}))]


@pytest.fixture
def lake(tmp_path: Path, artifacts: list[MobileArtifact]) -> Lake:
    made = open_lake(tmp_path / "lake", create=True)
    publish(made, artifacts[0].files)
    return made


def publish(lake: Lake, files: dict[str, bytes]) -> str:
    return lake.commit("main", {f"{CHAMPION}/{name}": data for name, data in files.items()}, message="a model")


def one_feature_less(card: bytes) -> bytes:
    told = MobileCard.from_json(card)
    return told.model_copy(update={"features": told.features[1:]}).to_json()


class Client:
    """Asks the API without a socket, as if from `host`."""

    def __init__(self, lake: Any, *, token: str = "", host: tuple[str, int] = HERE) -> None:
        self.transport = httpx.ASGITransport(app=create_api(lake, "main", token=token), client=host)

    def post(self, path: str, **options: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://service") as client:
                return await client.post(path, **options)

        return asyncio.run(asked())


def test_it_takes_the_model_that_is_published_by_then(lake: Lake, artifacts: list[MobileArtifact]) -> None:
    service = Client(lake)
    before = service.post("/predict", json=ONE_APP).json()
    assert service.post("/admin/reload").json() == {"lake_commit": before["lake_commit"], "changed": False}
    head = publish(lake, artifacts[1].files)
    assert service.post("/predict", json=ONE_APP).json() == before, "nothing changes by itself"
    assert service.post("/admin/reload").json() == {"lake_commit": head, "changed": True}
    after = service.post("/predict", json=ONE_APP).json()
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
    service = Client(lake)
    before = service.post("/predict", json=ONE_APP).json()
    publish(lake, broken({**artifacts[1].files}))
    refused = service.post("/admin/reload")
    assert refused.status_code == 409
    assert "goes on answering" in refused.json()["detail"]
    assert service.post("/predict", json=ONE_APP).json() == before
    head = publish(lake, {"second.onnx": None, **artifacts[1].files})
    assert service.post("/admin/reload").json()["lake_commit"] == head, "a mended one is taken"


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
    service = Client(distant)
    distant.answers = False
    refused = service.post("/admin/reload")
    assert (refused.status_code, service.post("/predict", json=ONE_APP).status_code) == (503, 200)
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
    assert Client(lake, token=token, host=host).post("/admin/reload", headers=headers).status_code == status


# -- the promotion ---------------------------------------------------------------------------------------------------


@contextmanager
def serving(lake: Lake, *, token: str = "") -> Iterator[str]:
    """A service on a free port of this machine; its address."""
    config = uvicorn.Config(create_api(lake, "main", token=token), host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)


def at(*addresses: str, token: str | None = None) -> Settings:
    return Settings(_env_file=None, serving_urls=", ".join(addresses), serving_token=token)


def test_a_promotion_has_every_service_load_it(lake: Lake, artifacts: list[MobileArtifact]) -> None:
    services: list[AbstractContextManager[str]] = [serving(lake, token=TOKEN) for _ in range(2)]
    with services[0] as one, services[1] as other:
        head = publish(lake, artifacts[1].files)
        reload_services(lake, "main", at(one, f"{other}/", token=TOKEN))
        assert [httpx.get(f"{each}/model").json()["lake_commit"] for each in (one, other)] == [head, head]


def test_a_service_that_is_not_there_is_a_warning_and_keeps_the_others_from_nothing(
    lake: Lake, artifacts: list[MobileArtifact], free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lake, token=TOKEN) as here, caplog.at_level(logging.DEBUG):
        publish(lake, artifacts[1].files)
        gone = f"http://127.0.0.1:{free_port}"
        reload_services(lake, "main", at(gone, "no address", here, token=TOKEN))
        assert httpx.get(f"{here}/model").json()["lake_commit"] == lake.resolve("main")
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


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
