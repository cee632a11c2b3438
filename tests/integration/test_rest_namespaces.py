"""The REST catalog: what it says of itself, namespaces with nesting and strange names, pages of long lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from pyiceberg.exceptions import NamespaceNotEmptyError
from pyiceberg.schema import Schema

from dfp_platform.catalog import open_catalog
from dfp_platform.catalog.rest.app import ENDPOINTS
from dfp_platform.lake import Lake, open_lake
from tests.serving_rest import SCHEMA, Http, pyiceberg_client, serving


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def uri(lake: Lake) -> Iterator[str]:
    with serving(lake) as uri:
        yield uri


def test_the_config_gives_the_ref_back_as_prefix_and_lists_what_can_be_asked(lake, uri):
    lake.create_branch("dev")
    for warehouse, prefix in ((None, "main"), ("", "main"), ("dev", "dev")):
        params = {} if warehouse is None else {"warehouse": warehouse}
        found = httpx.get(f"{uri}/v1/config", params=params).json()
        assert (found["defaults"], found["overrides"]["prefix"]) == ({}, prefix)
        assert set(found["endpoints"]) == set(ENDPOINTS)
    wrong = httpx.get(f"{uri}/v1/config", params={"warehouse": "nowhere"})
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (404, "NoSuchWarehouseException")


def test_an_unknown_path_is_told_what_paths_begin_with(uri):
    with httpx.Client(base_url=uri) as client:
        for path in ("/", "/v1/main/tables", "/v2/config"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["error"]["type"]) == (404, "NoSuchEndpointException")


def test_namespaces_nest_as_deep_as_one_likes(uri):
    client = pyiceberg_client(uri)
    for name in (("a",), ("a", "b"), ("a", "b", "c"), ("d",)):
        client.create_namespace(name, {"depth": str(len(name))})
    assert client.list_namespaces() == [("a",), ("d",)]
    assert client.list_namespaces("a") == [("a", "b")]
    assert client.list_namespaces(("a", "b")) == [("a", "b", "c")]
    assert client.load_namespace_properties(("a", "b", "c"))["depth"] == "3"
    with pytest.raises(NamespaceNotEmptyError):
        client.drop_namespace(("a", "b"))
    client.drop_namespace(("a", "b", "c"))
    client.drop_namespace(("a", "b"))
    assert client.list_namespaces("a") == []


@pytest.mark.parametrize("encoded_twice", [False, True])
def test_the_parent_of_a_listing_may_be_encoded_once_or_twice(uri, encoded_twice):
    pyiceberg_client(uri).create_namespace(("a", "b c", "d"))
    with Http(uri) as http:
        parent = "a%1Fb+c" if encoded_twice else "a\x1fb c"
        assert http.done("GET", "/namespaces", parent=parent) == {"namespaces": [["a", "b c", "d"]]}


@pytest.mark.parametrize("name", ["a/b", "a b", "a+b", "ä", "a.b", "%2F", "..", "tables", "namespaces"])
def test_a_name_may_hold_what_a_path_gives_a_meaning_to(lake, uri, name):
    client = pyiceberg_client(uri)
    client.create_namespace((name, name))
    with Http(uri) as http:
        path = f"/namespaces/{quote(name, safe='').replace('..', '%2E%2E')}%1F{quote(name, safe='')}"
        assert http.done("GET", path)["namespace"] == [name, name]
        http.done("POST", f"{path}/tables", {"name": name, "schema": SCHEMA})
        found = http.done("GET", f"{path}/tables")["identifiers"]
        table = http.done("GET", f"{path}/tables/{quote(name, safe='').replace('..', '%2E%2E')}")
    assert found == [{"namespace": [name, name], "name": name}]
    assert table["metadata"]["last-column-id"] == 2
    assert open_catalog(lake).list_tables((name, name)) == [(name, name, name)]


def test_properties_are_set_and_removed_and_missing_ones_are_named(uri):
    client = pyiceberg_client(uri)
    client.create_namespace("a", {"x": "1", "y": "2"})
    done = client.update_namespace_properties("a", {"x", "z"}, {"y": "3"})
    assert (done.removed, done.updated, done.missing) == (["x"], ["y"], ["z"])
    with Http(uri) as http:
        both = {"removals": ["y"], "updates": {"y": "4"}}
        assert http.refused("POST", "/namespaces/a/properties", both)[0] == 400
        assert http.done("GET", "/namespaces/a")["properties"]["y"] == "3"


def test_a_namespace_says_where_its_tables_lie(lake, uri):
    client = pyiceberg_client(uri)
    client.create_namespace("a")
    client.create_namespace("b", {"location": f"file://{lake.warehouse}/elsewhere"})
    for name, place in (("a", f"file://{lake.warehouse}/a"), ("b", f"file://{lake.warehouse}/elsewhere")):
        assert client.load_namespace_properties(name)["location"] == place
        assert client.create_table(f"{name}.t", Schema()).location().startswith(f"{place}/t-")


def test_pages_of_one_walk_are_of_one_commit(lake, uri):
    names = [f"t{number}" for number in range(7)]
    with Http(uri) as http:
        http.done("POST", "/namespaces", {"namespace": ["a"]})
        for name in names:
            http.done("POST", "/namespaces/a/tables", {"name": name, "schema": SCHEMA})
        assert len(http.done("GET", "/namespaces/a/tables")["identifiers"]) == 7
        pages, token = [], ""
        while token is not None:
            page = http.done("GET", "/namespaces/a/tables", pageToken=token, pageSize=3)
            pages.append([found["name"] for found in page["identifiers"]])
            token = page["next-page-token"]
            if len(pages) == 1:
                open_catalog(lake).drop_table("a.t5")
        assert pages == [names[:3], names[3:6], names[6:]]
        assert len(http.done("GET", "/namespaces", pageToken="")["namespaces"]) == 1
        for wrong in ({"pageToken": "?"}, {"pageToken": "", "pageSize": "0"}):
            assert http.refused("GET", "/namespaces/a/tables", **wrong)[0] == 400


def test_pyiceberg_walks_pages_by_itself(uri):
    client = pyiceberg_client(uri, **{"rest-page-size": "2"})
    for number in range(5):
        client.create_namespace(f"n{number}")
    assert client.list_namespaces() == [(f"n{number}",) for number in range(5)]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"properties": {}}', b'{"namespace": ["a"], "properties": []}'])
def test_a_body_that_makes_no_sense_is_a_bad_request(uri, body):
    answer = httpx.post(f"{uri}/v1/main/namespaces", content=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "BadRequestException")
