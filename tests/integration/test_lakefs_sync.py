"""`sync` between folders and lakeFS, in both directions; and the ids that commits had in the lake they came from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfp_platform.catalog import open_catalog, overwrite, syncing
from dfp_platform.catalog.syncing import sync_lakes
from dfp_platform.catalog.verification import table_damages
from dfp_platform.errors import NotFoundError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import settings
from tests.contract.lakes import put
from tests.garbage import numbers, rows, swept
from tests.integration.test_lake_sync import filled, states
from tests.lakefs_double.places import new_repository, use_lakefs
from tests.unit.test_cli_lake import Dfp, dfp

pytestmark = pytest.mark.slow  # make conformance-lakefs

__all__ = ["dfp"]

WAYS = [("folder", "lakefs"), ("lakefs", "folder"), ("lakefs", "lakefs")]


@pytest.fixture(autouse=True)
def _server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_lakefs(monkeypatch, tmp_path)
    yield
    settings.cache_clear()


@pytest.fixture(params=WAYS, ids=lambda way: "-to-".join(way))
def lakes(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Lake, Lake]:
    """A lake with tables and history, and an empty one."""
    source, target = (lake(kind, tmp_path / str(place)) for place, kind in enumerate(request.param))
    return filled(source), target


def lake(kind: str, folder: Path) -> Lake:
    return open_lake(folder if kind == "folder" else new_repository(), create=True)


def lose_files(lake: Lake) -> None:
    """Nothing of a lake's table files is left."""
    shutil.rmtree(Path(lake.warehouse).parent)


def copies(source: Lake, target: Lake) -> dict[str, str]:
    """By the id of each commit with tables in the source: its copy, with the same rows."""
    brought = {c.metadata.get("origin"): c.id for ref in target.branches() for c in target.log(ref)}
    tables = [c for ref in source.branches() for c in source.log(ref) if source.exists(c.id, "tables/marts/apps")]
    return {commit.id: brought[commit.id] for commit in tables}


def test_tables_of_every_commit_are_read_in_the_copy_alone(lakes: tuple[Lake, Lake]) -> None:
    source, target = lakes
    wanted = {commit.id: numbers(source, commit.id) for ref in ("main", "open") for commit in with_table(source, ref)}
    done = sync_lakes(source, target)
    assert (done.branches, done.tags, done.diverged) == (("main", "open", "side"), ("v1",), ())
    assert states(target) == states(source)
    pairs = copies(source, target)
    lose_files(source)
    again = open_lake(target.uri)
    assert {origin: numbers(again, pairs[origin]) for origin in wanted} == wanted
    assert [*again.verify(), *table_damages(again)] == []
    overwrite(open_catalog(again), "marts.apps", rows(3))
    swept(again)
    assert (numbers(again, "main"), numbers(again, "v1")) == ([3], [1, 2])


def with_table(lake: Lake, ref: str) -> list:
    return [commit for commit in lake.log(ref) if lake.exists(commit.id, "tables/marts/apps")]


