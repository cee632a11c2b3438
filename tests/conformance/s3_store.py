"""A lake whose bytes lie in an S3 store that is not AWS: `make engines`.

The store is moto's, in an environment of its own that the Makefile makes, or the one that `DFP_TEST_S3` names, with
keys in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Branches are kept by the double of lakeFS, or by the real one
that `DFP_TEST_LAKEFS` names and that keeps its objects in that store.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from dfp_platform.catalog import open_catalog, overwrite, register_files
from dfp_platform.catalog.collection import collect_garbage
from dfp_platform.catalog.importing import import_table
from dfp_platform.catalog.merging import merge_branches
from dfp_platform.catalog.storage import storage_properties
from dfp_platform.catalog.syncing import sync_lakes
from dfp_platform.catalog.verification import table_damages
from dfp_platform.catalog.warehouse import Warehouse
from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import settings
from tests.garbage import numbers, rows
from tests.integration.test_lake_sync import filled, states
from tests.lakefs_double import Double
from tests.lakefs_double.places import REAL, new_repository, point_to, use_lakefs
from tests.local_servers import free_port, until
from tests.serving_rest import Http, pyiceberg_client, serving

MOTO = Path(__file__).resolve().parents[2] / ".cache" / "s3" / "bin" / "python"
KEYS = ("dfp-tests", "dfp-tests-secret")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Address of the store."""
    if named := os.environ.get("DFP_TEST_S3"):
        yield named
        return
    port = free_port()
    command = [str(MOTO), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: urllib.request.urlopen(address, timeout=5), ignore=(OSError,)).close()
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> fs.S3FileSystem:
    """The store, and what a person sets to have dfp use it."""
    keys = (os.environ.get("AWS_ACCESS_KEY_ID", KEYS[0]), os.environ.get("AWS_SECRET_ACCESS_KEY", KEYS[1]))
    for name, value in zip(("ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), (endpoint, *keys), strict=True):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__S3__{name}", value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        access_key=keys[0],
        secret_key=keys[1],
        region="us-east-1",
        allow_bucket_creation=True,
    )


@pytest.fixture
def lake(store: fs.S3FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake on lakeFS whose storage namespace is in a bucket of its own."""
    bucket = f"dfp-{uuid.uuid4().hex[:12]}"
    store.create_dir(bucket)
    double = None
    if os.environ.get(REAL):
        use_lakefs(monkeypatch, tmp_path)
    else:

        def shared(file: Path, path: str) -> None:
            with file.open("rb") as read, store.open_output_stream(path) as written:
                shutil.copyfileobj(read, written)

        double = Double(tmp_path / "double", storage="s3", shared=shared)
        point_to(double, monkeypatch, tmp_path)
    monkeypatch.setenv("LAKEFS_STORAGE_BUCKET", bucket)
    settings.cache_clear()
    made = open_lake(new_repository(), create=True)
    assert made.warehouse.startswith(f"s3://{bucket}/")
    yield made
    if double is not None:
        double.stop()
    settings.cache_clear()


def places(lake: Lake) -> set[str]:
    return {file.place for file in Warehouse(lake).files()}


def damages(lake: Lake) -> list[str]:
    return [*lake.verify(), *table_damages(lake)]


def test_tables_are_written_read_branched_and_merged_by_rows(lake: Lake) -> None:
    overwrite(open_catalog(lake), "marts.apps", rows(1))
    lake.create_branch("side")
    open_catalog(lake, "side").load_table("marts.apps").append(rows(2))
    open_catalog(lake).load_table("marts.apps").append(rows(3))
    assert (numbers(lake, "side"), numbers(lake, "main")) == ([1, 2], [1, 3])
    merge_branches(lake, "side", "main", message="both")
    again = open_lake(lake.uri)
    assert numbers(again, "main") == [1, 2, 3]
    assert open_catalog(again).load_table("marts.apps").metadata_location.startswith(lake.warehouse)
    assert damages(again) == []


def test_objects_of_the_lake_become_a_table_where_they_lie(lake: Lake, tmp_path: Path) -> None:
    pq.write_table(rows(1, 2), tmp_path / "raw.parquet")
    lake.commit("main", {"raw/apps.parquet": tmp_path / "raw.parquet"}, message="raw")
    register_files(open_catalog(lake), "raw.apps", [lake.address("main", "raw/apps.parquet")])
    assert numbers(lake, "main", "raw.apps") == [1, 2]
    assert damages(lake) == []


def test_garbage_is_counted_then_swept_and_nothing_else(lake: Lake) -> None:
    overwrite(open_catalog(lake), "marts.apps", rows(1))
    kept = places(lake)
    lake.create_branch("gone")
    overwrite(open_catalog(lake, "gone"), "marts.apps", rows(1, 2))
    lake.delete_branch("gone")
    garbage = places(lake) - kept
    time.sleep(1.3)  # stores tell whole seconds
    assert collect_garbage(lake).found["table files"].files == 0  # within the grace period
    counted = collect_garbage(lake, grace_hours=0)
    assert (counted.found["table files"].files, places(lake)) == (len(garbage), kept | garbage)
    swept = collect_garbage(lake, grace_hours=0, delete=True)
    assert (swept.found["table files"], places(lake)) == (counted.found["table files"], kept)
    assert (numbers(lake, "main"), damages(lake)) == ([1], [])


def test_verify_names_a_table_file_that_is_gone(lake: Lake, store: fs.S3FileSystem) -> None:
    overwrite(open_catalog(lake), "marts.apps", rows(1))
    lost = next(place for place in places(lake) if place.endswith(".parquet"))
    store.delete_file(lost.removeprefix("s3://"))
    assert [line for line in table_damages(lake) if f"{lost} is missing" in line]


def test_tables_in_the_store_are_imported_where_they_lie(lake: Lake, store: fs.S3FileSystem) -> None:
    bucket = lake.warehouse.removeprefix("s3://").partition("/")[0]
    pq.write_table(rows(1, 2), f"{bucket}/elsewhere/part-0.parquet", filesystem=store)
    assert import_table(lake, "main", "raw.files", [f"s3://{bucket}/elsewhere"]) == 2
    overwrite(open_catalog(lake), "marts.apps", rows(3, 4, 5))
    folder = open_catalog(lake).load_table("marts.apps").location()
    assert import_table(lake, "main", "raw.table", [folder]) == 3
    assert (numbers(lake, "main", "raw.files"), numbers(lake, "main", "raw.table")) == ([1, 2], [3, 4, 5])
    assert damages(lake) == []


def test_pyiceberg_needs_nothing_but_what_the_server_vends(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    overwrite(open_catalog(lake), "marts.apps", rows(1))
    with serving(lake, storage=storage_properties()) as uri:
        for name in ("ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            monkeypatch.delenv(f"PYICEBERG_CATALOG__LAKE__S3__{name}")
        table = pyiceberg_client(uri).load_table("marts.apps")
        assert (table.io.properties["s3.path-style-access"], table.config["s3.region"]) == ("true", "us-east-1")
        assert "s3.secret-access-key" not in table.config
        table.append(rows(2))
        assert sorted(table.scan().to_arrow()["number"].to_pylist()) == [1, 2]


def test_a_lake_is_synced_from_a_folder_into_the_store_and_back(
    lake: Lake, store: fs.S3FileSystem, tmp_path: Path
) -> None:
    source = filled(open_lake(tmp_path / "source", create=True))
    sync_lakes(source, lake)
    wanted = states(source)
    Path(source.uri).rename(tmp_path / "away")
    again = open_lake(lake.uri)
    assert (states(again), damages(again)) == (wanted, [])
    assert (numbers(again, "main"), numbers(again, "v1")) == ([1, 2], [1, 2])
    with serving(again, storage=storage_properties()) as uri, Http(uri) as http:
        change = {"updates": [{"action": "set-properties", "updates": {"owner": "me"}}]}
        told = http.done("POST", "/namespaces/marts/tables/apps", change)["metadata"]
    assert (told["properties"]["owner"], numbers(again, "main")) == ("me", [1, 2])
    overwrite(open_catalog(again), "marts.apps", rows(3))
    target = open_lake(tmp_path / "target", create=True)
    sync_lakes(open_lake(lake.uri), target)
    for file in Warehouse(again).files():
        store.delete_file(file.place.removeprefix("s3://"))
    assert (numbers(target, "main"), numbers(target, "v1"), damages(target)) == ([3], [1, 2], [])
