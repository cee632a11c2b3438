"""The lake's reports and files in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dfp_platform.lake import Lake, open_lake
from dfp_platform.serving import pages
from dfp_platform.serving.pages import create_pages

REPORT = b"<!doctype html><title>Summary</title><p>all is well</p>"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = open_lake(tmp_path / "lake", create=True)
    files = {
        "reports/summary/index.html": REPORT,
        "reports/summary/report.json": b'{"a": 1}',
        "reports/model_cards/auto_encoder.html": REPORT,
        "models/autoencoder/weights.safetensors": bytes(range(256)) * 2_000,
        "tables/marts/apps": b'{"metadata_location": "there"}',
        "odd/a+b=@,c.txt": b"odd",
    }
    made.commit("main", files, message="write")
    return made


@pytest.fixture
def browser(lake: Lake) -> TestClient:
    return TestClient(create_pages(lake, "main"), base_url="http://127.0.0.1:8020", follow_redirects=False)


def test_the_first_page_leads_to_every_report(browser: TestClient) -> None:
    text = browser.get("/").text
    assert 'href="/main/reports/summary/index.html">summary</a>' in text
    assert "model cards/auto encoder" in text
    assert "weights" not in text


def test_an_empty_lake_says_what_makes_the_first_report(tmp_path: Path) -> None:
    empty = open_lake(tmp_path / "empty", create=True)
    assert "dfp demo" in TestClient(create_pages(empty, "main"), base_url="http://localhost").get("/").text


def test_a_report_is_shown_as_it_lies_at_a_branch_and_at_a_commit(browser: TestClient, lake: Lake) -> None:
    for ref in ("main", lake.resolve("main")):
        shown = browser.get(f"/{ref}/reports/summary/index.html")
        assert (shown.content, shown.headers["content-type"]) == (REPORT, "text/html; charset=utf-8")
        assert shown.headers["content-security-policy"].startswith("sandbox allow-scripts ")


def test_what_a_browser_does_not_show_is_a_download(browser: TestClient) -> None:
    got = browser.get("/main/models/autoencoder/weights.safetensors")
    assert got.content == bytes(range(256)) * 2_000
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"


def test_a_folder_lists_what_lies_in_it(browser: TestClient) -> None:
    assert browser.get("/main/reports").headers["location"] == "/main/reports/"
    listed = browser.get("/main/reports/").text
    assert 'href="summary/">summary/</a>' in listed
    assert 'href="../"' in listed
    assert browser.get("/main").headers["location"] == "/main/"
    assert 'href="models/"' in browser.get("/main/").text


def test_the_place_of_a_table_shows_its_pointer(browser: TestClient) -> None:
    assert browser.get("/main/tables/marts/apps/").headers["location"] == "/main/tables/marts/apps"
    shown = browser.get("/main/tables/marts/apps")
    assert shown.headers["content-type"].startswith("text/plain")
    assert shown.json() == {"metadata_location": "there"}


def test_odd_names_are_links_to_what_they_name(browser: TestClient) -> None:
    assert 'href="a%2Bb%3D%40%2Cc.txt"' in browser.get("/main/odd/").text
    assert browser.get("/main/odd/a%2Bb%3D%40%2Cc.txt").text == "odd"


def test_a_long_folder_is_cut_and_says_so(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LISTED", 1)
    assert "More lies there" in browser.get("/main/reports/").text


@pytest.mark.parametrize(("path", "status"), [("/main/nothing", 404), ("/nobranch/reports/", 404)])
def test_what_is_not_there_is_not_found(browser: TestClient, path: str, status: int) -> None:
    assert browser.get(path).status_code == status


def test_a_page_elsewhere_cannot_ask_under_a_name_of_its_own(browser: TestClient) -> None:
    assert browser.get("/", headers={"host": "evil.example"}).status_code == 400


def test_nothing_can_be_written(browser: TestClient) -> None:
    assert {browser.request(method, "/main/x").status_code for method in ("POST", "PUT", "DELETE")} == {405}
