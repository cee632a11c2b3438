"""Merged tables against an oracle by row identity: base, minus rows removed on either side, plus rows added on either.

Every case is a random history of two branches. `make conformance-merge` runs thousands.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest
from pyiceberg.io import FileIO
from pyiceberg.table.metadata import TableMetadata

from dfp_platform.catalog.merging.tables import Branch, MergedTable, merge_table
from dfp_platform.catalog.row_ids import numbered_by
from dfp_platform.schemas import Conflict
from tests.integration.table_histories import TableHistory, new_table, part_of, scanned

CASES, CASES_TO_A_TEST = 200, 20


def merged_rows(base: Counter, ours: Counter, theirs: Counter) -> Counter:
    """The oracle."""
    kept = base - (base - ours) - (base - theirs)
    return kept + (ours - base) + (theirs - base)


def must_conflict(base: TableHistory, one: TableHistory, other: TableHistory) -> str:
    """Why these must not merge. What replaced a partition silently is known only where the base had files in it."""
    if (base.rows - one.rows) & (base.rows - other.rows):
        return "the same row was removed on both sides"
    there = {file.file.partition[0] for file in base.data_files()}
    for replacing, adding in ((one, other), (other, one)):
        replaced = replacing.replaced | (replacing.emptied & there)
        if any(part_of(found) in replaced for found in adding.rows - base.rows):
            return "a partition was replaced here and added to there"
    return ""


def check_totals(history: TableHistory, metadata: TableMetadata) -> None:
    state = TableHistory(metadata, history.folder, history.chance, history.ids)
    files = state.files()
    snapshot = metadata.current_snapshot()
    if snapshot is None:
        return
    totals = snapshot.summary.additional_properties
    data = [file for file in files if file.is_data]
    deletes = [file for file in files if not file.is_data]
    assert totals["total-data-files"] == str(len(data))
    assert totals["total-records"] == str(sum(file.file.record_count for file in data))
    assert totals["total-delete-files"] == str(len(deletes))
    if metadata.format_version == 3:
        check_row_ids(data, deletes, metadata)


def check_row_ids(data: list, deletes: list, metadata: TableMetadata) -> None:
    spans = sorted((file.first_row_id, file.first_row_id + file.file.record_count) for file in data)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert not spans or spans[-1][1] <= metadata.next_row_id
    referenced = [file.referenced for file in deletes]
    assert len(set(referenced)) == len(referenced), "two vectors of one data file"


def merge(base: TableHistory, ours: TableHistory, theirs: TableHistory) -> MergedTable | list[Conflict]:
    return merge_table(base.io, base.metadata, Branch("main", ours.metadata), Branch("work", theirs.metadata))


def run_case(folder: Path, seed: int) -> str:
    """One history; what became of it: merged, needless (a conflict the oracle does not ask for) or conflict."""
    chance, ids = random.Random(seed), itertools.count(1)
    base = new_table(folder, chance, ids, version=chance.choice((1, 2, 2, 2, 3, 3, 3)))
    base.act(chance.randint(1, 4))
    ours, theirs = base.branch(), base.branch()
    apart = seed % 2 == 0
    if apart:  # as the catalog has it: each side numbers rows in a range of its own
        theirs.metadata = numbered_by("work", theirs.metadata, last="main")
    for _ in range(chance.choice((1, 1, 2))):
        ours.act(chance.randint(1, 3))
        theirs.act(chance.randint(1, 3))
        outcome, merged = judge(base, ours, theirs, seed)
        if apart:
            check_ids_stay(ours, theirs, merged)
        if merged is None:
            return outcome
        # work goes on, on both sides: what was merged now is the base of the next merge
        base, after = theirs, merged_rows(base.rows, ours.rows, theirs.rows)
        ours, theirs = ours.branch(), theirs.branch()
        ours.metadata, ours.rows = merged.metadata, after
        if apart:
            ours.metadata = numbered_by("main", ours.metadata, last="")
    return outcome


def check_ids_stay(ours: TableHistory, theirs: TableHistory, merged: MergedTable | None) -> None:
    """Where branches number apart, each data file has the row ids that it had on the branch it is from."""
    if merged is None:
        return
    state = TableHistory(merged.metadata, ours.folder, ours.chance, ours.ids)
    before = {file.path: file.first_row_id for side in (theirs, ours) for file in side.data_files()}
    for file in state.data_files():
        assert file.first_row_id == before.get(file.path, file.first_row_id)


def judge(base: TableHistory, ours: TableHistory, theirs: TableHistory, seed: int) -> tuple[str, MergedTable | None]:
    found = merge(base, ours, theirs)
    why = must_conflict(base, ours, theirs)
    story = f"seed {seed}: {ours.done} against {theirs.done}"
    if isinstance(found, list):
        assert found, story
        return ("conflict" if why else "needless"), None
    assert not why, f"{story}: missed conflict: {why}"
    assert scanned(base, found.metadata) == merged_rows(base.rows, ours.rows, theirs.rows), story
    check_totals(base, found.metadata)
    return "merged", found


def merged_state(folder: Path, seed: int) -> tuple[FileIO, TableMetadata, Counter] | None:
    """A random history merged once, with the rows it must hold; None where it conflicts."""
    chance, ids = random.Random(seed), itertools.count(1)
    base = new_table(folder, chance, ids, version=chance.choice((1, 2, 3)))
    base.act(chance.randint(1, 4))
    ours, theirs = base.branch(), base.branch()
    for side in (ours, theirs):
        side.act(chance.randint(1, 3))
    _, found = judge(base, ours, theirs, seed)
    return (base.io, found.metadata, merged_rows(base.rows, ours.rows, theirs.rows)) if found else None


def run_cases(folder: Path, seeds: range) -> Counter:
    return Counter(run_case(folder / str(seed), seed) for seed in seeds)


@pytest.mark.parametrize("first", range(0, CASES, CASES_TO_A_TEST))
def test_merged_rows_are_those_of_the_base_less_what_either_side_removed_plus_what_either_added(first, tmp_path):
    outcomes = run_cases(tmp_path, range(first, first + CASES_TO_A_TEST))
    assert outcomes["merged"] >= CASES_TO_A_TEST // 4, outcomes
