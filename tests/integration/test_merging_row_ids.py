"""Format version 3: branches number rows in ranges of their own, so that a merge can leave every row its id."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update import AddSnapshotUpdate, SetSnapshotRefUpdate

from dfp_platform.catalog import open_catalog
from dfp_platform.catalog.merging import merge_branches
from dfp_platform.catalog.row_ids import RANGE, first_of_own_range
from dfp_platform.errors import MergeConflictError
from dfp_platform.lake import Lake, open_lake
from tests.integration.table_histories import BY_PART, COLUMNS, TableHistory
from tests.serving_rest import Http, serving

APPS = "marts.apps"
IDS = itertools.count(1_000)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A table in format 3 with two rows on main, and a branch `work`."""
    made = open_lake(tmp_path / "lake", create=True)
    catalog = open_catalog(made)
    catalog.create_namespace("marts")
    catalog.create_table(APPS, COLUMNS, partition_spec=BY_PART, properties={"format-version": "3"})
    append(made, "main", 1, 2)
    made.create_branch("work")
    return made


def history(lake: Lake, ref: str) -> TableHistory:
    """The table at a ref, as a writer of format 3 loads it."""
    table = open_catalog(lake, ref).load_table(APPS)
    folder = Path(table.metadata.location.removeprefix("file://"))
    (folder / "data").mkdir(exist_ok=True)
    (folder / "metadata").mkdir(exist_ok=True)
    return TableHistory(table.metadata, folder, random.Random(1), IDS)


def commit(lake: Lake, branch: str, written: TableHistory) -> None:
    snapshot = written.metadata.current_snapshot()
    catalog = open_catalog(lake, branch)
    ref = SetSnapshotRefUpdate(ref_name=MAIN_BRANCH, type="branch", snapshot_id=snapshot.snapshot_id)
    catalog.commit_table(catalog.load_table(APPS), (), (AddSnapshotUpdate(snapshot=snapshot), ref))


def append(lake: Lake, branch: str, *ids: int) -> None:
    state = history(lake, branch)
    cells = [{"id": id_, "part": "a", "value": 0} for id_ in ids]
    state.commit(Operation.APPEND, state.write(cells))
    commit(lake, branch, state)


def rewrite(lake: Lake, branch: str, id_: int) -> None:
    """Copy-on-write: the file that holds a row, anew."""
    state = history(lake, branch)
    [file] = [file for file in state.data_files() if any(found["id"] == id_ for _, found in state.living(file, {}))]
    cells = [{**found, "value": found["value"] + 1} for _, found in state.living(file, {})]
    state.commit(Operation.OVERWRITE, state.write(cells), [file], lake__intent="rows")
    commit(lake, branch, state)


def row_ids(lake: Lake, ref: str) -> dict[int, int]:
    """The row id of each row, by its `id`."""
    state = history(lake, ref)
    return {
        found["id"]: file.first_row_id + position
        for file in state.data_files()
        for position, found in state.living(file, {})
    }


def next_row_id(lake: Lake, ref: str) -> int:
    return open_catalog(lake, ref).load_table(APPS).metadata.next_row_id


def merge(lake: Lake, source: str = "work", into: str = "main") -> None:
    merge_branches(lake, source, into, message="merge")


def test_rows_that_two_branches_wrote_and_rewrote_keep_their_ids_on_main(lake):
    lake.create_branch("other")
    for number, branch in enumerate(("work", "other"), start=1):
        append(lake, branch, 10 * number, 10 * number + 1)
        rewrite(lake, branch, 10 * number)
    before = {**row_ids(lake, "main"), **row_ids(lake, "work"), **row_ids(lake, "other")}
    merge(lake)
    merge(lake, "other")
    assert row_ids(lake, "main") == before
    assert len(set(before.values())) == 6
    assert next_row_id(lake, "main") > max(before.values())


def test_a_branch_that_goes_on_after_it_was_merged_keeps_its_numbering(lake):
    append(lake, "main", 5)
    append(lake, "work", 10)
    merge(lake)
    append(lake, "work", 11)
    rewrite(lake, "work", 10)
    append(lake, "main", 6)
    rewrite(lake, "main", 5)
    before = {**row_ids(lake, "main"), **row_ids(lake, "work")}
    merge(lake)
    assert row_ids(lake, "main") == before
    assert len(set(before.values())) == len(before) == 6
    append(lake, "main", 7)
    merge(lake, "main", "work")
    assert row_ids(lake, "work") == row_ids(lake, "main")


def test_ids_that_two_branches_gave_twice_are_still_found(lake, monkeypatch):
    from dfp_platform.catalog import row_ids as numbering

    monkeypatch.setattr(numbering, "first_of_own_range", lambda number, **_: number)
    for number, branch in ((10, "work"), (20, "main")):
        append(lake, branch, number)
        rewrite(lake, branch, number)
    with pytest.raises(MergeConflictError) as refused:
        merge(lake)
    assert {found.kind for found in refused.value.conflicts} == {"row-lineage"}


def test_rows_of_ids_given_twice_that_nobody_rewrote_get_new_ones(lake, monkeypatch):
    from dfp_platform.catalog import row_ids as numbering

    monkeypatch.setattr(numbering, "first_of_own_range", lambda number, **_: number)
    append(lake, "work", 10)
    append(lake, "main", 20)
    merge(lake)
    assert row_ids(lake, "main") == {1: 0, 2: 1, 20: 2, 10: 3}


def test_the_branch_that_numbered_last_counts_on_and_others_move_ahead(lake):
    assert next_row_id(lake, "main") == 2
    ahead = next_row_id(lake, "work")
    assert ahead % RANGE == 0 < ahead
    append(lake, "work", 10, 11)
    assert next_row_id(lake, "work") == ahead + 2
    assert next_row_id(lake, "main") == 2
    lake.tag("v1", "work")
    assert next_row_id(lake, "v1") == ahead + 2
    merge(lake)  # main takes the table as `work` has it
    assert next_row_id(lake, "main") > ahead + RANGE - 3
    assert next_row_id(lake, "work") == ahead + 2


def test_a_client_is_told_the_number_that_its_branch_goes_on_from(lake):
    with serving(lake) as uri:
        for branch in ("main", "work"):
            with Http(uri, branch) as http:
                told = http.done("GET", "/namespaces/marts/tables/apps")["metadata"]["next-row-id"]
            assert told == next_row_id(lake, branch)


def test_a_writer_that_numbers_as_another_branch_does_is_told_to_try_again(lake):
    state = history(lake, "main")
    state.commit(Operation.APPEND, state.write([{"id": 3, "part": "a", "value": 0}]))
    with pytest.raises(CommitFailedException, match="behind table next-row-id: 2 <"):
        commit(lake, "work", state)


def test_ranges_do_not_run_out():
    number, least = 0, 2**63
    for move in range(50_000):
        ahead = first_of_own_range(number, branch=f"run-{move}", table="t")
        assert number < ahead < 2**63
        least, number = min(least, ahead - number), ahead + 1_000
    assert least >= RANGE - 1_000
    assert number < 0.12 * 2**63, "fifty thousand moves take a tenth of all ids"
    last = 2**63 - 2**18 * RANGE
    assert first_of_own_range(last, branch="b", table="t") == last, "at the end it counts on"


def test_branches_of_one_state_land_apart_but_for_a_few():
    landed = {first_of_own_range(7, branch=f"run-{number}", table="t") for number in range(64)}
    assert len(landed) > 60  # two of 64 meet by a chance of one in four
