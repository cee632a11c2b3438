"""The API by id over a real Redis that goes away, hangs and comes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfp_platform.features import open_keeper
from dfp_platform.lake import Lake, open_lake
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.settings import Settings
from tests.apps import tiny_table
from tests.feature_line import apply_registry, store_table
from tests.redis_server import NEEDS_REDIS, RedisServer, redis_server
from tests.serving_api import Client, client, ids, publish, question, tiny_artifact, tiny_data

pytestmark = [NEEDS_REDIS, pytest.mark.xdist_group("serving")]  # one worker exports the model


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = open_lake(tmp_path_factory.mktemp("line") / "lake", create=True)
    store_table(made, "main", tiny_table())
    apply_registry(made, "main")
    publish(made, tiny_artifact().files)
    return made


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis", password="of the test") as server:
        yield server


@pytest.fixture(params=["plain", "feast"])
def keeper(request: pytest.FixtureRequest, redis: RedisServer, tmp_path: Path) -> Iterator[Any]:
    address = f"{redis.url}?socket_timeout=3&socket_connect_timeout=3"
    at = Settings(_env_file=None, home=tmp_path, redis_url=address, feature_store=request.param)
    with closing(open_keeper(at)) as opened:
        yield opened


def serve_features(keeper: Any, lake: Lake) -> None:
    keeper.switch("main", keeper.materialize(lake, "main").version, lake.resolve("main"))


def by_id(api: Client) -> tuple[int, float]:
    """The status of a question by id, and the seconds to it."""
    begun = time.perf_counter()
    status = api.post("/predict", json={"apps": [{"sha256": ids([1])[0]}]}).status_code
    return status, time.perf_counter() - begun


def test_it_answers_by_id_what_the_model_says_of_the_tables_values(keeper: Any, lake: Lake) -> None:
    serve_features(keeper, lake)
    answer = client(lake, reader=keeper.reader("main")).post(
        "/predict", json={"apps": [{"sha256": k} for k in ids([1, 7])]}
    )
    wanted = EXPORTERS["onnx"].load(tiny_artifact()).answer(np.ascontiguousarray(tiny_data().matrix[[1, 7]]))
    assert [np.float32(each["score"]) for each in answer.json()["predictions"]] == wanted.scores.tolist()
    assert answer.json()["features"]["lake_commit"] == lake.resolve("main")


def test_a_redis_that_is_gone_or_hangs_is_a_503_and_needs_no_restart_of_ours(
    keeper: Any, lake: Lake, redis: RedisServer
) -> None:
    serve_features(keeper, lake)
    api = client(lake, reader=keeper.reader("main"))
    assert by_id(api)[0] == 200
    assert redis.process is not None
    redis.process.send_signal(signal.SIGSTOP)
    status, seconds = by_id(api)
    redis.process.send_signal(signal.SIGCONT)
    assert (status, seconds < 30) == (503, True), "it hangs"
    assert by_id(api)[0] == 200
    redis.stop()
    status, seconds = by_id(api)
    assert (status, seconds < 30) == (503, True), "it is gone"
    assert api.post("/predict", json=question([1])).status_code == 200
    redis.start()
    assert by_id(api)[0] == 503, "it came back empty"
    serve_features(keeper, lake)
    assert by_id(api)[0] == 200
