"""The job that ingests by Spark speaks for the raw assets, whose steps it does not run. No Spark runs here."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from dfp_platform.assets import raw
from dfp_platform.assets.raw_on_spark import ArchiveConfig, ingest_archive
from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.ingest import Origin, land, register
from dfp_platform.ingest.landing import commit_load, standing
from dfp_platform.lake import open_lake
from dfp_platform.resources.dagster_internals import graph_of
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.source import SourceResource
from dfp_platform.resources.spark_session import SparkResource


def test_has_rows_is_all_that_the_job_has_to_judge() -> None:
    defined = dg.Definitions(assets=raw.assets, asset_checks=raw.checks, resources={"lake": None, "source": None})
    required = graph_of(defined.resolve_asset_graph()).required
    raws = {f"raw/{dataset}": ("has_rows",) for dataset in raw.DATASETS}
    assert required == raws | {f"tables/{name}": () for name in raws}


def test_a_table_that_spark_has_made_is_not_made_of_landed_files(tmp_path: Path) -> None:
    lake, dataset = open_lake(tmp_path / "lake", create=True), raw.DATASETS[0]
    land(lake, "main", dataset, source="sample", sample_rows=50, seed=7, cache=tmp_path)
    register(lake, "main", dataset)
    files = [stat.path for stat in lake.list("main", f"raw/{dataset}/") if stat.path.endswith(".parquet")]
    lake.commit("main", dict.fromkeys(files), message="as Spark leaves it: an origin, and rows in the table alone")
    before = lake.resolve("main")
    left = register(lake, "main", dataset)
    assert (left.rows, left.changed) == (50, False)
    assert lake.resolve("main") == before


def test_loads_as_files_and_loads_in_the_table_alone_do_not_stand_beside_each_other(tmp_path: Path) -> None:
    lake, dataset = open_lake(tmp_path / "lake", create=True), raw.DATASETS[0]
    land(lake, "main", dataset, source="sample", sample_rows=50, seed=7, cache=tmp_path)
    assert [load.rows for load in standing(lake, "main", dataset, as_files=True)] == [50]
    with pytest.raises(InputError, match="as files in the lake") as refused:
        standing(lake, "main", dataset, as_files=False)
    assert "dfp run --append" in refused.value.hint
    alone = Origin("file", synthetic=False, rows=9, load_id="0002-aaaaaaaaaaaa")
    commit_load(lake, "main", dataset, [], alone, beside=standing(lake, "main", dataset, as_files=True))
    with pytest.raises(InputError, match=r"others in the table alone: .*0002-a"):
        register(lake, "main", dataset)


def test_a_data_set_that_nobody_knows_is_refused_before_spark_starts() -> None:
    lake = LakeResource()
    resources = {"lake": lake, "source": SourceResource(), "spark": SparkResource(lake=lake)}
    asked = ArchiveConfig(dataset="apps", files=["apps.csv"])
    with pytest.raises(NotFoundError, match="no data set is called 'apps'"):
        ingest_archive(dg.build_op_context(), asked, **resources)
