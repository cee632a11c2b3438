"""Backups of the two parts that differ in age: the lake, and Dagster's records in a real Postgres. `make journey`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dfp_platform.lake import open_lake
from dfp_platform.lake.sync import sync_history
from dfp_platform.settings import settings
from tests.postgres_server import PASSWORD, Postgres, postgres
from tests.toy_harness import Toy

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def instance_in(folder: Path, server: Postgres, database: str) -> dg.DagsterInstance:
    """A Dagster instance whose records are in one database."""
    folder.mkdir(parents=True, exist_ok=True)
    where = {"hostname": "127.0.0.1", "port": server.port, "username": "postgres", "password": PASSWORD}
    config = {"storage": {"postgres": {"postgres_db": {**where, "db_name": database}}}, "telemetry": {"enabled": False}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    return dg.DagsterInstance.from_config(str(folder))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def published(toy: Toy, value: str) -> None:
    toy.turn("a.value", value)
    assert toy.run().success
    assert toy.text("c") == f"{value}>b1>c1"
    assert toy.pages_equal_main()


def test_records_that_are_older_than_the_lake_catch_up_with_the_next_run(home: Path, server: Postgres) -> None:
    server.tell("createdb", "dagster")
    with instance_in(home / "dagster", server, "dagster") as instance:
        published(Toy(home, instance), "a1")
        server.tell("pg_dump", "--format=custom", f"--file={home / 'dagster.dump'}", "dagster")
        published(Toy(home, instance), "a2")
    server.tell("createdb", "restored")
    server.tell("pg_restore", "--no-owner", "--dbname=restored", home / "dagster.dump")
    with instance_in(home / "restored", server, "restored") as instance:
        toy = Toy(home, instance)
        assert len(instance.get_runs()) == 1
        assert not toy.pages_equal_main()
        assert toy.run().success
        assert toy.pages_equal_main()
        assert toy.text("c") == "a2>b1>c1"


def test_a_lake_that_is_older_than_the_records_is_told_of_by_the_next_run(home: Path, server: Postgres) -> None:
    server.tell("createdb", "newer")
    with instance_in(home / "dagster", server, "newer") as instance:
        toy = Toy(home, instance)
        published(toy, "a1")
        copy = open_lake(home / "copy", create=True)
        sync_history(toy.lake, copy)
        published(toy, "a2")
        shutil.rmtree(home / "lake")
        sync_history(open_lake(home / "copy"), open_lake(home / "lake", create=True))
        assert toy.text("c") == "a1>b1>c1"
        assert not toy.pages_equal_main()
        toy.turn("a.value", "a1")
        assert toy.run().success
        assert toy.pages_equal_main()
