"""What Spark does as steps of runs: a session at the run's branch. `make engines`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.errors import ConfigurationError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.publishing.launch import run_job
from dfp_platform.resources.dagster_internals import ASSET_JOB, project_instance
from dfp_platform.resources.spark_session import spark_session
from dfp_platform.settings import PROJECT_ROOT, settings
from tests.conformance.spark_session import LEAVES_SOCKETS

pytestmark = [
    pytest.mark.timeout(600),
    *(pytest.mark.filterwarnings(warning) for warning in LEAVES_SOCKETS),
]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """The lake of these settings, with Spark on one core."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    monkeypatch.setenv("DFP_SPARK_MASTER", "local[2]")
    settings.cache_clear()
    yield open_lake(settings().lake_uri, create=True)
    settings.cache_clear()


@pytest.fixture
def instance(lake: Lake, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with project_instance(PROJECT_ROOT, tmp_path / "dagster") as recorded:
        yield recorded


def ids(lake: Lake, table: str, ref: str = "main") -> list[int]:
    return sorted(open_catalog(lake, ref).load_table(table).scan().to_arrow()["id"].to_pylist())


def test_an_asset_works_with_spark_on_the_branch_of_its_run(lake: Lake, instance: dg.DagsterInstance):
    overwrite(open_catalog(lake), "marts.once", pa.table({"id": [1, 2]}))
    done = run_job(
        job=ASSET_JOB, selection=["tables/marts/twice"], instance=instance, module="tests.conformance.spark_line"
    )
    assert done.success, done.failed
    assert ids(lake, "marts.twice") == [1, 1, 2, 2, 3, 3]
    assert lake.show("main").metadata["run"] == done.run_id


def test_a_second_session_of_a_process_is_refused_as_it_would_see_the_first_ones_ref(lake: Lake):
    with spark_session(lake, "main") as session:
        assert session.sql("show namespaces").collect() == []
        with pytest.raises(ConfigurationError, match="has a Spark session already"), spark_session(lake, "main"):
            pass
