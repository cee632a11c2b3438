"""Stock Feast over the keeper's versions: SDK, push, materialization and feature server, on SQLite and on Redis."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dfp_platform import features
from dfp_platform.errors import InputError
from dfp_platform.features.keeper import Keeper
from dfp_platform.features.layout import entity_key, event_us, feast_fields, timestamp, value_head
from dfp_platform.features.redis_versions import RedisVersions
from dfp_platform.features.registry import VERSIONED_STORE
from dfp_platform.features.row_sources import FeastRows
from dfp_platform.features.sqlite_versions import SqliteVersions
from dfp_platform.lake import Lake, open_lake
from tests.feature_line import NAMES, ROWS, apply_registry, digest, raw_values, store_table, training_table
from tests.local_servers import free_port, until
from tests.redis_server import NEEDS_REDIS, PATIENT, redis_server

pytestmark = pytest.mark.xdist_group("features")  # on one worker, so that Feast is imported once


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    opened = open_lake(tmp_path_factory.mktemp("feast") / "lake", create=True)
    store_table(opened, "main", training_table())
    apply_registry(opened, "main")
    opened.create_branch("next", "main")
    store_table(opened, "next", training_table(ROWS + 2, shift=5.0))
    return opened


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running.url + PATIENT


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=NEEDS_REDIS)])
def online(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The online store's part of ``feature_store.yaml``."""
    told = {"type": VERSIONED_STORE, "branch": "main", "home": str(tmp_path)}
    if request.param == "redis":
        told["redis_url"] = request.getfixturevalue("redis_url")
        RedisVersions(told["redis_url"], layout="feast")._writing.client.flushall()
    return told


@pytest.fixture
def keeper(online: dict[str, Any]) -> Iterator[Keeper]:
    url, home = online.get("redis_url"), Path(online["home"])
    store = RedisVersions(url, layout="feast") if url else SqliteVersions(home / "online")
    with closing(Keeper(FeastRows(), store)) as made:
        yield made


def opened(lake: Lake, online: dict[str, Any], ref: str = "main") -> Any:
    return features.open_store(lake, ref, online=online)


def publish(keeper: Keeper, lake: Lake, ref: str) -> str:
    version = keeper.materialize(lake, ref).version
    keeper.switch("main", version, lake.resolve(ref), publication=True)
    return version


@contextmanager
def feature_server(store: Any) -> Iterator[str]:
    """The address of Feast's feature server, as `feast serve` starts it, in a thread."""
    import uvicorn
    from feast.feature_server import get_app

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(get_app(store), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


ASKED = ["app_static:perm_reboot", "app_dynamic:sys_read", "app_dynamic:vector", "app_all:app_file_size"]


def test_scalars_and_vectors_of_any_view_come_out_of_the_one_vector(
    lake: Lake, online: dict[str, Any], keeper: Keeper
) -> None:
    publish(keeper, lake, "main")
    store, whole = opened(lake, online), raw_values(ROWS)[5].astype(np.float32).tolist()
    told = store.get_online_features(
        features=ASKED, entity_rows=[{"sha256": digest(5)}, {"sha256": "f" * 64}], full_feature_names=True
    ).to_dict()
    assert told["app_static__perm_reboot"] == [whole[2], None]
    assert told["app_dynamic__sys_read"] == [whole[0], None]
    assert told["app_dynamic__vector"] == [whole[:2], None]
    assert told["app_all__app_file_size"] == [whole[3], None]
    publish(keeper, lake, "next")
    after = store.get_online_features(features=ASKED[1:2], entity_rows=[{"sha256": digest(5)}]).to_dict()
    assert after["sys_read"] == [float(np.float32(raw_values(ROWS)[5, 0] + 5))]


def test_a_push_through_feast_is_served_where_it_is_newer(lake: Lake, online: dict[str, Any], keeper: Keeper) -> None:
    publish(keeper, lake, "main")
    store, day = opened(lake, online), datetime(2018, 1, 1, tzinfo=UTC)

    def push(at: datetime, value: float) -> None:
        row = {name: [np.float32(value)] for name in NAMES}
        vector = [np.full(len(NAMES), value, np.float32)]
        store.push("app_push", pd.DataFrame({"sha256": [digest(0)], "event_timestamp": [at], "vector": vector, **row}))

    def served() -> float:
        answer = store.get_online_features(features=["app_dynamic:sys_read"], entity_rows=[{"sha256": digest(0)}])
        return answer.to_dict()["sys_read"][0]

    push(day - timedelta(days=1), 1.0)
    assert served() == float(np.float32(raw_values(ROWS)[0, 0]))
    push(day + timedelta(days=1), 2.0)
    push(day, 3.0)
    assert served() == 2.0
    with closing(keeper.reader("main")) as reader:
        assert reader.read([digest(0)]).vectors[0].tolist() == [2.0] * len(NAMES)
    row = {"sys_read": [1.0], "sys_reboot": [1.0], "vector": [[1.0, 1.0]]}
    narrow = pd.DataFrame({"sha256": [digest(0)], "event_timestamp": [day], **row})
    with pytest.raises(InputError, match="elements of app_all"):
        store.write_to_online_store("app_dynamic", narrow)


def test_a_stock_materialization_is_a_version_of_the_whole_ref(
    lake: Lake, online: dict[str, Any], keeper: Keeper
) -> None:
    opened(lake, online).materialize_incremental(end_date=datetime.now(UTC))
    first = keeper.current("main")
    assert first is not None
    assert (first.version, first.commit) == (keeper.version_for(lake, "main"), lake.resolve("main"))
    assert features.served_equals_trained(keeper, lake, "main", first.version).passed
    opened(lake, online, "next").materialize_incremental(end_date=datetime.now(UTC))
    second = keeper.current("main")
    assert second is not None
    assert (second.previous.version, len(keeper.versions())) == (first.version, 2)
    assert features.served_equals_trained(keeper, lake, "next", second.version).passed


def test_a_stock_materialization_of_a_past_window_is_taken_into_what_is_served(
    lake: Lake, online: dict[str, Any], keeper: Keeper
) -> None:
    publish(keeper, lake, "main")
    opened(lake, online, "next").materialize(
        datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 1, 10, tzinfo=UTC), feature_views=["app_all"]
    )
    with closing(keeper.reader("main")) as reader:
        served = reader.read([digest(9), digest(10)])
    wanted = [raw_values(ROWS)[9] + 5, raw_values(ROWS)[10]]
    assert served.vectors.tobytes() == np.array(wanted).astype(np.float32).tobytes()


