"""Branches of a lake whose tables changed on both sides, written by pyiceberg and by our own writers."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from dfp_platform.catalog import LakeCatalog, open_catalog, overwrite, overwrite_partitions, register_files, sum_rows
from dfp_platform.catalog.committing import pointer_for
from dfp_platform.catalog.merging import merge_branches, merged_tables
from dfp_platform.errors import MergeConflictError, StaleHeadError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.schemas import Conflict

APPS = "marts.apps"


def apps(*names: str, day: str = "mon") -> pa.Table:
    return pa.table({"app": list(names), "day": [day] * len(names)})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A table of apps by day on main, and a branch `work`."""
    made = open_lake(tmp_path / "lake", create=True)
    monday_and_tuesday = pa.concat_tables([apps("a", "b"), apps("c", "d", day="tue")])
    overwrite(open_catalog(made), APPS, monday_and_tuesday, partition=["day"])
    made.create_branch("work")
    return made


def on(lake: Lake, branch: str) -> LakeCatalog:
    return open_catalog(lake, branch)


def append(lake: Lake, branch: str, rows: pa.Table) -> None:
    on(lake, branch).load_table(APPS).append(rows)


def names(lake: Lake, ref: str = "main") -> list[str]:
    return sorted(on(lake, ref).load_table(APPS).scan().to_arrow()["app"].to_pylist())


def merge(lake: Lake, **options) -> str:
    return merge_branches(lake, "work", "main", message="merge work", **options)


def conflicts(lake: Lake, **options) -> list[Conflict]:
    before, counted = lake.resolve("main"), lake.operations.here()["merge"].outcomes["conflict"]
    with pytest.raises(MergeConflictError) as refused:
        merge(lake, **options)
    assert lake.resolve("main") == before
    assert lake.operations.here()["merge"].outcomes["conflict"] == counted + 1
    return refused.value.conflicts


def check_pointer(lake: Lake) -> None:
    """The merged pointer says what reading every row says."""
    pointer, table = on(lake, "main").loaded(APPS)
    assert pointer.rows_hash == sum_rows(table.scan().to_arrow()).to_text()
    assert pointer == pointer_for(table.metadata, pointer.metadata_location, table.io)


def test_rows_that_two_branches_appended_are_both_there_after_one_commit(lake):
    append(lake, "main", apps("m"))
    append(lake, "work", apps("w1", "w2"))
    append(lake, "work", apps("w3", day="wed"))
    before = lake.resolve("main")
    head = lake.show(merge(lake))
    assert head.parents == (before, lake.resolve("work"))
    assert names(lake) == ["a", "b", "c", "d", "m", "w1", "w2", "w3"]
    check_pointer(lake)


def test_a_merge_is_one_snapshot_that_says_what_it_brought(lake):
    append(lake, "main", apps("m"))
    append(lake, "work", apps("w1"))
    append(lake, "work", apps("w2"))
    brought = [snapshot.snapshot_id for snapshot in on(lake, "work").load_table(APPS).snapshots()[-2:]]
    ours = on(lake, "main").load_table(APPS).current_snapshot()
    merge(lake)
    merged = on(lake, "main").load_table(APPS).current_snapshot()
    assert merged.parent_snapshot_id == ours.snapshot_id
    assert merged.sequence_number == ours.sequence_number + 1
    assert merged.summary.operation.value == "append"
    assert merged.summary["lake.merged-snapshots"] == ",".join(map(str, brought))
    assert (merged.summary["added-records"], merged.summary["total-records"]) == ("2", "7")


def test_rows_deleted_on_one_side_and_appended_on_the_other(lake):
    on(lake, "work").load_table(APPS).delete("app = 'a'", snapshot_properties={"lake.intent": "rows"})
    append(lake, "main", apps("m"))
    append(lake, "main", apps("n", day="tue"))
    merge(lake)
    assert names(lake) == ["b", "c", "d", "m", "n"]
    check_pointer(lake)


def test_a_delete_that_does_not_say_rows_and_left_no_file_of_a_partition_counts_as_its_replacement(lake):
    on(lake, "work").load_table(APPS).delete("app = 'a'")
    append(lake, "main", apps("m"))
    assert {conflict.kind for conflict in conflicts(lake)} == {"partition-replaced"}


def test_work_goes_on_after_a_merge_and_is_merged_again_in_both_directions(lake):
    append(lake, "main", apps("m1"))
    append(lake, "work", apps("w1"))
    merge(lake)
    append(lake, "main", apps("m2"))
    append(lake, "work", apps("w2"))
    merge(lake)
    assert names(lake) == ["a", "b", "c", "d", "m1", "m2", "w1", "w2"]
    on(lake, "work").load_table(APPS).delete("app = 'c'")
    append(lake, "main", apps("m3"))
    merge_branches(lake, "main", "work", message="catch up")
    assert names(lake, "work") == ["a", "b", "d", "m1", "m2", "m3", "w1", "w2"]
    append(lake, "main", apps("m4"))
    merge(lake)
    assert names(lake) == ["a", "b", "d", "m1", "m2", "m3", "m4", "w1", "w2"]
    check_pointer(lake)


