"""The UI from an empty folder to a report, in Chromium: `make ui`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.lake import Lake, open_lake
from dfp_platform.reports.thumbnails import MOST
from dfp_platform.settings import PROJECT_ROOT
from tests.dagster_ui import DagsterUI, chromium, shown_when_broken
from tests.e2e.conftest import environment_for
from tests.e2e.test_dagster_dev import ask, until_it_answers
from tests.local_servers import free_port

ROOMS = ["raw", "tables", "models", "mobile", "reports"]
"""Groups of the graph, in the order in which the line comes through them."""

CHARTED = {
    "models/evaluation": "ROC-AUC by month, real device",
    "mobile/autoencoder_onnx": "size",
    "reports/leaderboard": "AUT, real device",
}
"""Some assets of the line, and the title of a chart that their pages show without a click."""

MARKDOWN = """{ assetsOrError { ... on AssetConnection { nodes { key { path }
    assetMaterializations(limit: 1) { metadataEntries { ... on MarkdownMetadataEntry { mdStr } } } } } } }"""

CHECKED = {
    "features/online": {"drift", "fresh", "missing", "served_equals_trained"},
    "mobile/autoencoder_onnx": {"parity_with_pytorch"},
    "models/evaluation": {"better_than_guessing", "score_regression"},
}


@pytest.fixture
def ui(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> Iterator[DagsterUI]:
    port, pages = free_port(), free_port()
    told = {"DFP_PAGES_URL": f"http://127.0.0.1:{pages}", "DFP_EVALUATION_SEEDS": "1"}
    environment = environment_for(tmp_path) | told
    with (tmp_path / "dev.log").open("wb") as log:
        command = ["dfp", "dev", "--port", str(port)]
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log)
    started.append(process)
    until_it_answers(port, process, seconds=300)
    with chromium() as browser:
        yield DagsterUI.open(browser, f"http://127.0.0.1:{port}")


@pytest.mark.timeout(1_000)
def test_a_person_makes_the_line_sees_its_checks_and_charts_and_reads_the_report(ui: DagsterUI, tmp_path: Path) -> None:
    with shown_when_broken(ui):
        run = made_from_the_list_of_jobs(ui)
        seen_on_pages_of_assets(ui)
        read_from_the_page_of_an_asset(ui, open_lake(tmp_path / ".dfp" / "lake"), run)
        assert ui.errors == []


def made_from_the_list_of_jobs(ui: DagsterUI) -> str:
    """The whole line, by a person who has seen the graph; the run's id."""
    groups = ui.graph(last="reports")
    assert [group for group in groups if group in ROOMS] == ROOMS
    ui.open_job("main_line")
    run = ui.launch()
    assert ui.ended() == "Success"
    return run


def seen_on_pages_of_assets(ui: DagsterUI) -> None:
    """Checks that passed, and charts that need no click."""
    for asset, names in CHECKED.items():
        assert ui.checks(asset) == dict.fromkeys(names, "Succeeded")
    for asset, title in CHARTED.items():
        ui.asset(asset)
        assert title in ui.charts(), asset
    entries = {
        "/".join(node["key"]["path"]): [one.get("mdStr", "") for one in event["metadataEntries"]]
        for node in ask(int(ui.at.rsplit(":", 1)[1]), MARKDOWN)["assetsOrError"]["nodes"]
        for event in node["assetMaterializations"]
    }
    drawn = {key for key, told in entries.items() if any("](data:image" in one and len(one) <= MOST for one in told)}
    assert drawn == {key for key in entries if key.split("/")[0] in ("models", "mobile", "reports")}


def read_from_the_page_of_an_asset(ui: DagsterUI, lake: Lake, run: str) -> None:
    """The report, which is what the run has published."""
    told = ui.asset("reports/summary")
    assert "apps by year, real device" in ui.charts()
    assert told["synthetic"] == "true"
    report = ui.follow("report")
    report.get_by_role("heading", name="Malware models").wait_for()
    assert "Synthetic data" in report.inner_text("body")
    assert told["lake/commit"] in report.url
    page = "reports/summary/index.html"
    assert lake.provenance("main", page).metadata["run"] == run
    assert lake.read("main", page) == lake.read(told["lake/commit"], page), "what was seen is published"