def test_an_interrupted_sync_goes_on_where_it_was(lakes: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = lakes
    copied, brought = syncing._copied, []

    def stop_after_three(copy):
        if len(brought) >= 3:
            raise KeyboardInterrupt
        brought.append(copy.place)
        return copied(copy)

    with monkeypatch.context() as stopping:
        stopping.setattr(syncing, "_copied", stop_after_three)
        with pytest.raises(KeyboardInterrupt):
            sync_lakes(source, target)
    assert target.branches().keys() == {"main"}
    inodes = {place: Path(place).stat().st_ino for place in brought}
    assert sync_lakes(source, open_lake(target.uri)).diverged == ()
    assert {place: Path(place).stat().st_ino for place in brought} == inodes
    assert states(target) == states(source)
    assert table_damages(open_lake(target.uri)) == []
    assert sync_lakes(source, target).commits == 0


def test_what_the_copy_wrote_comes_back_with_its_tables(lakes: tuple[Lake, Lake]) -> None:
    source, target = lakes
    sync_lakes(source, target)
    overwrite(open_catalog(open_lake(target.uri)), "marts.apps", rows(7))
    overwrite(open_catalog(open_lake(target.uri)), "marts.born_there", rows(8))
    done = sync_lakes(target, source)
    assert done.diverged == ()
    lose_files(target)
    again = open_lake(source.uri)
    assert (numbers(again, "main"), numbers(again, "main", "marts.born_there")) == ([7], [8])
    assert [*again.verify(), *table_damages(again)] == []


def test_a_copy_by_way_of_lakefs_needs_neither_of_the_lakes_before_it(tmp_path: Path) -> None:
    source, between, target = (lake(kind, tmp_path / f"{n}") for n, kind in enumerate(("folder", "lakefs", "folder")))
    filled(source)
    sync_lakes(source, between)
    overwrite(open_catalog(open_lake(between.uri)), "marts.apps", rows(5))
    sync_lakes(open_lake(between.uri), target)
    lose_files(source)
    lose_files(between)
    again = open_lake(target.uri)
    assert (numbers(again, "main"), numbers(again, "v1")) == ([5], [1, 2])
    assert [*again.verify(), *table_damages(again)] == []


# -- ids --------------------------------------------------------------------------------------------------------------


def test_a_commit_goes_by_its_id_in_the_lake_it_came_from_too(lakes: tuple[Lake, Lake]) -> None:
    source, target = lakes
    sync_lakes(source, target)
    tagged = source.resolve("v1")
    for ref in (tagged, tagged[:12]):
        assert target.resolve(ref) == target.resolve("v1")
        assert open_lake(target.uri).show(ref).metadata["origin"] == tagged
    assert list(target.log(tagged)) == list(target.log("v1"))
    assert list(target.diff(tagged, "main")) == list(target.diff("v1", "main"))
    assert target.create_branch("again", tagged) == target.tag("once-more", tagged) == target.resolve("v1")
    wrong = put(source, wrong=b"1")
    sync_lakes(source, target)
    assert target.merge(wrong, "again", message="by its id") == target.resolve("again")
    assert target.exists("again", "wrong")
    target.revert("main", wrong)
    assert not target.exists("main", "wrong")
    for unknown in ("0" * 40, "0" * 64, "abcdef0"):
        with pytest.raises(NotFoundError):
            target.resolve(unknown)


def test_history_is_walked_once_to_find_such_ids(lakes: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = lakes
    sync_lakes(source, target)
    looked = []
    again = open_lake(target.uri)
    index = again._origins if hasattr(again, "_origins") else again._refs._origins
    look = index._look
    monkeypatch.setattr(index, "_look", lambda commit: looked.append(commit) or look(commit))
    again.resolve(source.resolve("v1"))
    assert set(looked) == {commit.id for ref in again.branches() for commit in again.log(ref)}
    assert len(looked) == len(set(looked))
    looked.clear()
    again.resolve(source.resolve("open"))
    assert looked == []
    made = put(source, "open", more=b"1")
    sync_lakes(source, target)
    assert again.resolve(made) == target.resolve("open")
    assert looked == [target.resolve("open")]


def test_commands_take_either_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dfp: Dfp) -> None:
    source, target = lake("folder", tmp_path / "source"), lake("lakefs", tmp_path)
    filled(source)
    monkeypatch.setenv("DFP_LAKE", target.uri)
    settings.cache_clear()
    assert dfp("lake", "sync", source.uri)[0] == 0
    theirs, ours = source.resolve("v1"), target.resolve("v1")
    for ref in (theirs, theirs[:12]):
        assert json.loads(dfp("lake", "show", ref, "--json")[1])["id"] == ours
        assert json.loads(dfp("lake", "log", ref, "--json")[1])[0]["id"] == ours
        assert dfp("lake", "diff", f"{ref}..v1", "--json")[:2] == (0, "[]\n")
    assert json.loads(dfp("lake", "branch", "young", theirs, "--json")[1])["commit"] == ours
    assert json.loads(dfp("lake", "tag", "v2", theirs, "--json")[1])["commit"] == ours
    assert dfp("lake", "merge", theirs, "--dry-run", "--json")[0] == 0
