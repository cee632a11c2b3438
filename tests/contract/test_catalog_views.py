"""What the catalog promises of views on every kind of lake."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchViewError,
    TableAlreadyExistsError,
    ViewAlreadyExistsError,
)
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField
from pyiceberg.view.metadata import ViewVersion

from dfp_platform.catalog import LakeCatalog, open_catalog
from dfp_platform.errors import CorruptLakeError, MergeConflictError, ReadOnlyError

SCHEMA = Schema(NestedField(1, "id", LongType()))


def version(sql: str = "select 1") -> ViewVersion:
    query = {"type": "sql", "sql": sql, "dialect": "spark"}
    told = {"version-id": 1, "schema-id": 0, "default-namespace": ["marts"], "representations": [query]}
    return ViewVersion.model_validate(told)


def replaced(sql: str) -> list[dict]:
    young = {**version(sql).model_dump(by_alias=True), "schema-id": 0}
    return [
        {"action": "add-view-version", "view-version": young},
        {"action": "set-current-view-version", "view-version-id": -1},
    ]


def sql_of(catalog: LakeCatalog, name: str = "marts.scored") -> str:
    found = catalog.load_view(name).sql_for("spark")
    assert found is not None
    return found.sql


@pytest.fixture
def catalog(lake) -> LakeCatalog:
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    return catalog


def test_a_view_is_what_was_made_and_lies_beside_the_tables_of_its_namespace(lake, catalog):
    catalog.create_view("marts.scored", SCHEMA, version(), properties={"owner": "me"})
    catalog.create_table("marts.apps", SCHEMA)
    assert (sql_of(catalog), catalog.load_view("marts.scored").properties) == ("select 1", {"owner": "me"})
    assert catalog.list_views("marts") == [("marts", "scored")]
    assert catalog.list_tables("marts") == catalog.all_tables() == [("marts", "apps")]
    assert catalog.view_exists("marts.scored")
    assert not catalog.view_exists("marts.apps")
    with pytest.raises(NoSuchNamespaceError):
        catalog.list_views("nowhere")
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace("marts")


def test_names_are_taken_once_by_tables_and_views_together(catalog):
    catalog.create_view("marts.scored", SCHEMA, version())
    catalog.create_table("marts.apps", SCHEMA)
    with pytest.raises(ViewAlreadyExistsError):
        catalog.create_view("marts.scored", SCHEMA, version())
    with pytest.raises(TableAlreadyExistsError):
        catalog.create_view("marts.apps", SCHEMA, version())
    with pytest.raises(ViewAlreadyExistsError):
        catalog.create_table("marts.scored", SCHEMA)
    with pytest.raises(ViewAlreadyExistsError):
        catalog.rename_table("marts.apps", "marts.scored")
    with pytest.raises(TableAlreadyExistsError):
        catalog.rename_view("marts.scored", "marts.apps")
    with pytest.raises(NoSuchNamespaceError):
        catalog.create_view("nowhere.scored", SCHEMA, version())


def test_a_dropped_view_is_gone_from_its_branch_only(lake, catalog):
    catalog.create_view("marts.scored", SCHEMA, version())
    lake.create_branch("dev")
    catalog.drop_view("marts.scored")
    for gone in (catalog.load_view, catalog.drop_view):
        with pytest.raises(NoSuchViewError):
            gone("marts.scored")
    assert sql_of(open_catalog(lake, "dev")) == "select 1"


def test_a_view_moves_with_branches_merges_and_reverts(lake, catalog):
    catalog.create_view("marts.scored", SCHEMA, version())
    lake.create_branch("dev")
    open_catalog(lake, "dev").commit_view("marts.scored", [], replaced("select 2"))
    assert sql_of(catalog) == "select 1"
    head = lake.merge("dev", "main", message="publish")
    assert sql_of(catalog) == "select 2"
    lake.revert("main", head)
    assert sql_of(catalog) == "select 1"


def test_a_view_that_both_sides_replaced_is_a_conflict(lake, catalog):
    catalog.create_view("marts.scored", SCHEMA, version())
    lake.create_branch("dev")
    open_catalog(lake, "dev").commit_view("marts.scored", [], replaced("select 2"))
    catalog.commit_view("marts.scored", [], replaced("select 3"))
    with pytest.raises(MergeConflictError):
        lake.merge("dev", "main", message="publish")
    assert sql_of(catalog) == "select 3"


def test_requirements_hold_at_the_head_or_nothing_changes(lake, catalog):
    catalog.create_view("marts.scored", SCHEMA, version())
    before = lake.resolve("main")
    other = {"type": "assert-view-uuid", "uuid": "00000000-0000-0000-0000-000000000000"}
    with pytest.raises(CommitFailedException, match="UUID does not match"):
        catalog.commit_view("marts.scored", [other], replaced("select 2"))
    with pytest.raises(NoSuchViewError):
        catalog.commit_view("marts.other", [], replaced("select 2"))
    assert lake.resolve("main") == before


def test_a_tag_shows_its_views_and_takes_no_new_ones(lake, catalog):
    catalog.create_view("marts.scored", SCHEMA, version())
    lake.tag("v1", "main")
    old = open_catalog(lake, "v1")
    assert sql_of(old) == "select 1"
    for write in (
        lambda: old.create_view("marts.young", SCHEMA, version()),
        lambda: old.drop_view("marts.scored"),
        lambda: old.commit_view("marts.scored", [], replaced("select 2")),
    ):
        with pytest.raises(ReadOnlyError):
            write()


def test_an_object_that_is_no_view_is_named(lake, catalog):
    lake.commit("main", {"tables/marts/=view.odd": b"{}"}, message="by hand")
    with pytest.raises(CorruptLakeError, match=r"=view\.odd"):
        catalog.load_view("marts.odd")


def test_a_view_takes_columns_of_arrow_too(catalog):
    catalog.create_view("marts.scored", pa.schema([("id", pa.int64())]), version())
    (schema,) = catalog.load_view("marts.scored").metadata.schemas
    assert [(field.field_id, field.name) for field in schema.fields] == [(1, "id")]