def test_a_column_added_on_one_side_and_rows_on_the_other(lake):
    table = on(lake, "work").load_table(APPS)
    with table.update_schema() as update:
        update.add_column("size", LongType())
    on(lake, "work").load_table(APPS).append(apps("w").append_column("size", pa.array([7])))
    append(lake, "main", apps("m"))
    merge(lake)
    rows = on(lake, "main").load_table(APPS).scan().to_arrow()
    found = {row["app"]: row["size"] for row in rows.to_pylist()}
    assert found == {"a": None, "b": None, "c": None, "d": None, "m": None, "w": 7}
    check_pointer(lake)


def test_a_column_renamed_on_one_side_is_hashed_anew(lake):
    with on(lake, "work").load_table(APPS).update_schema() as update:
        update.rename_column("app", "package")
    append(lake, "main", apps("m"))
    merge(lake)
    assert "package" in on(lake, "main").load_table(APPS).schema().column_names
    check_pointer(lake)


def test_the_same_row_removed_on_both_sides_is_a_conflict_that_names_partition_and_file(lake):
    for branch, other in (("main", "b"), ("work", "c")):
        on(lake, branch).load_table(APPS).delete(f"app in ('a', '{other}')")
    found = next(conflict for conflict in conflicts(lake) if conflict.kind == "file-both")
    assert (found.path, found.table, found.partition) == ("tables/marts/apps", APPS, "day=mon")
    [file] = found.files
    assert Path(file.removeprefix("file://")).exists()


def test_an_append_to_a_partition_that_the_other_side_replaced_is_a_conflict(lake):
    overwrite_partitions(on(lake, "work"), APPS, apps("new"))
    append(lake, "main", apps("m"))
    assert {(conflict.kind, conflict.partition) for conflict in conflicts(lake)} == {("partition-replaced", "day=mon")}


def test_partitions_replaced_apart_go_together(lake):
    overwrite_partitions(on(lake, "work"), APPS, apps("new"))
    on(lake, "main").load_table(APPS).dynamic_partition_overwrite(apps("m", day="tue"))
    merge(lake)
    assert names(lake) == ["m", "new"]
    check_pointer(lake)


def test_a_new_partition_that_both_sides_wrote_whole_is_a_conflict(lake):
    for branch in ("main", "work"):
        overwrite_partitions(on(lake, branch), APPS, apps(branch, day="wed"))
    assert {(conflict.kind, conflict.partition) for conflict in conflicts(lake)} == {("partition-replaced", "day=wed")}


def test_writing_equal_partitions_makes_no_commit(lake):
    assert not overwrite_partitions(on(lake, "work"), APPS, apps("b", "a")).changed
    written = overwrite_partitions(on(lake, "work"), APPS, apps("only", day="tue"))
    assert (written.changed, written.rows) == (True, 3)
    assert names(lake, "work") == ["a", "b", "only"]


def test_a_table_rebuilt_on_one_side_takes_no_rows_of_the_other(lake):
    overwrite(on(lake, "work"), APPS, apps("all", "anew"))
    append(lake, "main", apps("m", day="wed"))
    assert "partition-replaced" in {conflict.kind for conflict in conflicts(lake)}


def test_an_empty_table_rebuilt_on_both_sides_does_not_hold_both(tmp_path):
    lake = open_lake(tmp_path / "other", create=True)
    overwrite(open_catalog(lake), APPS, apps("x").slice(1))
    lake.create_branch("work")
    overwrite(on(lake, "work"), APPS, apps("x"))
    overwrite(on(lake, "main"), APPS, apps("y"))
    assert {conflict.kind for conflict in conflicts(lake)} == {"partition-replaced"}


def test_a_table_rebuilt_equally_on_both_sides_is_no_conflict(lake):
    for branch in ("main", "work"):
        overwrite(on(lake, branch), APPS, apps("all", "anew"))
    merge(lake)
    assert names(lake) == ["all", "anew"]


def test_columns_changed_apart_are_a_conflict(lake):
    for branch, column in (("main", "size"), ("work", "count")):
        with on(lake, branch).load_table(APPS).update_schema() as update:
            update.add_column(column, LongType())
    assert {conflict.kind for conflict in conflicts(lake)} == {"schema"}


