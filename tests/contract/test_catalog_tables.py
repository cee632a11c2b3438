"""The life of tables and namespaces, on every kind of lake: made, renamed, registered, dropped, under any name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.types import StringType

from dfp_platform.catalog import LakeCatalog, open_catalog
from dfp_platform.lake import Lake

APPS = pa.table({"sha256": ["a", "b"], "malware": pa.array([0, 1], pa.int32())})


@pytest.fixture
def catalog(lake: Lake) -> LakeCatalog:
    catalog = open_catalog(lake, "main")
    catalog.create_namespace("marts")
    return catalog


def rows(catalog: LakeCatalog, identifier="marts.apps") -> int:
    return catalog.load_table(identifier).scan().to_arrow().num_rows


def folder(table) -> Path:
    return Path(table.metadata.location.removeprefix("file://"))


def make(catalog: LakeCatalog, identifier="marts.apps", data: pa.Table = APPS):
    table = catalog.create_table(identifier, data.schema)
    table.append(data)
    return table


# -- the life of tables -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "identifier",
    [
        ("marts", "dotted.name.v1"),
        ("marts", "UPPER"),
        ("marts", "größe 漢字/%2F#?&\"'"),
        ("marts", "=namespace"),
        ("marts", ".."),
        ("Nested", "level.two", "Three"),
    ],
)
def test_any_iceberg_name_works(lake, catalog, identifier):
    catalog.create_namespace_if_not_exists(identifier[:-1])
    make(catalog, identifier)
    assert catalog.list_tables(identifier[:-1]) == [identifier]
    assert catalog.all_tables() == [identifier]
    moved = (*identifier[:-1], identifier[-1] + ".2")
    catalog.rename_table(identifier, moved)
    assert rows(catalog, moved) == 2
    assert not catalog.table_exists(identifier)


def test_names_that_differ_in_case_are_two_tables(catalog):
    make(catalog, "marts.apps")
    make(catalog, "marts.Apps", pa.concat_tables([APPS, APPS]))
    assert (rows(catalog, "marts.apps"), rows(catalog, "marts.Apps")) == (2, 4)


def test_creating_needs_a_namespace_and_a_free_name(lake, catalog):
    make(catalog)
    head = lake.resolve("main")
    with pytest.raises(NoSuchNamespaceError):
        catalog.create_table("nope.apps", APPS.schema)
    with pytest.raises(NoSuchNamespaceError):
        catalog.create_table_transaction("nope.apps", APPS.schema)
    with pytest.raises(TableAlreadyExistsError):
        catalog.create_table("marts.apps", APPS.schema)
    assert catalog.create_table_if_not_exists("marts.apps", APPS.schema).name() == ("marts", "apps")
    assert lake.resolve("main") == head


def test_a_create_transaction_shows_nothing_until_it_is_one_commit(lake, catalog):
    head = lake.resolve("main")
    transaction = catalog.create_table_transaction("marts.apps", APPS.schema, properties={"owner": "us"})
    transaction.append(APPS)
    assert lake.resolve("main") == head
    transaction.commit_transaction()
    assert lake.show("main").parents == (head,)
    assert rows(catalog) == 2
    assert catalog.load_table("marts.apps").properties["owner"] == "us"


def test_two_creators_of_one_table_are_one_and_an_error(catalog):
    first = catalog.create_table_transaction("marts.apps", APPS.schema)
    second = catalog.create_table_transaction("marts.apps", APPS.schema)
    first.commit_transaction()
    with pytest.raises(CommitFailedException):
        second.commit_transaction()


def test_a_transaction_is_one_commit_of_the_lake(lake, catalog):
    table = make(catalog)
    head = lake.resolve("main")
    with table.transaction() as transaction:
        with transaction.update_schema() as change:
            change.add_column("extra", StringType())
        transaction.set_properties(owner="us")
        transaction.append(APPS)
    assert lake.show("main").parents == (head,)
    assert catalog.load_table("marts.apps").scan().to_arrow().column_names == ["sha256", "malware", "extra"]


def test_rename_keeps_the_table_and_refuses_a_taken_name(lake, catalog):
    table = make(catalog)
    make(catalog, "marts.taken")
    catalog.create_namespace("other")
    uuid = table.metadata.table_uuid
    with pytest.raises(TableAlreadyExistsError):
        catalog.rename_table("marts.apps", "marts.taken")
    with pytest.raises(NoSuchNamespaceError):
        catalog.rename_table("marts.apps", "nope.apps")
    with pytest.raises(NoSuchTableError):
        catalog.rename_table("marts.nope", "marts.new")
    renamed = catalog.rename_table("marts.apps", "other.apps")
    assert renamed.metadata.table_uuid == uuid
    assert rows(catalog, "other.apps") == 2


def test_what_is_not_there_is_said(catalog):
    for missing in ("marts.nope", "nope.nope", "nope", ("marts", "")):
        with pytest.raises(NoSuchTableError):
            catalog.load_table(missing)
        with pytest.raises(NoSuchTableError):
            catalog.drop_table(missing)
        assert not catalog.table_exists(missing)


def test_a_registered_table_is_the_one_it_was(catalog):
    table = make(catalog)
    content = catalog.pointer("marts.apps").content
    catalog.drop_table("marts.apps")
    again = catalog.register_table("marts.back", table.metadata_location)
    assert again.metadata_location == table.metadata_location
    assert catalog.pointer("marts.back").content == content
    with pytest.raises(TableAlreadyExistsError):
        catalog.register_table("marts.back", table.metadata_location)
    catalog.register_table("marts.back", table.metadata_location, overwrite=True)


# -- namespaces -------------------------------------------------------------------------------------------------------


def test_namespaces_nest_and_keep_properties(catalog):
    catalog.create_namespace(("a", "b.c"), {"owner": "us"})
    assert catalog.list_namespaces() == [("a",), ("marts",)]
    assert catalog.list_namespaces("a") == [("a", "b.c")]
    assert catalog.list_namespaces(("a", "b.c")) == []
    summary = catalog.update_namespace_properties(("a", "b.c"), {"owner", "nope"}, {"x": "y"})
    assert (summary.removed, summary.updated, summary.missing) == (["owner"], ["x"], ["nope"])
    assert catalog.load_namespace_properties(("a", "b.c")) == {"x": "y"}
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace("a")
    catalog.drop_namespace(("a", "b.c"))
    assert not catalog.namespace_exists("a")


def test_a_namespace_is_made_once_and_dropped_empty(catalog):
    make(catalog)
    with pytest.raises(NamespaceAlreadyExistsError):
        catalog.create_namespace("marts")
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace("marts")
    catalog.drop_table("marts.apps")
    catalog.drop_namespace("marts")
    for call in (
        catalog.drop_namespace,
        catalog.list_tables,
        catalog.list_namespaces,
        catalog.load_namespace_properties,
    ):
        with pytest.raises(NoSuchNamespaceError):
            call("marts")
    assert not catalog.namespace_exists("")


def test_the_same_namespace_made_on_two_branches_is_no_conflict(lake, catalog):
    lake.create_branch("dev")
    open_catalog(lake, "dev").create_namespace("raw")
    catalog.create_namespace("raw")
    lake.merge("dev", "main", message="publish")
    assert catalog.namespace_exists("raw")


def test_a_namespace_location_is_where_its_new_tables_go(catalog, tmp_path):
    catalog.create_namespace("placed", {"location": str(tmp_path / "elsewhere")})
    assert make(catalog, "placed.apps").metadata.location.startswith(f"file://{tmp_path}/elsewhere/apps-")


# -- what is forced ---------------------------------------------------------------------------------------------------


def test_garbage_collection_by_engines_is_off_on_every_table_whatever_is_asked(catalog):
    wanted = {"gc.enabled": "true", "write.metadata.delete-after-commit.enabled": "true"}
    table = catalog.create_table("marts.apps", APPS.schema, properties=wanted)
    assert table.properties["gc.enabled"] == "false"
    table.transaction().set_properties(wanted).commit_transaction()
    assert catalog.load_table("marts.apps").properties["gc.enabled"] == "false"
    table.refresh().transaction().remove_properties("gc.enabled").commit_transaction()
    found = catalog.load_table("marts.apps").properties
    assert found["gc.enabled"] == found["write.metadata.delete-after-commit.enabled"] == "false"


def test_old_metadata_files_stay_for_those_who_point_at_them(lake, catalog):
    table = make(catalog)
    lake.tag("v1", "main")
    table.transaction().set_properties({"write.metadata.previous-versions-max": "1"}).commit_transaction()
    for _ in range(3):
        table.append(APPS)
    assert rows(open_catalog(lake, "v1")) == 2


def test_no_two_tables_share_a_folder(catalog):
    places = {make(catalog, f"marts.{name}").metadata.location for name in ("a", "b", "A")}
    catalog.drop_table("marts.a")
    places.add(make(catalog, "marts.a").metadata.location)
    assert len(places) == 4
    assert all(place.startswith(f"file://{catalog.lake.warehouse}/") for place in places)
