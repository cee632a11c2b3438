"""Every keeper over every store, for the contract of features: a new one is a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dfp_platform.features.keeper import Keeper
from dfp_platform.features.redis_versions import RedisVersions
from dfp_platform.features.row_sources import FeastRows, PlainRows
from dfp_platform.features.sqlite_versions import SqliteVersions
from tests.local_servers import free_port, until
from tests.redis_server import NEEDS_REDIS, RedisServer, redis_server

Made = Callable[[Path, str], Keeper]


def feast_on_sqlite(folder: Path, _url: str) -> Keeper:
    return Keeper(FeastRows(), SqliteVersions(folder / "online"))


def feast_on_redis(_folder: Path, url: str) -> Keeper:
    return Keeper(FeastRows(), RedisVersions(url, layout="feast"))


def plain_on_redis(_folder: Path, url: str) -> Keeper:
    return Keeper(PlainRows(), RedisVersions(url, layout="plain"))


KEEPERS: dict[str, Made] = {
    "feast-sqlite": feast_on_sqlite,
    "feast-redis": feast_on_redis,
    "plain-redis": plain_on_redis,
    "feast-cluster": feast_on_redis,
    "plain-cluster": plain_on_redis,
}
ALL_KEEPERS = [pytest.param(name, marks=[] if name.endswith("sqlite") else [NEEDS_REDIS]) for name in KEEPERS]


@contextmanager
def one_node_cluster(folder: Path) -> Iterator[RedisServer]:
    """A cluster of one node that has all slots: it refuses what spans slots, as a larger one does."""
    import redis

    told = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with redis_server(folder, *told) as server, redis.Redis.from_url(server.url) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        server.url = server.url.replace("redis://", "redis+cluster://").removesuffix("/0")
        yield server
