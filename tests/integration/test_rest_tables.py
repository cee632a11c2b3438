"""The REST catalog and tables: PyIceberg's own client, and raw requests where it does not ask for all there is."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, ForbiddenError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import LongType, NestedField, StringType

from dfp_platform.catalog import content_of, open_catalog
from dfp_platform.lake import open_lake, relocate
from tests.serving_rest import SCHEMA, Http, lake, pyiceberg_client, serving, uri

__all__ = ["lake", "uri"]

ROWS = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", "b"]})


def made(http: Http, name: str = "apps", **more: object) -> dict:
    return http.done("POST", "/namespaces/marts/tables", {"name": name, "schema": SCHEMA, **more})


def commit(http: Http, updates: list[dict], requirements: list[dict] | None = None, name: str = "apps") -> dict:
    body = {"requirements": requirements or [], "updates": updates}
    return http.done("POST", f"/namespaces/marts/tables/{name}", body)["metadata"]


# -- PyIceberg's client -----------------------------------------------------------------------------------------------


def test_pyiceberg_creates_appends_and_reads_over_http_what_the_lake_reads_directly(lake, uri):
    client = pyiceberg_client(uri)
    table = client.create_table("marts.apps", ROWS.schema)
    table.append(ROWS)
    table.append(ROWS)
    table.delete("id = 1")
    assert client.load_table("marts.apps").scan().to_arrow().num_rows == 2
    assert open_catalog(lake).load_table("marts.apps").scan().to_arrow()["name"].to_pylist() == ["b", "b"]
    with pytest.raises(TableAlreadyExistsError):
        client.create_table("marts.apps", ROWS.schema)


def test_the_warehouse_names_the_branch_that_is_read_and_written(lake, uri):
    main = pyiceberg_client(uri)
    main.create_table("marts.apps", ROWS.schema).append(ROWS)
    lake.create_branch("dev")
    dev = pyiceberg_client(uri, "dev")
    dev.load_table("marts.apps").append(ROWS)
    assert dev.load_table("marts.apps").scan().to_arrow().num_rows == 4
    assert main.load_table("marts.apps").scan().to_arrow().num_rows == 2
    lake.merge("dev", "main", message="publish")
    assert main.load_table("marts.apps").scan().to_arrow().num_rows == 4


def test_tags_and_commits_are_read_and_never_written(lake, uri):
    pyiceberg_client(uri).create_table("marts.apps", ROWS.schema).append(ROWS)
    commit_id = lake.tag("v1", "main")
    pyiceberg_client(uri).load_table("marts.apps").append(ROWS)
    for ref in ("v1", commit_id):
        old = pyiceberg_client(uri, ref)
        assert old.load_table("marts.apps").scan().to_arrow().num_rows == 2
        with pytest.raises(ForbiddenError, match="no branch"):
            old.load_table("marts.apps").append(ROWS)
        with pytest.raises(ForbiddenError):
            old.create_namespace("other")
        with pytest.raises(ForbiddenError):
            old.drop_table("marts.apps")


def test_a_staged_table_is_nowhere_until_its_first_commit(lake, uri):
    client = pyiceberg_client(uri)
    with client.create_table_transaction("marts.apps", ROWS.schema) as transaction:
        transaction.append(ROWS)
        assert not client.table_exists("marts.apps")
    assert client.load_table("marts.apps").scan().to_arrow().num_rows == 2
    assert open_catalog(lake).load_table("marts.apps").properties["gc.enabled"] == "false"


def test_rename_drop_and_register_move_the_pointer_and_no_file(lake, uri):
    client = pyiceberg_client(uri)
    client.create_table("marts.apps", ROWS.schema).append(ROWS)
    content = content_of(lake, "main", "tables/marts/apps")
    client.rename_table("marts.apps", "marts.programs")
    assert [name for _, name in client.list_tables("marts")] == ["programs"]
    location = client.load_table("marts.programs").metadata_location
    client.purge_table("marts.programs")
    assert not client.table_exists("marts.programs")
    again = client.register_table("marts.apps", location)
    assert (again.scan().to_arrow().num_rows, again.metadata_location) == (2, location)
    assert content_of(lake, "main", "tables/marts/apps") == content


def test_two_writers_of_one_table_conflict_and_the_loser_is_told_so(uri):
    client = pyiceberg_client(uri)
    client.create_table("marts.apps", Schema(NestedField(1, "id", LongType())))
    first, second = client.load_table("marts.apps"), client.load_table("marts.apps")
    with first.update_schema() as change:
        change.add_column("one", StringType())
    told = "current schema changed: expected id 0 != 1"
    with pytest.raises(CommitFailedException, match=told), second.update_schema() as change:
        change.add_column("two", StringType())


# -- what a catalog has to do by itself -------------------------------------------------------------------------------


def test_a_new_table_numbers_its_columns_anew_and_keeps_their_defaults(uri):
    fields = [
        {"id": 40, "name": "id", "type": "long", "required": True},
        {"id": 41, "name": "n", "type": "int", "required": False, "initial-default": 3, "write-default": 4},
    ]
    schema = {"type": "struct", "schema-id": 9, "fields": fields, "identifier-field-ids": [40]}
    with Http(uri) as http:
        metadata = made(http, schema=schema, properties={"format-version": "3"})["metadata"]
        body = {"name": "two", "schema": schema}
        assert "default values need" in http.refused("POST", "/namespaces/marts/tables", body)[2]
        made(http, "three")
        add = {"updates": [{"action": "add-schema", "schema": schema}]}
        assert "default values need" in http.refused("POST", "/namespaces/marts/tables/three", add)[2]
    assert (metadata["format-version"], metadata["next-row-id"], metadata["last-column-id"]) == (3, 0, 2)
    (young,) = metadata["schemas"]
    assert (young["schema-id"], young["identifier-field-ids"]) == (0, [1])
    assert young["fields"][1] == {**fields[1], "id": 2}


def test_an_equal_schema_spec_or_order_is_not_added_twice_and_the_last_added_can_be_asked_for(uri):
    wider = {"id": 3, "name": "size", "type": "long", "required": False}
    spec = {"spec-id": 5, "fields": [{"source-id": 1, "transform": "bucket[4]", "name": "part"}]}
    order = {
        "order-id": 8,
        "fields": [{"source-id": 1, "transform": "identity", "direction": "asc", "null-order": "nulls-first"}],
    }
    with Http(uri) as http:
        young = made(http)["metadata"]["schemas"][0]
        schema = {**young, "schema-id": 99, "fields": [*young["fields"], wider]}
        updates = [
            {"action": "add-schema", "schema": schema},
            {"action": "set-current-schema", "schema-id": -1},
            {"action": "add-spec", "spec": spec},
            {"action": "set-default-spec", "spec-id": -1},
            {"action": "add-sort-order", "sort-order": order},
            {"action": "set-default-sort-order", "sort-order-id": -1},
        ]
        once = commit(http, updates)
        assert (once["current-schema-id"], once["default-spec-id"], once["default-sort-order-id"]) == (1, 1, 1)
        assert once["partition-specs"][1]["fields"][0]["field-id"] == once["last-partition-id"] == 1000
        again = commit(http, updates)
        assert [len(again[key]) for key in ("schemas", "partition-specs", "sort-orders")] == [2, 2, 2]
        code, kind, message = http.refused(
            "POST", "/namespaces/marts/tables/apps", {"updates": [{"action": "set-current-schema", "schema-id": -1}]}
        )
        assert (code, kind) == (400, "IllegalArgumentException")
        assert "no schema has been added" in message


def test_unused_schemas_and_specs_can_be_removed(uri):
    client = pyiceberg_client(uri)
    table = client.create_table("marts.apps", ROWS.schema)
    with table.update_schema() as change:
        change.add_column("size", LongType())
    with table.update_spec() as change:
        change.add_field("id", BucketTransform(4), "part")
    with Http(uri) as http:
        updates = [
            {"action": "remove-schemas", "schema-ids": [0]},
            {"action": "remove-partition-specs", "spec-ids": [0]},
        ]
        metadata = commit(http, updates)
        assert [schema["schema-id"] for schema in metadata["schemas"]] == [1]
        assert [spec["spec-id"] for spec in metadata["partition-specs"]] == [1]
        gone = {"updates": [{"action": "remove-schemas", "schema-ids": [1]}]}
        assert http.refused("POST", "/namespaces/marts/tables/apps", gone)[0] == 400


def test_snapshots_are_forgotten_on_demand_and_those_that_are_gone_already_do_not_matter(lake, uri):
    table = pyiceberg_client(uri).create_table("marts.apps", ROWS.schema)
    for _ in range(3):
        table.append(ROWS)
    first, second, third = (snapshot.snapshot_id for snapshot in table.metadata.snapshots)
    with Http(uri) as http:
        for ids in ([first], [first, second]):
            metadata = commit(http, [{"action": "remove-snapshots", "snapshot-ids": ids}])
    assert [snapshot["snapshot-id"] for snapshot in metadata["snapshots"]] == [third]
    assert open_catalog(lake).load_table("marts.apps").scan().to_arrow().num_rows == 6


@pytest.mark.parametrize("path", [(1, 2), (2, 3), (1, 3)])
def test_a_table_can_be_upgraded_and_never_downgraded(uri, path):
    before, after = path
    with Http(uri) as http:
        assert made(http, properties={"format-version": str(before)})["metadata"]["format-version"] == before
        metadata = commit(http, [{"action": "upgrade-format-version", "format-version": after}])
        assert metadata["format-version"] == after
        assert len(metadata["metadata-log"]) == 1
        assert metadata.get("next-row-id") == (0 if after == 3 else None)
        down = {"updates": [{"action": "upgrade-format-version", "format-version": before}]}
        assert http.refused("POST", "/namespaces/marts/tables/apps", down)[1:] == (
            "IllegalArgumentException",
            f"Cannot downgrade v{after} table to v{before}",
        )


def test_metadata_that_a_commit_would_lose_parts_of_is_refused(lake, uri):
    key = {"key-id": "k", "encrypted-key-metadata": "AA=="}
    with Http(uri) as http:
        made(http, properties={"format-version": "3"})
        for update in (
            {"action": "add-encryption-key", "encryption-key": key},
            {"action": "add-snapshot", "snapshot": {"snapshot-id": 1, "key-id": "k"}},
        ):
            assert http.refused("POST", "/namespaces/marts/tables/apps", {"updates": [update]})[0] == 400
        loaded = http.done("GET", "/namespaces/marts/tables/apps")
        path = Path(loaded["metadata-location"].removeprefix("file://"))
        text = path.read_text().removesuffix("}") + ',"encryption-keys":[{"key-id":"k"}]}'
        path.with_name("00009-x.metadata.json").write_text(text)
        body = {"name": "two", "metadata-location": str(path.with_name("00009-x.metadata.json"))}
        code, _, message = http.refused("POST", "/namespaces/marts/register", body)
    assert (code, "encryption-keys" in message) == (400, True)


def test_a_table_loads_only_the_snapshots_of_its_refs_and_not_at_all_if_it_is_known(uri):
    client = pyiceberg_client(uri)
    table = client.create_table("marts.apps", ROWS.schema)
    for _ in range(3):
        table.append(ROWS)
    path = "/namespaces/marts/tables/apps"
    with Http(uri) as http:
        assert len(http.done("GET", path)["metadata"]["snapshots"]) == 3
        assert len(http.done("GET", path, snapshots="refs")["metadata"]["snapshots"]) == 1
        assert http.refused("GET", path, snapshots="some")[0] == 400
        tag = http.ask("GET", path).headers["etag"]
    with Http(uri, **{"If-None-Match": tag}) as http:
        assert http.ask("GET", path).status_code == 304
        table.append(ROWS)
        assert http.ask("GET", path).status_code == 200


def test_a_location_outside_of_the_warehouse_needs_leave(lake, tmp_path):
    outside = f"file://{tmp_path}/elsewhere/apps"
    for wrong in (outside, f"{lake.warehouse}/../../apps", "/etc/apps"):
        with serving(lake) as uri, Http(uri) as http:
            body = {"name": "apps", "schema": SCHEMA, "location": wrong}
            code, _, message = http.refused("POST", "/namespaces/marts/tables", body)
            assert (code, "--allow-location" in message) == (400, True)
    with serving(lake, locations=[f"{tmp_path}/elsewhere"]) as uri, Http(uri) as http:
        assert made(http, location=outside)["metadata"]["location"] == outside


def test_a_lake_that_was_moved_is_served_from_where_it_is(lake, tmp_path):
    open_catalog(lake).create_table("marts.apps", ROWS.schema).append(ROWS)
    (tmp_path / "lake").rename(tmp_path / "elsewhere")
    relocate(tmp_path / "elsewhere")
    moved = open_lake(tmp_path / "elsewhere")
    with serving(moved) as uri, Http(uri) as http:
        assert commit(http, [{"action": "set-properties", "updates": {"a": "b"}}])["properties"]["a"] == "b"
        assert made(http, "young")["metadata"]["location"].startswith(f"file://{moved.warehouse}/")
    assert open_catalog(moved).load_table("marts.apps").scan().to_arrow().num_rows == 2


def test_a_table_cannot_name_code_that_the_server_runs(uri):
    told = {"py-io-impl": "nowhere.IO", "write.py-location-provider.impl": "nowhere.Provider"}
    with Http(uri) as http:
        made(http, properties=told)
        assert commit(http, [{"action": "set-properties", "updates": {"a": "b"}}])["properties"]["a"] == "b"


def test_a_missing_table_is_404_for_whoever_asks(uri):
    with pytest.raises(NoSuchTableError):
        pyiceberg_client(uri).load_table("marts.apps")
    with Http(uri) as http:
        path = "/namespaces/marts/tables/apps"
        assert http.ask("HEAD", path).status_code == 404
        assert http.refused("POST", path, {"updates": []})[:2] == (404, "NoSuchTableException")
        assert http.refused("DELETE", path)[:2] == (404, "NoSuchTableException")
        assert http.refused("GET", f"{path}/credentials")[:2] == (404, "NoSuchTableException")
        made(http)
        assert http.ask("HEAD", path).status_code == 204
        assert http.done("GET", f"{path}/credentials") == {"storage-credentials": []}
        assert http.done("POST", f"{path}/metrics", {"report-type": "scan-report"}) is None