def test_the_feature_server_answers_scalars_and_vectors(lake: Lake, online: dict[str, Any], keeper: Keeper) -> None:
    import httpx

    publish(keeper, lake, "main")
    whole = raw_values(ROWS)[5].astype(np.float32).tolist()
    asked = {"features": ASKED, "entities": {"sha256": [digest(5)]}, "full_feature_names": True}
    with feature_server(opened(lake, online)) as address:
        answer = httpx.post(f"{address}/get-online-features", json=asked, timeout=30)
    assert answer.status_code == 200
    told = answer.json()
    values = dict(zip(told["metadata"]["feature_names"], [each["values"][0] for each in told["results"]], strict=True))
    assert values["app_dynamic__sys_read"] == pytest.approx(whole[0])
    assert values["app_dynamic__vector"] == pytest.approx(whole[:2])


@NEEDS_REDIS
def test_feasts_own_redis_store_reads_a_version_by_its_space(lake: Lake, redis_url: str) -> None:
    from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    with closing(Keeper(FeastRows(), RedisVersions(redis_url, layout="feast"))) as keeper:
        version = keeper.materialize(lake, "main")
    store = features.open_store(lake, "main")
    address = redis_url.removeprefix("redis://").removesuffix(f"/0{PATIENT}")
    config = store.config.model_copy(update={"project": version.space})
    config._online_store = RedisOnlineStoreConfig(connection_string=address)
    key = EntityKey(join_keys=["sha256"], entity_values=[Value(string_val=digest(5))])
    stock = RedisOnlineStore()
    ((at, values),) = stock.online_read(config, store.get_feature_view("app_all"), [key], ["vector"])
    stock._client.close()
    assert at == datetime(2018, 1, 6, tzinfo=UTC)
    assert list(values["vector"].float_list_val.val) == raw_values(ROWS)[5].astype(np.float32).tolist()


def test_the_layout_is_feasts_byte_for_byte() -> None:
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.infra.online_stores.helpers import _mmh3
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import FloatList, Value
    from google.protobuf.timestamp_pb2 import Timestamp

    for key in ("a", digest(1), "ü"):
        message = EntityKey(join_keys=["sha256"], entity_values=[Value(string_val=key)])
        assert entity_key(key) == serialize_entity_key(message, 3)
    for width in (1, 2, 31, 32, 486, 5_000):
        vector = np.arange(width, dtype=np.float32)
        message = Value(float_list_val=FloatList(val=vector.tolist()))
        assert value_head(width) + vector.tobytes() == message.SerializeToString()
    assert feast_fields() == (_mmh3("app_all:vector"), b"_ts:app_all")
    for moment in (0, 1, 1_514_764_800_000_000, 1_514_764_800_123_456, -1):
        told = Timestamp()
        told.FromMicroseconds(moment)
        assert (timestamp(moment), event_us(timestamp(moment))) == (told.SerializeToString(), moment)