def test_properties_are_merged_key_by_key(lake):
    for branch, other in (("main", "work"), ("work", "main")):
        on(lake, branch).load_table(APPS).transaction().set_properties({f"of-{branch}": "yes"}).commit_transaction()
        assert f"of-{other}" not in on(lake, branch).load_table(APPS).properties
    merge(lake)
    properties = on(lake, "main").load_table(APPS).properties
    assert (properties["of-main"], properties["of-work"]) == ("yes", "yes")
    for branch in ("main", "work"):
        on(lake, branch).load_table(APPS).transaction().set_properties({"owner": branch}).commit_transaction()
    assert {conflict.kind for conflict in conflicts(lake)} == {"property"}


def test_the_same_key_added_on_both_sides_is_a_conflict(tmp_path):
    lake = open_lake(tmp_path / "keyed", create=True)
    schema = Schema(
        NestedField(1, "app", StringType(), required=True),
        NestedField(2, "size", LongType(), required=False),
        identifier_field_ids=[1],
    )
    open_catalog(lake).create_namespace("marts")
    table = open_catalog(lake).create_table(APPS, schema)
    lake.create_branch("work")
    arrow = table.schema().as_arrow()
    for branch, rows in (("main", ["m", "same"]), ("work", ["w", "same"])):
        append(lake, branch, pa.Table.from_pylist([{"app": name, "size": 1} for name in rows], schema=arrow))
    [found] = conflicts(lake)
    assert found.kind == "identifier-key"
    assert "same" in found.detail


def test_one_side_of_a_table_can_be_taken_whole(lake):
    for branch in ("main", "work"):
        on(lake, branch).load_table(APPS).delete("app = 'a'")
        append(lake, branch, apps(branch))
    merge(lake, prefer={APPS: "theirs"})
    assert names(lake) == ["b", "c", "d", "work"]


def test_a_table_dropped_on_one_side_and_changed_on_the_other_is_a_conflict(lake):
    on(lake, "main").drop_table(APPS)
    append(lake, "work", apps("w"))
    [found] = conflicts(lake)
    assert (found.kind, found.detail) == ("table", "dropped on main, changed on work")


def test_tables_of_one_name_that_were_created_apart_are_a_conflict(lake):
    for branch in ("main", "work"):
        overwrite(on(lake, branch), "marts.young", apps(branch))
    assert [(conflict.table, conflict.kind) for conflict in conflicts(lake)] == [("marts.young", "table")]


def test_files_registered_on_one_side_take_no_rows_of_the_other(lake, tmp_path):
    import pyarrow.parquet as pq

    for name in ("one", "two", "three"):
        pq.write_table(apps(name), tmp_path / f"{name}.parquet")
    first, second, third = (str(tmp_path / f"{name}.parquet") for name in ("one", "two", "three"))
    register_files(on(lake, "main"), "raw.apps", [first])
    lake.create_branch("more", "main")
    register_files(on(lake, "main"), "raw.apps", [first, second])
    register_files(on(lake, "more"), "raw.apps", [first, third])
    with pytest.raises(MergeConflictError, match="partition-replaced"):
        merge_branches(lake, "more", "main", message="merge")


def test_a_target_that_moved_meanwhile_is_merged_with_again(lake):
    append(lake, "work", apps("w"))
    append(lake, "main", apps("m"))
    head = lake.resolve("main")
    resolved = merged_tables(lake, "work", "main")
    append(lake, "main", apps("later"))
    with pytest.raises(StaleHeadError):
        lake.merge("work", "main", message="too late", expect=head, resolved=resolved)
    with pytest.raises(StaleHeadError):
        merge(lake, expect=head)
    merge(lake)
    assert names(lake) == ["a", "b", "c", "d", "later", "m", "w"]


def test_many_branches_that_race_into_one_table_all_land(lake):
    work = [f"work-{number}" for number in range(8)]
    for name in work:
        lake.create_branch(name)
        append(lake, name, apps(name, day=name))
    failed: list[BaseException] = []

    def land(name: str) -> None:
        try:
            merge_branches(open_lake(lake.uri), name, message=f"merge {name}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=land, args=(name,)) for name in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert Counter(names(lake)) == Counter(["a", "b", "c", "d", *work])
    check_pointer(lake)


def test_other_objects_that_both_changed_are_still_conflicts(lake):
    append(lake, "work", apps("w"))
    append(lake, "main", apps("m"))
    for branch in ("main", "work"):
        lake.commit(branch, {"raw/note": branch.encode()}, message="note")
    assert [conflict.path for conflict in conflicts(lake)] == ["raw/note"]
    merge(lake, resolved={"raw/note": b"both"})
    assert names(lake) == ["a", "b", "c", "d", "m", "w"]
