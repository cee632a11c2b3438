"""Figures of a lake and of the servers over it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from dfp_platform.lake import Lake, is_served, open_lake
from dfp_platform.lake.ownership import run_branch
from dfp_platform.metrics.publications import History
from dfp_platform.settings import settings
from tests.contract.lakes import LAKES
from tests.lakefs_double.places import use_lakefs
from tests.metric_pages import exporter_page, figure, fill
from tests.serving_api import AWAY, client
from tests.serving_rest import pyiceberg_client, serving


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture(params=["embedded", "lakefs"])
def kept(request, tmp_path: Path, monkeypatch) -> Iterator[Lake]:
    """A lake of each keeper."""
    if request.param == "lakefs":
        use_lakefs(monkeypatch, tmp_path)
    yield LAKES[request.param](tmp_path)
    settings.cache_clear()


def test_the_exporter_tells_of_publications_models_drift_and_what_waits(kept):
    lake = kept
    fill(lake)
    with dg.DagsterInstance.ephemeral() as instance:
        page = exporter_page(lake, instance)
    assert [figure(page, "dfp_exporter_part_up", part=part) for part in ("lake", "models", "runs", "sensors")] == [
        1
    ] * 4
    assert figure(page, "dfp_publications_total", branch="main") == 1
    assert figure(page, "dfp_lake_commits_total", branch="main") == 3, "that of its birth, the work, the merge"
    published = lake.show("main").time.timestamp()
    assert figure(page, "dfp_publication_timestamp_seconds", branch="main") == published
    assert figure(page, "dfp_published_timestamp_seconds", room="models") == published
    assert figure(page, "dfp_published_timestamp_seconds", room="raw") is None
    assert figure(page, "dfp_held_publications", branch="main") == 1
    waits = figure(page, "dfp_held_publication_oldest_timestamp_seconds", branch="main")
    assert waits == lake.show(run_branch("2")).time.timestamp()
    assert figure(page, "dfp_lake_branches", kind="run") == 1
    assert figure(page, "dfp_lake_operations_total", operation="merge", outcome="done") == 1
    assert figure(page, "dfp_lake_operation_seconds_count", operation="commit") == 3
    assert figure(page, "dfp_champion_info", model="autoencoder", version="c" * 12) == 1
    assert figure(page, "dfp_drift_score", model="autoencoder") == 0.25
    assert figure(page, "dfp_drift_features_ratio", model="autoencoder", side="newest_apps") == 0.25
    assert figure(page, "dfp_check_passed", asset="reports/drift", check="drift") == 0
    free, size = (figure(page, f"dfp_disk_{name}_bytes", place="lake") for name in ("free", "size"))
    assert (0 < free < size) if not is_served(lake.uri) else (free, size) == (None, None), "a server's disk is not ours"


def test_history_is_walked_once_and_then_only_where_it_is_new(lake, monkeypatch):
    fill(lake)
    history = History()
    history.look(lake, lake.resolve("main"))
    assert (history.commits, history.publications) == (3, 1)
    shown = []
    show = lake.show
    monkeypatch.setattr(lake, "show", lambda ref: shown.append(ref) or show(ref))
    lake.create_branch("side")
    lake.commit("side", {"raw/a": b"1"}, message="a")
    lake.commit("side", {"raw/b": b"2"}, message="b")
    lake.merge("side", message="publish run 3", metadata={"published": '["raw/a"]'})
    for _ in range(2):
        history.look(lake, lake.resolve("main"))
        assert (history.commits, history.publications, len(shown)) == (6, 2, 3)
    assert set(history.published_at) == {"models", "reports", "raw"}


def test_the_catalog_counts_answers_by_route_and_commits_that_lost(lake):
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.schema import Schema
    from pyiceberg.types import LongType, NestedField

    with serving(lake) as uri:
        catalog = pyiceberg_client(uri)
        catalog.create_namespace("a")
        table = catalog.create_table("a.t", Schema(NestedField(1, "id", LongType(), required=False)))
        late = catalog.load_table("a.t")
        with table.update_schema() as change:
            change.add_column("x", LongType())
        with pytest.raises(CommitFailedException), late.update_schema() as change:
            change.add_column("y", LongType())
        httpx.get(f"{uri}/v1/main/nowhere")
        page = httpx.get(f"{uri}/metrics").text
    route = "/v1/{prefix}/namespaces/{namespace}/tables/{table}"
    assert figure(page, "dfp_catalog_requests_total", route=route, method="POST", status="200") == 1
    lost = figure(page, "dfp_catalog_requests_total", route=route, method="POST", status="409")
    assert lost >= 1
    assert figure(page, "dfp_catalog_commit_conflicts_total") == lost
    assert figure(page, "dfp_catalog_request_seconds_count", route=route, method="POST") == 1 + lost
    assert figure(page, "dfp_catalog_requests_total", route="other", method="GET", status="404") == 1
    assert figure(page, "dfp_lake_operations_total", operation="commit", outcome="done") >= 3


def test_metrics_of_the_catalog_open_with_a_token_that_opens_nothing_else(lake):
    with serving(lake, token="write", metrics="watch") as uri:

        def status(path: str, token: str = "") -> int:
            return httpx.get(uri + path, headers={"Authorization": f"Bearer {token}"} if token else {}).status_code

        assert [status("/metrics", token) for token in ("watch", "write", "other", "")] == [200, 200, 401, 401]
        assert [status("/v1/config", token) for token in ("watch", "write")] == [401, 200]


def test_metrics_of_the_api_open_with_a_token_that_opens_nothing_else(lake):
    api = client(lake, token="ask", metrics_token="watch", host=AWAY)

    def status(path: str, token: str) -> int:
        return api.get(path, headers={"Authorization": f"Bearer {token}"}).status_code

    assert [status("/metrics", token) for token in ("watch", "ask", "other")] == [200, 200, 401]
    assert [status("/model", token) for token in ("watch", "ask")] == [401, 503]
    local = client(lake, metrics_token="watch", host=AWAY)
    assert local.get("/metrics").status_code == 403
    assert local.get("/metrics", headers={"Authorization": "Bearer watch"}).status_code == 200


def test_a_reload_of_the_api_is_counted_whoever_asks_for_it(lake):
    from tests.serving_api import service

    asked = service(lake)
    with pytest.raises(Exception, match="no export"):
        asked.reload()
    page = asked.metrics.page()[0].decode()
    assert figure(page, "dfp_reloads_total", result="refused") == 1
    assert figure(page, "dfp_reloads_total", result="same") == 0
    assert figure(page, "dfp_reload_timestamp_seconds") == 0 < time.time()
