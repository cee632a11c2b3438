"""Branches that merged one another have two merge bases. Tables are merged by one, yet no row is doubled or lost."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.merging import merge_branches
from dfp_platform.catalog.merging.tables import Branch, MergedTable, merge_table
from dfp_platform.errors import MergeConflictError
from dfp_platform.lake import Lake, open_lake
from tests.integration.table_histories import TableHistory, new_table, scanned
from tests.integration.test_merging_histories import merged_rows

APPS = "marts.apps"
CASES, CASES_TO_A_TEST = 60, 15


def append(lake: Lake, branch: str, *names: str) -> None:
    rows = pa.table({"app": list(names), "day": ["mon"] * len(names)})
    open_catalog(lake, branch).load_table(APPS).append(rows)


def delete(lake: Lake, branch: str, name: str) -> None:
    table = open_catalog(lake, branch).load_table(APPS)
    table.delete(f"app = '{name}'", snapshot_properties={"lake.intent": "rows"})


def names(lake: Lake, ref: str = "main") -> list[str]:
    return sorted(open_catalog(lake, ref).load_table(APPS).scan().to_arrow()["app"].to_pylist())


def merge(lake: Lake, **options) -> str:
    return merge_branches(lake, "work", "main", message="merge work", **options)


@pytest.fixture
def crossed(tmp_path: Path) -> Lake:
    """Each of main and work appended a file of two rows, and then took that of the other."""
    lake = open_lake(tmp_path / "lake", create=True)
    overwrite(open_catalog(lake), APPS, pa.table({"app": ["a"], "day": ["mon"]}))
    lake.create_branch("work")
    append(lake, "main", "m1", "m2")
    append(lake, "work", "w1", "w2")
    before = lake.resolve("main")
    merge(lake)
    merge_branches(lake, before, "work", message="catch up")
    assert names(lake) == names(lake, "work") == ["a", "m1", "m2", "w1", "w2"]
    return lake


def test_branches_that_merged_one_another_and_hold_equal_rows_merge_and_are_one_line_again(crossed):
    merge(crossed)
    merge_branches(crossed, "main", "work", message="back")
    append(crossed, "main", "m3")
    append(crossed, "work", "w3")
    merge(crossed)
    assert names(crossed) == ["a", "m1", "m2", "m3", "w1", "w2", "w3"]


@pytest.mark.parametrize("changing", ["main", "work"])
def test_a_row_of_the_other_side_rewritten_after_a_criss_cross_is_not_doubled(crossed, changing):
    """Seen from either base, one side added a file and the other one that holds the same rows."""
    for name in ("m1", "w1"):
        delete(crossed, changing, name)
    append(crossed, "main" if changing == "work" else "work", "later")
    with pytest.raises(MergeConflictError) as refused:
        merge(crossed)
    assert "criss-cross" in {found.kind for found in refused.value.conflicts}
    merge(crossed, prefer={APPS: "theirs"})
    assert names(crossed) == names(crossed, "work")


def crossed_case(folder: Path, seed: int) -> str:
    chance, ids = random.Random(seed), itertools.count(1)
    base = new_table(folder, chance, ids, version=chance.choice((2, 3)))
    base.act(2)
    ours, theirs = base.branch(), base.branch()
    ours.act(chance.randint(1, 2))
    theirs.act(chance.randint(1, 2))
    both = [merge_states(base, one, other) for one, other in ((ours, theirs), (theirs, ours))]
    if not all(isinstance(found, MergedTable) for found in both):
        return "not crossed"
    rows = merged_rows(base.rows, ours.rows, theirs.rows)
    one, other = (continued(side, found.metadata, rows) for side, found in zip((ours, theirs), both, strict=True))
    found = merge_states(chance.choice((ours, theirs)), one, other)
    if isinstance(found, list):
        return "conflict"
    assert scanned(base, found.metadata) == merged_rows(rows, one.rows, other.rows), (seed, one.done, other.done)
    return "merged"


def merge_states(base: TableHistory, ours: TableHistory, theirs: TableHistory):
    return merge_table(base.io, base.metadata, Branch("main", ours.metadata), Branch("work", theirs.metadata))


def continued(side: TableHistory, metadata, rows: Counter) -> TableHistory:
    young = side.branch()
    young.metadata, young.rows = metadata, Counter(rows)
    young.act(young.chance.randint(1, 2))
    return young


@pytest.mark.parametrize("first", range(0, CASES, CASES_TO_A_TEST))
def test_whatever_was_crossed_is_refused_or_holds_each_row_once(first, tmp_path):
    outcomes = Counter(crossed_case(tmp_path / str(seed), seed) for seed in range(first, first + CASES_TO_A_TEST))
    assert outcomes["conflict"] >= CASES_TO_A_TEST // 4, outcomes
