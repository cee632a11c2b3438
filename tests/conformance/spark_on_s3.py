"""A standalone Spark cluster writes tables of a branch through the REST catalog, on S3: `make journey`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.storage import storage_properties
from dfp_platform.lake import Lake
from dfp_platform.resources.spark_session import spark_session
from tests.conformance.s3_store import KEYS, endpoint, lake, store
from tests.conformance.spark_servers import cluster, configured
from tests.conformance.spark_session import LEAVES_SOCKETS
from tests.garbage import numbers, rows
from tests.serving_rest import serving

__all__ = ["endpoint", "lake", "store"]

pytestmark = [
    pytest.mark.timeout(300),
    *(pytest.mark.filterwarnings(warning) for warning in LEAVES_SOCKETS),
]


def test_a_standalone_cluster_writes_a_branch_through_the_catalog_on_s3(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Driver and executors have keys by AWS's own names; where the store is, the catalog tells them."""
    overwrite(open_catalog(lake), "marts.apps", rows(1, 2))
    lake.create_branch("side")
    uses = storage_properties()
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), KEYS, strict=True):
        monkeypatch.setenv(name, value)
    with serving(lake, storage=uses) as uri, cluster(tmp_path, workers=1) as master:
        where = {"lake": lake.uri, "spark_master": master, "spark_memory": "1g", "catalog_uri": uri}
        with configured(**where), spark_session(lake, "side") as session:
            session.sql("insert into marts.apps select * from marts.apps where number = 2")
            session.sql("create table marts.copied as select * from marts.apps")
    [worker] = tmp_path.glob("Worker-*.log")
    assert "Asked to launch executor" in worker.read_text()
    assert (numbers(lake, "side"), numbers(lake, "main")) == ([1, 2, 2], [1, 2])
    assert numbers(lake, "side", "marts.copied") == [1, 2, 2]
    assert open_catalog(lake, "side").load_table("marts.copied").location().startswith(lake.warehouse)
