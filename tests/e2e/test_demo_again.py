"""The same demo again: nothing new is published but measurements, and Dagster knows that all is fresh.

In the alphabet before `test_readme`, whose commands take publications of the shared demo back.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from dfp_platform.assets.choices import LINE, beyond_the_line
from dfp_platform.lake import open_lake
from dfp_platform.schemas import MAIN
from tests.e2e.conftest import Demo

MEASURED = ("reports/host_latency/", "reports/summary/", "checks/reports/")
"""What may differ between two equal demos: latencies, and the page that shows them."""

WAITING = "checks/tables/marts/fct_apps_by_month/"
"""Verdicts on months: what a backfill of some left behind is judged anew, with its figure, by a run of everything."""

STALENESS = """
import json
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dfp_platform.definitions import defs
from dfp_platform.resources.dagster_internals import path_of, project_instance
from dfp_platform.settings import PROJECT_ROOT, settings
graph = defs.resolve_asset_graph()
with project_instance(PROJECT_ROOT, settings().dagster_home) as instance:
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    told = {path_of(key): resolver.get_status(key).value for key in graph.materializable_asset_keys}
print(json.dumps(told))
"""
"""Dagster's own verdict on every asset, in a process that reads the settings of the demo."""


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_every_model_of_the_demo_has_a_card_and_the_page_is_the_summary(demo: Demo) -> None:
    lake = open_lake(demo.home / "lake")
    told = json.loads(lake.read(MAIN, "reports/model_cards/report.json"))
    assert [(row["model"], row["judged"], row["synthetic"]) for row in told] == [(name, True, True) for name in LINE]
    for row in told:
        for name in row["files"]:
            assert b"Synthetic data" in lake.read(MAIN, f"reports/model_cards/{name}")
    shown = next((demo.home / "reports").glob("*.html")).read_bytes()
    assert b"<h1>Malware models</h1>" in shown


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_a_second_demo_publishes_nothing_new_but_measurements(demo: Demo) -> None:
    lake = open_lake(demo.home / "lake")
    before = lake.resolve(MAIN)
    again = subprocess.run(
        ["dfp", "run", "--json"], cwd=demo.root, env=demo.environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["published_commit"] == lake.resolve(MAIN) != before
    changed = [difference.path for difference in lake.diff(before, MAIN)]
    assert changed, "latencies were measured again"
    assert [path for path in changed if not path.startswith((*MEASURED, WAITING))] == []


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_dagster_finds_every_asset_of_the_demo_fresh(demo: Demo) -> None:
    told = subprocess.run(
        ["python", "-W", "ignore", "-c", STALENESS],
        cwd=demo.root,
        env=demo.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    status = json.loads(told.stdout.splitlines()[-1])
    assert "models/autoencoder" in status
    assert {asset: told for asset, told in status.items() if told != "FRESH"} == dict.fromkeys(
        beyond_the_line(), "MISSING"
    ), "other models wait to be asked for"
