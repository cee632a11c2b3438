"""`dfp lake setup`: a lake and a lakeFS server that nobody has used yet; `make journey` does it on S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.lake import open_lake
from dfp_platform.settings import settings
from tests.dfp_calls import Dfp
from tests.lakefs_double import Double, Fault
from tests.unit.test_cli_lake import dfp

__all__ = ["dfp"]

KEYS = ("AKIA-OF-A-TEST", "secret-of-a-test")


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """A server without an administrator, and what a person sets to have dfp use it."""
    double = Double(tmp_path / "double", fresh=True)
    told = {"ENDPOINT_URL": double.endpoint, "ACCESS_KEY_ID": KEYS[0], "SECRET_ACCESS_KEY": KEYS[1]}
    told |= {"REPOSITORY": "apps", "STORAGE_BUCKET": "lakefs-data"}
    for name, value in told.items():
        monkeypatch.setenv(f"LAKEFS_{name}", value)
    for name in ("SERVER_ENDPOINT_URL", "CREDENTIALS_ACCESS_KEY_ID", "CREDENTIALS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"LAKECTL_{name}", "")  # so that it is as it was after the test, whoever sets it meanwhile
        monkeypatch.delenv(f"LAKECTL_{name}")
    monkeypatch.setenv("LAKECTL_CONFIG_FILE", str(tmp_path / "no-lakectl.yaml"))
    monkeypatch.setenv("DFP_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DFP_LAKE", "lakefs")
    settings.cache_clear()
    yield double
    double.stop()
    settings.cache_clear()


def made(dfp: Dfp, *options: str) -> dict[str, list[str]]:
    code, said, told = dfp("lake", "setup", "--json", *options)
    assert code == 0, told
    return json.loads(said)


def test_a_fresh_server_gets_its_administrator_and_the_repository_once(fresh: Double, dfp: Dfp) -> None:
    assert made(dfp) == {"administrator": ["admin"], "buckets": [], "lake": ["lakefs://apps"]}
    assert fresh.keys == KEYS
    assert open_lake("lakefs://apps").branches().keys() == {"main"}
    assert made(dfp) == {"administrator": [], "buckets": [], "lake": []}


def test_a_server_that_another_has_set_up_meanwhile_is_left_as_it_is(fresh: Double, dfp: Dfp) -> None:
    def another() -> None:
        fresh.keys = KEYS

    fresh.faults.append(Fault(matches="GET /setup_lakefs", kind="then", then=another))
    assert made(dfp)["administrator"] == []


def test_other_keys_than_the_administrators_are_refused_and_change_nothing(fresh: Double, dfp: Dfp) -> None:
    fresh.keys = ("AKIA-OF-ANOTHER", "and-a-secret-of-another")
    code, _, told = dfp("lake", "setup")
    assert code == 1
    assert "does not know these keys" in told
    assert fresh.repositories == {}


def test_a_server_that_does_not_answer_is_named(fresh: Double, dfp: Dfp) -> None:
    fresh.stop()
    code, _, told = dfp("lake", "setup")
    assert code == 1
    assert f"the lakeFS server at {fresh.endpoint} does not answer" in told.replace("\n", " ")


def test_a_lake_in_a_folder_is_made_once_and_asks_no_server(dfp: Dfp, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DFP_LAKE", str(tmp_path / "lake"))
    settings.cache_clear()
    nothing = {"administrator": [], "buckets": []}
    assert made(dfp) == {**nothing, "lake": [str(tmp_path / "lake")]}
    assert made(dfp) == {**nothing, "lake": []}
    settings.cache_clear()
