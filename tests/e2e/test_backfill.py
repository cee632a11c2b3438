"""Months that are wrong on main are made again by several runs at once, each published by itself.

In the alphabet before `test_demo_again` and `test_readme`; at its end the tables are as the demo made them.
"""

from __future__ import annotations

import json
import subprocess
from datetime import date
from typing import Any

import polars as pl
import pytest

from dfp_platform.catalog import open_catalog, overwrite_partitions
from dfp_platform.catalog.partitions import partition_contents
from dfp_platform.lake import Lake, open_lake
from dfp_platform.resources.dagster_internals import key_of, project_instance
from dfp_platform.resources.dagster_partitions import Span, latest_partition_versions, span_of
from dfp_platform.schemas import MAIN
from dfp_platform.settings import PROJECT_ROOT
from tests.e2e.conftest import Demo

TABLE = "marts.fct_apps_by_month"
ASSET = "tables/marts/fct_apps_by_month"
KEYS = ["month", "device", "malware"]


def rows(lake: Lake) -> pl.DataFrame:
    return pl.from_arrow(open_catalog(lake, MAIN).load_table(TABLE).scan().to_arrow()).sort(KEYS)  # type: ignore[union-attr]


def spoil(lake: Lake, first: date, last: date) -> None:
    """Count a thousand apps too many in some months of main."""
    catalog = open_catalog(lake, MAIN)
    wrong = rows(lake).filter(pl.col("month").is_between(first, last)).with_columns(apps=pl.col("apps") + 1_000)
    schema = catalog.load_table(TABLE).schema().as_arrow()
    overwrite_partitions(catalog, TABLE, wrong.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema))


def backfill(demo: Demo, *options: str) -> Any:
    command = ["dfp", "backfill", "fct_apps_by_month", *options, "--json"]
    done = subprocess.run(command, cwd=demo.root, env=demo.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_months_are_made_again_by_several_runs_at_once_and_the_table_is_as_if_built_whole(demo: Demo) -> None:
    lake = open_lake(demo.home / "lake")
    whole = rows(lake)
    spoil(lake, date(2012, 1, 1), date(2012, 6, 1))
    assert not rows(lake).equals(whole)
    before = lake.resolve(MAIN)
    outcomes = backfill(demo, "--from", "2012-01", "--to", "2012-06", "--runs", "3")
    assert [outcome["success"] for outcome in outcomes] == [True] * 3
    published = {outcome["published_commit"] for outcome in outcomes}
    line = [commit for commit in lake.log(MAIN) if "published" in commit.metadata]
    assert {commit.id for commit in line[:3]} == published, "one commit of main a run"
    assert before not in published
    assert rows(lake).equals(whole), "row by row as if built whole"

    with project_instance(PROJECT_ROOT, demo.home / "dagster") as instance:
        shown = latest_partition_versions(instance, ASSET)
        runs = [instance.get_run_by_id(outcome["run_id"]) for outcome in outcomes]
        assert instance.get_materialized_partitions(key_of(ASSET)) == set(shown)
    held = partition_contents(lake, MAIN, ASSET)
    for month in [f"2012-{number:02d}-01" for number in range(1, 7)]:
        assert shown[month] == held[month].content, f"the page of {month} says what main holds"
    spans = [span_of(run) for run in runs if run is not None]
    assert spans == [Span(f"2012-0{month}-01", f"2012-0{month + 1}-01") for month in (1, 3, 5)]
    told = [json.loads(commit.metadata["lineage"]) for commit in lake.log(MAIN) if "lineage" in commit.metadata]
    stated = [lineage[ASSET]["partitions"] for lineage in told if "partitions" in lineage.get(ASSET, {})]
    assert ["2012-05-01", "2012-06-01"] in stated, "lineage says which months a run made"
