"""How the store of a warehouse is reached, and files of it that lie elsewhere than their addresses say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.catalog.moved import address_of, io_properties
from dfp_platform.catalog.storage import ENDPOINTS, storage_properties
from dfp_platform.lake import open_lake

ENDPOINT = "http://127.0.0.1:9000"


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (*ENDPOINTS, "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def say(monkeypatch: pytest.MonkeyPatch, **told: str) -> None:
    for name, value in told.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name}", value)


def test_nothing_is_said_of_a_store_unless_somebody_does() -> None:
    assert storage_properties() == {}


def test_an_endpoint_brings_a_region_and_path_style_that_can_be_told_otherwise(monkeypatch) -> None:
    say(monkeypatch, S3__ENDPOINT=ENDPOINT, URI="http://elsewhere", S3__ACCESS_KEY_ID="id")
    region = {"s3.region": "us-east-1", "client.region": "us-east-1"}
    own = {"s3.endpoint": ENDPOINT, "s3.access-key-id": "id"}
    assert storage_properties() == {**own, **region, "s3.path-style-access": "true"}
    say(monkeypatch, S3__REGION="eu", S3__FORCE_VIRTUAL_ADDRESSING="true")
    found = storage_properties()
    assert (found["s3.region"], found["client.region"], found["s3.path-style-access"]) == ("eu", "eu", "false")


def test_awss_own_names_say_where_the_store_is_and_keep_their_keys_to_themselves(monkeypatch) -> None:
    for name, value in {"ENDPOINT_URL": ENDPOINT, "REGION": "eu-1", "SECRET_ACCESS_KEY": "geheim"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    found = storage_properties()
    assert (found["s3.endpoint"], found["s3.region"], found["client.region"]) == (ENDPOINT, "eu-1", "eu-1")
    assert "geheim" not in found.values()
    say(monkeypatch, S3__ENDPOINT="http://nearer:9000")
    assert storage_properties()["s3.endpoint"] == "http://nearer:9000"


def test_every_catalog_of_the_lake_knows_the_store(monkeypatch, tmp_path: Path) -> None:
    say(monkeypatch, S3__ENDPOINT=ENDPOINT)
    catalog = open_catalog(open_lake(tmp_path / "lake", create=True))
    assert catalog._load_file_io(location="s3://bucket/file").properties["s3.endpoint"] == ENDPOINT


def test_the_longest_former_address_wins_and_the_lakes_own_is_never_former(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    catalog = open_catalog(lake)
    moved = {"/old": "s3://bucket/a", "/old/er": f"{lake.uri}/b", "s3://store": "/here", str(tmp_path): "/nowhere"}
    catalog._moved = io_properties(lake, moved)
    io = catalog._load_file_io(location="/old")
    wanted = {
        "/old/x": "s3://bucket/a/x",
        "file:///old/er/x y": f"{lake.uri}/b/x y",
        "s3a://store/x": "/here/x",
        "s3://store-too/x": "s3://store-too/x",
        f"{lake.warehouse}/x": f"{lake.warehouse}/x",
        "/older/x": "/older/x",
    }
    assert {address: address_of(address, io) for address in wanted} == wanted
