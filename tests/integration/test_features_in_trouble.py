"""Online features when things break: a killed writer, a full disk, Redis gone and back, a wrong password, TLS."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfp_platform.errors import ConfigurationError, CorruptLakeError, DiskFullError, NotFoundError, UnreachableError
from dfp_platform.features.interface import Rows
from dfp_platform.features.keeper import Keeper, open_keeper
from dfp_platform.features.redis_versions import RedisVersions
from dfp_platform.features.row_sources import PlainRows
from dfp_platform.features.sqlite_versions import SqliteVersions
from dfp_platform.features.versions import VersionStore, replaces, vector_bytes
from dfp_platform.settings import PROJECT_ROOT, Settings
from tests.feature_keepers import one_node_cluster
from tests.feature_writer import WIDTH, write
from tests.local_servers import free_port, until
from tests.redis_server import NEEDS_REDIS, PATIENT, RedisServer, redis_server

SOON = datetime.now(UTC) + timedelta(days=1)
STORES = ["sqlite", *(pytest.param(name, marks=NEEDS_REDIS) for name in ("feast", "plain"))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VersionStore]:
    if request.param == "sqlite":
        yield SqliteVersions(tmp_path / "online")
        return
    running: RedisServer = request.getfixturevalue("server")
    with closing(RedisVersions(running.url + PATIENT, layout=request.param)) as made:
        made._writing.client.flushall()
        yield made


def keeping(store: VersionStore) -> Keeper:
    return Keeper(PlainRows(), store)


def test_a_writer_that_is_killed_leaves_nothing_visible_and_what_it_left_is_pruned(
    store: VersionStore, tmp_path: Path
) -> None:
    url, layout = (
        (store.url, "plain" if "plain" in store._tag else "feast") if isinstance(store, RedisVersions) else ("", "-")
    )
    write(store, "whole", 3)
    keeper = keeping(store)
    keeper.switch("main", "whole", "c0")
    told = [sys.executable, "-m", "tests.feature_writer", str(tmp_path / "online"), url, layout, "9000"]
    with subprocess.Popen(told, stdout=subprocess.PIPE, cwd=PROJECT_ROOT) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().startswith(b"wrote")
        writer.kill()
        assert b"whole" not in writer.stdout.read()
    assert [each.version for each in keeper.versions()] == ["whole"]
    with pytest.raises(NotFoundError):
        keeper.switch("main", "half", "c1")
    assert left_by(store, tmp_path) > 0
    keeper.prune(before=datetime.now(UTC) - timedelta(hours=1))  # it could still be at work
    assert left_by(store, tmp_path) > 0
    keeper.prune(before=SOON)
    assert left_by(store, tmp_path) == 0
    with closing(keeper.reader("main")) as reader:
        assert reader.read(["app0", "app1", "app2"]).found.all()
    assert write(store, "half", 3).rows == 3


def left_by(store: VersionStore, folder: Path) -> int:
    """Files or keys of version `half`."""
    if isinstance(store, RedisVersions):
        return len(store._writing.client.keys("*half*"))
    return len(list((folder / "online").glob(".half*")))


def test_a_full_disk_leaves_nothing_visible(tmp_path: Path) -> None:
    told = ["import resource, sys", "from pathlib import Path", "from tests.feature_writer import write"]
    told += ["from dfp_platform.errors import DiskFullError"]
    told += ["from dfp_platform.features.sqlite_versions import SqliteVersions"]
    told += ["store = SqliteVersions(Path(sys.argv[1]))", "write(store, 'small', 10)"]
    told += ["resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))"]
    told += [
        "try:",
        "    write(store, 'large', 20_000)",
        "except DiskFullError as error:",
        "    print('FULL', error.hint)",
    ]
    told += ["print([each.version for each in store.versions()])", "print(write(store, 'again', 10).rows)"]
    answer = subprocess.run(
        [sys.executable, "-c", "\n".join(told), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT_ROOT,
        timeout=120,
    )
    assert "FULL make room" in answer.stdout
    assert "['small']" in answer.stdout
    assert answer.stdout.endswith("10\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.db", "small.db"]


@NEEDS_REDIS
@pytest.mark.parametrize("layout", ["feast", "plain"])
def test_a_redis_without_memory_leaves_nothing_visible_and_no_rest(tmp_path: Path, layout: str) -> None:
    options = ("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
    with (
        redis_server(tmp_path, *options) as running,
        closing(RedisVersions(running.url + PATIENT, layout=layout)) as store,
    ):
        write(store, "small", 10)
        with pytest.raises(DiskFullError):
            write(store, "large", 30_000)
        assert [each.version for each in store.versions()] == ["small"]
        assert store._writing.client.keys("*large*") == []
        assert write(store, "again", 10).rows == 10


@NEEDS_REDIS
@pytest.mark.parametrize("started", [redis_server, one_node_cluster])
def test_redis_gone_is_said_at_once_and_a_reader_goes_on_when_it_is_back(tmp_path: Path, started: Any) -> None:
    with started(tmp_path) as running, closing(RedisVersions(running.url, layout="feast")) as store:
        keeper = keeping(store)
        write(store, "one", 3)
        keeper.switch("main", "one", "c0")
        with closing(keeper.reader("main")) as reader:
            assert reader.read(["app1"]).found.all()
            running.stop()
            start = time.monotonic()
            with pytest.raises(UnreachableError, match="does not answer"):
                reader.read(["app1"])
            with pytest.raises(UnreachableError):
                keeper.current("main")
            assert time.monotonic() - start < 30
            running.start()
            # A cluster that was started again needs seconds to agree that it is one.
            until(lambda: write(store, "two", 3), ignore=(UnreachableError,))
            with pytest.raises(NotFoundError, match="nothing is served"):  # it came back empty
                reader.read(["app1"])
            keeper.switch("main", "two", "c1")
            assert reader.read(["app1"]).version == "two"


@NEEDS_REDIS
def test_a_redis_that_hangs_is_given_up_within_seconds(tmp_path: Path) -> None:
    import signal

    with redis_server(tmp_path) as running, closing(RedisVersions(running.url, layout="plain")) as store:
        write(store, "one", 3)
        keeper = keeping(store)
        keeper.switch("main", "one", "c0")
        with closing(keeper.reader("main")) as reader:
            reader.read(["app1"])
            assert running.process is not None
            running.process.send_signal(signal.SIGSTOP)
            start = time.monotonic()
            with pytest.raises(UnreachableError):
                reader.read(["app1"])
            assert time.monotonic() - start < 30
            running.process.send_signal(signal.SIGCONT)
            assert reader.read(["app1"]).vectors[0, 0] == WIDTH


@NEEDS_REDIS
def test_a_password_is_used_and_a_wrong_one_is_a_setting_to_mend(tmp_path: Path) -> None:
    with redis_server(tmp_path, password="s3cret-of-a-test") as running:
        with closing(open_keeper(Settings(home=tmp_path, redis_url=running.url))) as keeper:
            assert keeper.current("main") is None
        wrong = open_keeper(Settings(home=tmp_path, redis_url=running.url.replace("s3cret", "other")))
        with closing(wrong), pytest.raises(ConfigurationError, match="refuses the login") as refused:
            wrong.current("main")
        assert "of-a-test" not in str(refused.value)


@NEEDS_REDIS
def test_tls_is_checked_against_the_authority_that_the_address_names(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    told = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    made = ["openssl", "req", "-x509", *told, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    port = free_port()
    options = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"]
    with redis_server(tmp_path / "redis", *options):
        url = f"rediss://127.0.0.1:{port}/0"
        trusted = Settings(home=tmp_path, redis_url=f"{url}?ssl_ca_certs={certificate}")
        with closing(open_keeper(trusted)) as keeper:
            assert keeper.current("main") is None
        untrusted = open_keeper(Settings(home=tmp_path, redis_url=url))
        with closing(untrusted), pytest.raises(UnreachableError, match=r"(?i)certificate"):
            untrusted.current("main")


def test_a_file_that_is_no_version_is_said_or_passed_over(tmp_path: Path) -> None:
    store = SqliteVersions(tmp_path)
    write(store, "one", 3)
    with closing(sqlite3.connect(tmp_path / "before.db")) as database, database:  # as version 0007 wrote them
        database.execute("create table dfp_version (name text primary key, value blob)")
    assert [each.version for each in store.versions()] == ["one"]
    (tmp_path / "broken.db").write_bytes(b"no database" * 100)
    with pytest.raises(CorruptLakeError, match=r"broken\.db"):
        store.find("broken")


def test_an_address_that_is_none_is_a_setting_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="address of Redis"):
        open_keeper(Settings(home=tmp_path, redis_url="http://localhost"))
    with pytest.raises(ConfigurationError, match="plain feature store"):
        open_keeper(Settings(home=tmp_path, feature_store="plain"))


def test_pushes_and_switches_in_any_order_end_with_the_newest_values(store: VersionStore) -> None:
    """Every order of three pushes, two of one moment, and a switch to each of two versions: newer times win."""
    write(store, "older", 1)
    write(store, "newer", 1, later=5)
    keeper = keeping(store)
    deeds: list[tuple[int, float] | str] = [(1, 7.0), (3, 5.0), (3, 6.0), "older", "newer"]
    for turn, order in enumerate(itertools.permutations(deeds)):
        branch, best, serves = f"b{turn}", None, ""
        store.drop_pushed("hash", {"app0": 10})
        for deed in order:
            if isinstance(deed, str):
                serves = keeper.switch(branch, deed, "c0").version
                continue
            matrix = np.full((1, WIDTH), deed[1], np.float32)
            value = (deed[0], next(vector_bytes(matrix)))
            newer = replaces(value, best)
            assert store.push("hash", Rows(["app0"], np.array([deed[0]]), matrix)) == int(newer)
            best = value if newer else best
        with closing(keeper.reader(branch)) as reader:
            served = reader.read(["app0"])
        wanted = (0.0, 5) if serves == "newer" else (6.0, 3)
        assert (served.vectors[0, 0], served.event_times[0]) == wanted, order
