"""The REST catalog and views: versions, dialects, names shared with tables, branches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.exceptions import NoSuchViewError

from dfp_platform.catalog import open_catalog
from tests.serving_rest import SCHEMA, Http, lake, pyiceberg_client, uri

__all__ = ["lake", "uri"]

VIEWS = "/namespaces/marts/views"


@pytest.fixture
def http(uri: str) -> Iterator[Http]:
    with Http(uri) as http:
        yield http


def version(sql: str, *dialects: str, **more: Any) -> dict[str, Any]:
    queries = [{"type": "sql", "sql": sql, "dialect": dialect} for dialect in dialects or ("spark",)]
    times = {"timestamp-ms": 1_700_000_000_000, "summary": {"engine": "test"}}
    return {
        "version-id": 4,
        "schema-id": -1,
        "default-namespace": ["marts"],
        "representations": queries,
        **times,
        **more,
    }


def made(http: Http, name: str = "scored", sql: str = "select 1", *dialects: str) -> dict[str, Any]:
    return http.done("POST", VIEWS, {"name": name, "schema": SCHEMA, "view-version": version(sql, *dialects)})


def replaced(sql: str, *dialects: str, **properties: str) -> dict[str, Any]:
    updates: list[dict[str, Any]] = [
        {"action": "add-schema", "schema": SCHEMA},
        {"action": "add-view-version", "view-version": version(sql, *dialects)},
        {"action": "set-current-view-version", "view-version-id": -1},
    ]
    return {"updates": [{"action": "set-properties", "updates": properties}, *updates] if properties else updates}


def test_a_view_is_made_loaded_listed_renamed_and_dropped(lake, uri, http):
    young = made(http)
    assert http.done("GET", f"{VIEWS}/scored") == young
    metadata = young["metadata"]
    assert (metadata["current-version-id"], metadata["versions"][0]["schema-id"]) == (1, 0)
    assert Path(young["metadata-location"].removeprefix("file://")).is_relative_to(lake.warehouse)
    assert pyiceberg_client(uri).load_view("marts.scored").sql_for("spark").sql == "select 1"
    assert open_catalog(lake).load_view("marts.scored").metadata.view_uuid == metadata["view-uuid"]
    source, destination = ({"namespace": ["marts"], "name": name} for name in ("scored", "judged"))
    http.done("POST", "/views/rename", {"source": source, "destination": destination})
    assert http.done("GET", VIEWS)["identifiers"] == [destination]
    assert http.ask("HEAD", f"{VIEWS}/scored").status_code == 404
    assert http.ask("HEAD", f"{VIEWS}/judged").status_code == 204
    assert http.refused("DELETE", "/namespaces/marts")[1] == "NamespaceNotEmptyException"
    http.done("DELETE", f"{VIEWS}/judged")
    assert http.refused("GET", f"{VIEWS}/judged")[:2] == (404, "NoSuchViewException")
    body = {"name": "again", "metadata-location": young["metadata-location"]}
    assert http.done("POST", "/namespaces/marts/register-view", body)["metadata"] == metadata


def test_a_new_version_follows_the_old_one_and_an_equal_one_is_no_new_version(lake, http):
    made(http)
    second = http.done("POST", f"{VIEWS}/scored", replaced("select 2"))["metadata"]
    assert (second["current-version-id"], len(second["versions"]), len(second["schemas"])) == (2, 2, 1)
    assert [entry["version-id"] for entry in second["version-log"]] == [1, 2]
    before = lake.resolve("main")
    assert http.done("POST", f"{VIEWS}/scored", replaced("select 2"))["metadata"] == second
    assert lake.resolve("main") == before
    back = http.done("POST", f"{VIEWS}/scored", replaced("select 1"))["metadata"]
    assert (back["current-version-id"], len(back["versions"])) == (1, 2)


def test_a_view_keeps_as_many_versions_as_it_is_told(http):
    made(http)
    for number in range(2, 6):
        body = replaced(f"select {number}", **{"version.history.num-entries": "2"})
        metadata = http.done("POST", f"{VIEWS}/scored", body)["metadata"]
    assert [kept["version-id"] for kept in metadata["versions"]] == [4, 5]
    assert [entry["version-id"] for entry in metadata["version-log"]] == [4, 5]
    wrong = replaced("select 9", **{"version.history.num-entries": "0"})
    assert http.refused("POST", f"{VIEWS}/scored", wrong)[0] == 400


def test_a_dialect_is_not_lost_unless_that_is_allowed(http):
    made(http, "scored", "select 1", "spark", "trino")
    code, _, message = http.refused("POST", f"{VIEWS}/scored", replaced("select 2", "trino"))
    assert (code, "loss of view dialects" in message) == (400, True)
    allowed = replaced("select 2", "trino", **{"replace.drop-dialect.allowed": "true"})
    assert http.done("POST", f"{VIEWS}/scored", allowed)["metadata"]["current-version-id"] == 2
    twice = {"name": "twice", "schema": SCHEMA, "view-version": version("select 1", "spark", "SPARK")}
    assert "multiple queries for dialect spark" in http.refused("POST", VIEWS, twice)[2]


@pytest.mark.parametrize(
    "updates",
    [
        [{"action": "set-current-view-version", "view-version-id": 7}],
        [{"action": "set-current-view-version", "view-version-id": -1}],
        [{"action": "add-view-version", "view-version": version("select 2", **{"schema-id": 9})}],
        [{"action": "add-view-version", "view-version": version("select 2")}],
        [{"action": "add-view-version", "view-version": {**version("select 2"), "representations": []}}],
        [{"action": "upgrade-format-version", "format-version": 2}],
        [{"action": "dance"}],
        ["dance"],
    ],
)
def test_updates_that_make_no_view_are_refused_and_change_nothing(lake, http, updates):
    made(http)
    before = lake.resolve("main")
    assert http.refused("POST", f"{VIEWS}/scored", {"updates": updates})[0] == 400
    assert lake.resolve("main") == before


def test_a_view_that_was_made_anew_is_another_view(http):
    uuid = made(http)["metadata"]["view-uuid"]
    http.done("DELETE", f"{VIEWS}/scored")
    made(http)
    body = {"requirements": [{"type": "assert-view-uuid", "uuid": uuid}], **replaced("select 2")}
    assert http.refused("POST", f"{VIEWS}/scored", body)[:2] == (409, "CommitFailedException")


def test_a_table_and_a_view_cannot_have_one_name(http):
    made(http)
    http.done("POST", "/namespaces/marts/tables", {"name": "apps", "schema": SCHEMA})
    taken = http.refused("POST", "/namespaces/marts/tables", {"name": "scored", "schema": SCHEMA})
    assert taken == (409, "AlreadyExistsException", "View with same name already exists: marts.scored")
    body = {"name": "apps", "schema": SCHEMA, "view-version": version("select 1")}
    assert http.refused("POST", VIEWS, body)[2] == "Table with same name already exists: marts.apps"
    view, table = ({"namespace": ["marts"], "name": name} for name in ("scored", "apps"))
    for path, old, new in (("/views/rename", view, table), ("/tables/rename", table, view)):
        assert http.refused("POST", path, {"source": old, "destination": new})[1] == "AlreadyExistsException"
    assert [found["name"] for found in http.done("GET", "/namespaces/marts/tables")["identifiers"]] == ["apps"]


def test_views_follow_branches_and_merges_as_tables_do(lake, uri, http):
    made(http)
    lake.create_branch("dev")
    with Http(uri, "dev") as dev:
        dev.done("POST", f"{VIEWS}/scored", replaced("select 2"))
        dev.done("POST", VIEWS, {"name": "young", "schema": SCHEMA, "view-version": version("select 3")})
    assert http.done("GET", f"{VIEWS}/scored")["metadata"]["current-version-id"] == 1
    lake.tag("v1", "main")
    lake.merge("dev", "main", message="publish")
    assert http.done("GET", f"{VIEWS}/scored")["metadata"]["current-version-id"] == 2
    old = open_catalog(lake, "v1")
    assert old.load_view("marts.scored").sql_for("spark").sql == "select 1"
    with pytest.raises(NoSuchViewError):
        old.load_view("marts.young")
    with Http(uri, "v1") as tag:
        assert tag.refused("DELETE", f"{VIEWS}/scored")[:2] == (403, "ForbiddenException")
