"""What the catalog promises on every kind of lake: tables follow refs, and nothing is lost or half there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchPropertyException,
)
from pyiceberg.types import LongType, StringType

from dfp_platform.catalog import LakeCatalog, content_of, open_catalog, read_pointer
from dfp_platform.errors import FencedError, MergeConflictError, NotFoundError, ReadOnlyError
from dfp_platform.lake import Lake
from dfp_platform.lake.ownership import OwnedLake, Ownership, open_run_branch, run_branch, transition

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


# -- branches ---------------------------------------------------------------------------------------------------------


def test_pyiceberg_loads_the_catalog_by_its_property(lake, catalog):
    make(catalog)
    loaded = load_catalog("lake", **{"py-catalog-impl": "dfp_platform.catalog.LakeCatalog", "lake": lake.uri})
    assert type(loaded) is LakeCatalog
    assert loaded.load_table("marts.apps").scan().to_arrow().num_rows == 2
    dev = {"py-catalog-impl": "dfp_platform.catalog.LakeCatalog", "lake": lake.uri, "ref": "dev"}
    lake.create_branch("dev")
    load_catalog("lake", **dev).load_table("marts.apps").append(APPS)
    assert (rows(loaded), rows(open_catalog(lake, "dev"))) == (2, 4)


def test_a_branch_does_not_see_later_commits_of_main_nor_main_those_of_the_branch(lake, catalog):
    make(catalog)
    lake.create_branch("dev")
    dev = open_catalog(lake, "dev")
    catalog.load_table("marts.apps").append(APPS)
    dev.load_table("marts.apps").delete("malware = 1")
    dev.create_table("marts.other", APPS.schema)
    assert (rows(catalog), rows(dev)) == (4, 1)
    assert not catalog.table_exists("marts.other")


def test_a_merge_moves_tables_and_files_in_one_commit(lake, catalog):
    make(catalog)
    lake.create_branch("dev")
    dev, before = open_catalog(lake, "dev"), lake.resolve("main")
    dev.load_table("marts.apps").append(APPS)
    make(dev, "marts.other")
    lake.commit("dev", {"models/weights": b"w"}, message="weights")
    head = lake.merge("dev", "main", message="publish")
    assert lake.show(head).parents[0] == before
    assert (rows(catalog), rows(catalog, "marts.other"), lake.read("main", "models/weights")) == (4, 2, b"w")


def test_two_sides_that_changed_one_table_are_a_conflict_on_its_pointer(lake, catalog):
    make(catalog)
    lake.create_branch("dev")
    open_catalog(lake, "dev").load_table("marts.apps").append(APPS)
    catalog.load_table("marts.apps").append(APPS)
    with pytest.raises(MergeConflictError) as caught:
        lake.merge("dev", "main", message="publish")
    assert [conflict.path for conflict in caught.value.conflicts] == ["tables/marts/apps"]


def test_dropping_a_table_takes_nothing_from_other_refs(lake, catalog):
    table = make(catalog)
    lake.tag("v1", "main")
    lake.create_branch("dev")
    table.append(APPS)
    catalog.purge_table("marts.apps")
    assert not catalog.table_exists("marts.apps")
    assert (rows(open_catalog(lake, "dev")), rows(open_catalog(lake, "v1"))) == (2, 2)


def test_time_travel_by_commit_and_tag_reads_what_was(lake, catalog):
    table = make(catalog)
    commit = lake.resolve("main")
    lake.tag("v1", "main")
    table.append(APPS)
    assert [rows(open_catalog(lake, ref)) for ref in (commit, "v1", "main")] == [2, 2, 4]


@pytest.mark.parametrize("kind", ["tag", "commit"])
def test_a_tag_or_commit_refuses_every_write_and_stays_as_it_was(lake, catalog, kind):
    make(catalog)
    ref = lake.resolve("main")
    if kind == "tag":
        lake.tag("v1", "main")
        ref = "v1"
    old = open_catalog(lake, ref)
    table = old.load_table("marts.apps")
    for write in (
        lambda: table.append(APPS),
        lambda: table.transaction().set_properties(a="b").commit_transaction(),
        lambda: old.create_table("marts.new", APPS.schema),
        lambda: old.drop_table("marts.apps"),
        lambda: old.rename_table("marts.apps", "marts.new"),
        lambda: old.create_namespace("new"),
        lambda: old.register_table("marts.new", table.metadata_location),
    ):
        with pytest.raises(ReadOnlyError, match="no branch"):
            write()
    assert lake.resolve("main") == lake.resolve(ref)


def test_a_ref_that_is_not_there_is_said(lake):
    with pytest.raises(NotFoundError):
        open_catalog(lake, "nope").load_table("marts.apps")
    with pytest.raises(NotFoundError):
        open_catalog(lake, "nope").create_namespace("marts")


def test_a_catalog_without_a_lake_says_what_is_missing(tmp_path):
    with pytest.raises(NoSuchPropertyException, match="lake"):
        LakeCatalog("lake")
    with pytest.raises(NotFoundError):
        LakeCatalog("lake", lake=str(tmp_path / "nope")).list_namespaces()


def test_a_run_writes_its_own_branch_only_and_nothing_once_it_is_fenced(lake, catalog):
    make(catalog)
    open_run_branch(lake, Ownership("1", target="main", base=lake.resolve("main")), source="main")
    run = open_catalog(OwnedLake(lake, "1"), run_branch("1"))
    table = run.load_table("marts.apps")
    table.append(APPS)
    with pytest.raises(ReadOnlyError):
        open_catalog(OwnedLake(lake, "1"), "main").load_table("marts.apps").append(APPS)
    transition(lake, run_branch("1"), lambda owner: replace(owner, state="sealed"), message="seal")
    with pytest.raises(FencedError):
        table.append(APPS)
    assert (rows(run), rows(catalog)) == (4, 2)


# -- compare-and-swap -------------------------------------------------------------------------------------------------


def test_a_stale_table_is_refused_unless_its_change_still_holds(lake, catalog):
    make(catalog)
    first, second = catalog.load_table("marts.apps"), catalog.load_table("marts.apps")
    with first.update_schema() as change:
        change.add_column("a", StringType())
    with pytest.raises(CommitFailedException), second.update_schema() as change:
        change.add_column("b", StringType())
    second.refresh().append(APPS.append_column("a", pa.nulls(2, pa.string())))
    assert rows(catalog) == 4


def test_a_head_moved_by_others_does_not_disturb_a_commit(lake, catalog):
    table = make(catalog)
    moved = {"left": 3}
    commit = lake.commit

    class Busy:
        """The same lake, whose branch is moved by somebody else just before each of the first commits."""

        def __getattr__(self, name):
            return getattr(lake, name)

        def commit(self, branch, changes, **options):
            if moved["left"]:
                moved["left"] -= 1
                commit(branch, {f"noise/{moved['left']}": b"x"}, message="noise")
            return commit(branch, changes, **options)

    open_catalog(Busy(), "main").load_table("marts.apps").append(APPS)
    assert moved["left"] == 0
    assert rows(catalog) == 4
    metadata = folder(table) / "metadata"
    assert len(list(metadata.glob("*.metadata.json"))) == 3  # create, append, append: the retry wrote none anew


def test_an_append_onto_a_table_that_moved_is_rebuilt_on_it(lake, catalog):
    make(catalog)
    stale = catalog.load_table("marts.apps")
    catalog.load_table("marts.apps").append(APPS)
    stale.append(APPS)
    assert rows(catalog) == 6


def test_a_dropped_and_recreated_table_refuses_writers_of_the_old_one(catalog):
    old = make(catalog)
    catalog.drop_table("marts.apps")
    new = catalog.create_table("marts.apps", APPS.schema)
    assert new.metadata.location != old.metadata.location
    with pytest.raises((CommitFailedException, ValueError)):
        old.append(APPS)
    assert rows(catalog) == 0


# -- content ----------------------------------------------------------------------------------------------------------


def test_replacing_rows_by_equal_rows_makes_no_commit(lake, catalog):
    table = make(catalog)
    head = lake.resolve("main")
    table.overwrite(APPS.take([1, 0]))
    assert lake.resolve("main") == head
    table.overwrite(APPS.slice(0, 1))
    assert lake.resolve("main") != head
    assert rows(catalog) == 1


def test_an_append_and_a_property_are_commits_even_if_the_rows_are_equal(lake, catalog):
    table = make(catalog)
    head = lake.resolve("main")
    table.append(APPS.slice(0, 0))
    assert lake.resolve("main") != head
    head = lake.resolve("main")
    table.transaction().set_properties(owner="us").commit_transaction()
    assert lake.resolve("main") != head


def test_content_follows_rows_not_files_or_history(lake, catalog):
    make(catalog)
    other = catalog.create_table("marts.other", APPS.schema)
    other.append(APPS.slice(1, 1))
    other.append(pa.concat_tables([APPS, APPS]))
    other.delete("malware = 1")
    other.append(APPS.slice(1, 1))
    expected = content_of(lake, "main", "tables/marts/apps")
    assert content_of(lake, "main", "tables/marts/other") != expected
    other.overwrite(APPS.take([1, 0]))
    assert content_of(lake, "main", "tables/marts/other") == expected
    assert catalog.pointer("marts.other").rows == 2


@pytest.mark.parametrize("step", ["rename", "drop", "add", "widen", "move"])
def test_content_after_a_schema_change_is_that_of_the_same_rows_written_anew(catalog, step):
    table = make(catalog)
    before = catalog.pointer("marts.apps").content
    with table.update_schema(allow_incompatible_changes=True) as change:
        match step:
            case "rename":
                change.rename_column("malware", "label")
            case "drop":
                change.delete_column("malware")
            case "add":
                change.add_column("extra", StringType())
            case "widen":
                change.update_column("malware", LongType())
            case "move":
                change.move_first("malware")
    table.append(table.scan().to_arrow())
    changed = catalog.load_table("marts.apps").scan().to_arrow()
    make(catalog, "marts.anew", changed)
    assert catalog.pointer("marts.apps").content == catalog.pointer("marts.anew").content != before


def test_the_content_of_an_object_is_its_digest_and_of_a_folder_that_of_all_within(lake, catalog):
    make(catalog)
    head = lake.commit("main", {"raw/a/x": b"1", "raw/a/y": b"2", "raw/ab": b"3"}, message="raw")
    assert content_of(lake, "main", "raw/ab") == lake.stat("main", "raw/ab").sha256
    folder = content_of(lake, "main", "raw/a")
    lake.commit("main", {"raw/ab": b"4"}, message="a neighbour whose name starts alike")
    assert content_of(lake, "main", "raw/a") == folder
    lake.commit("main", {"raw/a/y": b"3"}, message="within")
    assert content_of(lake, "main", "raw/a") != folder == content_of(lake, head, "raw/a")
    with pytest.raises(NotFoundError):
        content_of(lake, "main", "raw/nope")
    tables = content_of(lake, "main", "tables/marts")
    catalog.load_table("marts.apps").append(APPS)
    assert content_of(lake, "main", "tables/marts") != tables


def test_a_pointer_says_what_the_table_is(lake, catalog):
    table = make(catalog)
    pointer = read_pointer(lake, "main", ("marts", "apps"))
    assert pointer is not None
    assert (pointer.rows, pointer.snapshot_id) == (2, table.current_snapshot().snapshot_id)
    assert (pointer.metadata_location, pointer.uuid) == (table.metadata_location, str(table.metadata.table_uuid))
    assert read_pointer(lake, "main", ("marts", "nope")) is None
