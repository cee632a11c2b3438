"""The REST catalog: commits of several tables, races, and outcomes that nobody knows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import Table

from dfp_platform.catalog import open_catalog
from dfp_platform.errors import UnknownOutcomeError, UnreachableError
from dfp_platform.lake import Lake
from dfp_platform.schemas import CommitId
from tests.serving_rest import SCHEMA, Http, lake, pyiceberg_client, serving, uri

__all__ = ["lake", "uri"]

ROWS = pa.table({"id": pa.array([1, 2], pa.int64())})


class Wavering:
    """A lake whose commits land, or not, and then fail: as over a network that breaks."""

    def __init__(self, lake: Lake, error: Exception, *, lands: bool) -> None:
        self._lake, self._error, self._lands, self.commits = lake, error, lands, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lake, name)

    def commit(self, *args: Any, **kwargs: Any) -> CommitId:
        self.commits += 1
        if self._lands:
            self._lake.commit(*args, **kwargs)
        raise self._error


def change(name: str, key: str, uuid: str) -> dict[str, Any]:
    return {
        "identifier": {"namespace": ["marts"], "name": name},
        "requirements": [{"type": "assert-table-uuid", "uuid": uuid}],
        "updates": [{"action": "set-properties", "updates": {key: "1"}}],
    }


def uuid_of(http: Http, name: str) -> str:
    made = http.done("POST", "/namespaces/marts/tables", {"name": name, "schema": SCHEMA})
    return made["metadata"]["table-uuid"]


def properties(http: Http, name: str) -> dict[str, str]:
    return http.done("GET", f"/namespaces/marts/tables/{name}")["metadata"]["properties"]


def test_several_tables_change_in_one_commit_of_the_lake(lake, uri):
    with Http(uri) as http:
        changes = [change(name, "k", uuid_of(http, name)) for name in ("one", "two")]
        before = lake.resolve("main")
        assert http.done("POST", "/transactions/commit", {"table-changes": changes}) is None
        assert [properties(http, name)["k"] for name in ("one", "two")] == ["1", "1"]
    assert lake.show("main").parents == (before,)


def test_if_one_table_of_a_transaction_moved_none_is_changed(lake, uri):
    with Http(uri) as http:
        first, second = (uuid_of(http, name) for name in ("one", "two"))
        http.done("DELETE", "/namespaces/marts/tables/two")
        assert uuid_of(http, "two") != second
        before = lake.resolve("main")
        changes = {"table-changes": [change("one", "k", first), change("two", "k", second)]}
        code, kind, message = http.refused("POST", "/transactions/commit", changes)
        assert (code, kind) == (409, "CommitFailedException")
        assert "UUID does not match" in message
        assert "k" not in properties(http, "one")
        twice = {"table-changes": [change("one", "a", first), change("one", "b", first)]}
        assert http.refused("POST", "/transactions/commit", twice)[0] == 400
        missing = {"table-changes": [change("one", "a", first), change("three", "b", first)]}
        assert http.refused("POST", "/transactions/commit", missing)[:2] == (404, "NoSuchTableException")
        assert http.refused("POST", "/transactions/commit", {"table-changes": []})[0] == 400
    assert lake.resolve("main") == before


def test_a_transaction_may_make_tables_that_were_staged(uri):
    with Http(uri) as http:
        body = {"name": "young", "schema": SCHEMA, "stage-create": True}
        staged = http.done("POST", "/namespaces/marts/tables", body)
        assert "metadata-location" not in staged
        metadata = staged["metadata"]
        updates = [
            {"action": "assign-uuid", "uuid": metadata["table-uuid"]},
            {"action": "upgrade-format-version", "format-version": 2},
            {"action": "add-schema", "schema": metadata["schemas"][0]},
            {"action": "set-current-schema", "schema-id": -1},
            {"action": "add-spec", "spec": metadata["partition-specs"][0]},
            {"action": "set-default-spec", "spec-id": -1},
            {"action": "add-sort-order", "sort-order": metadata["sort-orders"][0]},
            {"action": "set-default-sort-order", "sort-order-id": -1},
            {"action": "set-location", "location": metadata["location"]},
        ]
        young = {**change("young", "k", ""), "requirements": [{"type": "assert-create"}], "updates": updates}
        changes = {"table-changes": [young, change("old", "k", uuid_of(http, "old"))]}
        http.done("POST", "/transactions/commit", changes)
        found = http.done("GET", "/namespaces/marts/tables/young")["metadata"]
        assert (found["table-uuid"], found["schemas"]) == (metadata["table-uuid"], metadata["schemas"])
        assert http.refused("POST", "/transactions/commit", {"table-changes": [young]})[1:] == (
            "CommitFailedException",
            "Requirement failed: table already exists",
        )


def test_writers_that_race_to_append_lose_nothing(uri):
    pyiceberg_client(uri).create_table("marts.apps", ROWS.schema)

    def append(_: int) -> int:
        table, lost = pyiceberg_client(uri).load_table("marts.apps"), 0
        while True:
            try:
                table.append(ROWS)
                return lost
            except CommitFailedException:
                table, lost = table.refresh(), lost + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(12)))
    table = pyiceberg_client(uri).load_table("marts.apps")
    assert table.scan().to_arrow().num_rows == 24
    assert len(table.metadata.snapshots) == 12


def test_a_snapshot_whose_sequence_number_another_branch_of_the_table_took_is_a_conflict(uri):
    client = pyiceberg_client(uri)
    table = client.create_table("marts.apps", ROWS.schema, properties={"commit.retry.num-retries": "0"})
    table.append(ROWS)
    table.manage_snapshots().create_branch(table.current_snapshot().snapshot_id, "audit").commit()
    first, second = client.load_table("marts.apps"), client.load_table("marts.apps")
    first.append(ROWS)
    with pytest.raises(CommitFailedException, match="older than last sequence number 2"):
        second.append(ROWS, branch="audit")
    second.refresh().append(ROWS, branch="audit")
    assert client.load_table("marts.apps").metadata.last_sequence_number == 3


def test_a_snapshot_without_its_manifests_is_refused(lake, uri):
    with Http(uri) as http:
        uuid_of(http, "one")
        snapshot = {"snapshot-id": 1, "sequence-number": 1, "timestamp-ms": 1, "manifest-list": f"{lake.uri}/none.avro"}
        updates = [
            {"action": "add-snapshot", "snapshot": {**snapshot, "summary": {"operation": "append"}}},
            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 1},
        ]
        code, _, message = http.refused("POST", "/namespaces/marts/tables/one", {"updates": updates})
    assert (code, "none.avro" in message) == (409, True), (
        "it may have been collected: the rows have to be written again"
    )


def test_snapshots_that_main_only_passed_through_are_not_in_its_history(uri):
    client = pyiceberg_client(uri)
    table = client.create_table("marts.apps", ROWS.schema)
    with table.transaction() as transaction:
        transaction.append(ROWS)
        transaction.append(ROWS)
    metadata = client.load_table("marts.apps").metadata
    assert len(metadata.snapshots) == 2
    assert [entry.snapshot_id for entry in metadata.snapshot_log] == [metadata.current_snapshot_id]


def test_writers_of_other_tables_never_conflict(uri):
    def make(number: int) -> Table:
        table = pyiceberg_client(uri).create_table(f"marts.t{number}", ROWS.schema)
        table.append(ROWS)
        return table

    with ThreadPoolExecutor(4) as pool:
        assert all(table.scan().to_arrow().num_rows == 2 for table in pool.map(make, range(8)))


@pytest.mark.parametrize("lands", [True, False])
def test_an_unknown_outcome_is_told_as_such_and_not_tried_again(lake, lands):
    open_catalog(lake).create_table("marts.apps", ROWS.schema)
    wavering = Wavering(lake, UnknownOutcomeError("the connection broke"), lands=lands)
    with serving(wavering) as uri:
        table = pyiceberg_client(uri).load_table("marts.apps")
        with pytest.raises(CommitStateUnknownException, match="the connection broke"):
            table.append(ROWS)
        with Http(uri) as http:
            body = {"updates": [{"action": "set-properties", "updates": {"k": "1"}}]}
            assert http.refused("POST", "/namespaces/marts/tables/apps", body)[:2] == (
                500,
                "CommitStateUnknownException",
            )
    assert wavering.commits == 2
    assert open_catalog(lake).load_table("marts.apps").scan().to_arrow().num_rows == (2 if lands else 0)


def test_a_lake_that_cannot_be_reached_is_unavailable_and_a_fault_tells_no_secret(lake):
    for error, code, kind in (
        (UnreachableError("no answer"), 503, "ServiceUnavailableException"),
        (RuntimeError("password=hunter2"), 500, "InternalServerError"),
    ):
        with serving(Wavering(lake, error, lands=False)) as uri, Http(uri) as http:
            found = http.refused("POST", "/namespaces", {"namespace": ["a"]})
            assert found[:2] == (code, kind)
            assert "hunter2" not in found[2]
