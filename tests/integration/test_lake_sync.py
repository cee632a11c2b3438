"""`sync`: one lake's history in another, commit by commit, with files and tables, and back."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.syncing import sync_lakes
from dfp_platform.catalog.verification import table_damages
from dfp_platform.errors import MergeConflictError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.lake.ownership import OWNER_PATH, Ownership, open_run_branch, run_branch
from dfp_platform.settings import settings
from tests.contract.lakes import contents
from tests.garbage import age, numbers, rows, swept
from tests.unit.test_cli_lake import Dfp, dfp

__all__ = ["dfp"]

BIG = b"big" * 500_000


@pytest.fixture
def source(tmp_path: Path) -> Lake:
    return filled(open_lake(tmp_path / "source", create=True))


def filled(lake: Lake) -> Lake:
    """Tables, a published run, a merge settled by hand, an open branch, a tag."""
    lake.commit("main", {"raw/big.bin": BIG, "small": b"1", "both": b"0"}, message="first", metadata={"run": "r0"})
    overwrite(open_catalog(lake), "marts.apps", rows(1))
    open_run_branch(lake, Ownership(run_id="r1", target="main", base=lake.resolve("main")), source="main")
    overwrite(open_catalog(lake, run_branch("r1")), "marts.apps", rows(1, 2))
    lake.merge(run_branch("r1"), message="publish r1", resolved={OWNER_PATH: None}, metadata={"run": "r1"})
    lake.delete_branch(run_branch("r1"))
    lake.create_branch("side")
    lake.commit("side", {"both": b"side", "only-side": b"x", "dropped": b"x"}, message="side")
    lake.commit("main", {"both": b"main", "small": None}, message="main goes on")
    lake.tag("v1", "main")
    lake.merge("side", message="by hand", resolved={"both": b"hand", "dropped": None})
    lake.create_branch("open")
    lake.commit("open", {"waiting": b"1"}, message="waiting")
    return lake


def states(lake: Lake) -> dict[str, dict[str, bytes]]:
    return {ref: contents(lake, ref) for ref in [*lake.branches(), *lake.tags()]}


def test_every_ref_holds_the_same_in_the_copy_and_its_history_has_the_same_shape(source: Lake, tmp_path: Path) -> None:
    target = open_lake(tmp_path / "target", create=True)
    done = sync_lakes(source, target)
    assert states(target) == states(source)
    assert (done.branches, done.tags, done.diverged) == (("main", "open", "side"), ("v1",), ())
    ours, theirs = list(source.log("open")), list(target.log("open"))
    assert sorted(commit.message for commit in theirs) == sorted(commit.message for commit in ours)
    origins = {commit.id: commit.metadata.get("origin", ours[-1].id) for commit in theirs}
    parents = {commit.id: commit.parents for commit in ours}
    for commit in theirs:
        assert tuple(origins[parent] for parent in commit.parents) == parents[origins[commit.id]]
    assert next(c for c in theirs if c.message == "publish r1").metadata["run"] == "r1"


def test_a_second_sync_brings_only_what_is_new_and_nothing_twice(source: Lake, tmp_path: Path) -> None:
    target = open_lake(tmp_path / "target", create=True)
    sync_lakes(source, target)
    heads = target.branches()
    assert sync_lakes(source, target).commits == 0
    assert target.branches() == heads
    source.commit("main", {"new": b"1"}, message="new")
    source.create_branch("young", "v1")
    done = sync_lakes(source, target)
    assert (done.commits, done.branches) == (1, ("main", "young"))
    assert states(target) == states(source)


def test_tables_are_read_from_the_copy_and_survive_the_source(source: Lake, tmp_path: Path) -> None:
    target = open_lake(tmp_path / "target", create=True)
    sync_lakes(source, target)
    Path(source.uri).rename(tmp_path / "away")
    again = open_lake(target.uri)
    assert (numbers(again, "main"), numbers(again, "v1")) == ([1, 2], [1, 2])
    overwrite(open_catalog(again), "marts.apps", rows(3))
    age(again)
    swept(again)
    assert numbers(again, "main") == [3]
    assert [*again.verify(), *table_damages(again)] == []


def test_a_copy_of_a_copy_needs_neither_of_the_lakes_before_it(source: Lake, tmp_path: Path) -> None:
    between, target = (open_lake(tmp_path / name, create=True) for name in ("between", "target"))
    sync_lakes(source, between)
    sync_lakes(between, target)
    for lake in (source, between):
        Path(lake.uri).rename(f"{lake.uri}-away")
    assert (numbers(open_lake(target.uri), "main"), numbers(open_lake(target.uri), "v1")) == ([1, 2], [1, 2])


def test_what_the_copy_wrote_comes_back(source: Lake, tmp_path: Path) -> None:
    target = open_lake(tmp_path / "target", create=True)
    sync_lakes(source, target)
    overwrite(open_catalog(target), "marts.apps", rows(7))
    target.commit("main", {"there": b"1"}, message="written there")
    done = sync_lakes(target, source)
    assert (done.commits, done.diverged) == (2, ())
    assert numbers(open_lake(source.uri), "main") == [7]
    assert states(source) == states(target)
    assert [*source.verify(), *table_damages(source)] == []
    assert sync_lakes(source, target).commits == 0


def test_a_branch_on_which_both_went_on_is_left_alone_and_named(
    source: Lake, tmp_path: Path, dfp: Dfp, monkeypatch
) -> None:
    target = open_lake(tmp_path / "target", create=True)
    sync_lakes(source, target)
    source.commit("main", {"here": b"1"}, message="here")
    target.commit("main", {"there": b"1"}, message="there")
    monkeypatch.setenv("DFP_LAKE", target.uri)
    settings.cache_clear()
    code, said, told = dfp("lake", "sync", source.uri, "--json")
    settings.cache_clear()
    assert (code, json.loads(said)["diverged"]) == (1, ["main"])
    assert "left alone" in told
    assert not target.exists("main", "here")


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_are_equal_at_every_ref(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source, target = open_lake(tmp_path / "source", create=True), open_lake(tmp_path / "target", create=True)
    for step in range(60):
        branches = sorted(source.branches())
        branch = chance.choice(branches)
        if chance.random() < 0.15:
            source.create_branch(f"b{step}", branch)
        elif chance.random() < 0.3:
            other = chance.choice(branches)
            try:
                source.merge(other, branch, message=f"merge {step}")
            except MergeConflictError as conflict:
                paths = {found.path: b"%d" % step for found in conflict.conflicts}
                source.merge(other, branch, message=f"merge {step}", resolved=paths)
        else:
            changes = {f"p{chance.randrange(5)}": chance.choice([None, b"1", b"2"]) for _ in range(2)}
            source.commit(branch, changes, message=f"commit {step}")
        if step % 20 == 19:
            assert sync_lakes(source, target).diverged == ()
            assert states(target) == states(source)
