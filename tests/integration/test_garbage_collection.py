"""`collect_garbage`: what no ref reaches goes, whatever any ref reaches stays."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dfp_platform.catalog import open_catalog, overwrite, register_files
from dfp_platform.catalog.collection import collect_garbage
from dfp_platform.catalog.maintenance import expire_snapshots
from dfp_platform.catalog.verification import table_damages
from dfp_platform.errors import CorruptLakeError, NotFoundError
from dfp_platform.lake import Lake, open_lake, relocate
from tests.garbage import DAY, age, days_ago, numbers, rows, swept, table_files

BIG = b"big" * 10_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Made three days ago, as no commit is older than its parent."""
    with days_ago():
        return open_lake(tmp_path / "lake", create=True)


def test_a_lake_in_which_every_file_is_reached_has_no_garbage(lake: Lake) -> None:
    lake.commit("main", {"raw/a.bin": BIG, "small": b"1"}, message="objects")
    overwrite(open_catalog(lake), "marts.apps", rows(1, 2))
    overwrite(open_catalog(lake), "marts.apps", rows(3))
    age(lake)
    before = table_files(lake)
    found = swept(lake)
    assert (found.total.files, found.deleted) == (0, True)
    assert table_files(lake) == before
    assert lake.verify() == []


def test_files_of_a_forgotten_branch_go_once_they_are_old_and_not_before(lake: Lake) -> None:
    with days_ago():
        overwrite(open_catalog(lake), "marts.apps", rows(1))
    kept = table_files(lake)
    lake.create_branch("run")
    with days_ago():
        overwrite(open_catalog(lake, "run"), "marts.apps", rows(2))
        lake.commit("run", {"raw/a.bin": BIG, "models/w": b"small"}, message="objects")
    big = Path(lake.address("run", "raw/a.bin"))
    age(lake)
    assert swept(lake).total.files == 0, "the branch is there"
    lake.delete_branch("run")
    assert swept(lake, grace_hours=24 * 7).total.files == 0, "grace"
    said = collect_garbage(open_lake(lake.uri))
    assert big.exists(), "dry run"
    found = swept(lake)
    assert found.found == said.found
    assert {kind: amount.files > 0 for kind, amount in found.found.items()} == dict.fromkeys(
        ("table files", "objects", "git objects"), True
    )
    assert not big.exists()
    assert table_files(lake) == kept
    assert numbers(lake, "main") == [1]
    assert lake.verify() == []
    assert swept(lake).total.files == 0


@pytest.mark.parametrize("name", ["a-tag", "a-branch"])
def test_a_tag_or_a_branch_alone_keeps_its_files(lake: Lake, name: str) -> None:
    lake.create_branch("run")
    overwrite(open_catalog(lake, "run"), "marts.apps", rows(2))
    lake.commit("run", {"raw/a.bin": BIG}, message="objects")
    lake.tag(name, "run") if name == "a-tag" else lake.create_branch(name, "run")
    lake.delete_branch("run")
    age(lake)
    assert swept(lake).total.files == 0
    assert numbers(lake, name) == [2]
    assert lake.read(name, "raw/a.bin") == BIG


def test_an_object_that_a_table_is_made_of_outlives_its_path_on_every_branch(lake: Lake) -> None:
    out = io.BytesIO()
    pq.write_table(rows(*range(5000)), out)
    lake.create_branch("landing")
    lake.commit("landing", {"raw/apps.parquet": out.getvalue()}, message="landed")
    register_files(open_catalog(lake), "raw.apps", [lake.address("landing", "raw/apps.parquet")])
    lake.delete_branch("landing")
    age(lake)
    assert swept(lake).found["objects"].files == 0
    assert numbers(lake, "main", "raw.apps") == list(range(5000))


def test_what_a_writer_wrote_under_a_lease_stays_however_short_the_grace_is(lake: Lake) -> None:
    with lake.lease("a long write"):
        stray = Path(lake.warehouse) / "marts" / "stray.parquet"
        stray.parent.mkdir()
        stray.write_bytes(b"rows to come")
        time.sleep(0.3)
        assert swept(lake, grace_hours=0).total.files == 0
    time.sleep(0.3)
    assert swept(lake, grace_hours=0).found["table files"].files == 1
    assert not stray.exists()
    time.sleep(0.3)
    swept(lake, grace_hours=0)
    assert not stray.parent.exists(), "an empty folder follows when it is old enough itself"


def test_history_days_takes_files_of_old_commits_but_never_those_of_refs_or_where_refs_part(lake: Lake) -> None:
    catalog = open_catalog(lake)
    heads = {}
    for number in range(6):
        overwrite(catalog, "marts.apps", rows(number))
        heads[number] = lake.commit("main", {"raw/a.bin": BIG + b"%d" % number}, message=f"{number}")
    lake.tag("third", heads[2])
    lake.create_branch("side", heads[3])
    lake.commit("side", {"on-side": b"1"}, message="side moves on")
    age(lake)
    time.sleep(1.2)  # commits know whole seconds
    found = swept(lake, history_days=0, grace_hours=0)
    assert found.total.files > 0
    assert [numbers(lake, ref) for ref in ("main", "third", "side", heads[3])] == [[5], [2], [3], [3]]
    assert numbers(lake, str(lake.show("main").parents[0])) == [5], "the parent of a head, for reverts"
    assert lake.read("third", "raw/a.bin") == BIG + b"2"
    assert next(commit.message for commit in lake.log("main")) == "5", "the log stays"
    assert lake.verify() == []
    with pytest.raises(NotFoundError, match="garbage"):
        lake.create_branch("again", heads[0])
    with pytest.raises(NotFoundError, match="garbage"):
        lake.tag("again", heads[0])
    assert lake.merge("side", message="a merge whose base is old") == lake.resolve("main")
    assert swept(lake, history_days=0, grace_hours=0).kept_files > 0


def test_nothing_goes_while_a_table_cannot_be_followed(lake: Lake) -> None:
    overwrite(open_catalog(lake), "marts.apps", rows(1))
    stray = Path(lake.warehouse) / "stray"
    stray.write_bytes(b"1")
    lake.commit("main", {"tables/marts/odd": b"{}"}, message="no pointer")
    age(lake)
    with pytest.raises(CorruptLakeError, match="tables/marts/odd"):
        swept(lake)
    assert stray.exists()


def test_a_clock_that_jumped_back_under_a_writer_makes_nothing_old(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    stray = Path(lake.warehouse) / "stray"
    stray.write_bytes(b"1")
    age(lake)
    with lake.lease("a writer"):
        past = time.time() - 2 * DAY
        monkeypatch.setattr(time, "time", lambda: past)
        assert swept(lake, grace_hours=0).total.files == 0
    assert stray.exists()


def test_links_and_former_spellings_of_a_path_do_not_hide_that_a_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real").mkdir()
    lake = open_lake(tmp_path / "link" / "lake", create=True)
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    table = catalog.create_table(
        "marts.apps", rows(1).schema, location=f"{tmp_path}/link/lake/warehouse//marts/../marts/apps"
    )
    table.append(rows(1))
    age(lake)
    assert swept(lake).total.files == 0
    assert numbers(lake, "main") == [1]


def test_a_moved_lake_keeps_all_that_its_former_addresses_name(tmp_path: Path) -> None:
    with days_ago():
        lake = open_lake(tmp_path / "old", create=True)
        overwrite(open_catalog(lake), "marts.apps", rows(1))
        source = tmp_path / "apps.parquet"
        pq.write_table(rows(*range(5000)), source)
        lake.commit("main", {"raw/apps.parquet": source}, message="landed")
        register_files(open_catalog(lake), "raw.apps", [lake.address("main", "raw/apps.parquet")])
        lake.commit("main", {"raw/apps.parquet": None}, message="only the table needs it now")
    (tmp_path / "old").rename(tmp_path / "new")
    relocate(tmp_path / "new")
    moved = open_lake(tmp_path / "new")
    age(moved)
    assert swept(moved).total.files == 0
    assert swept(moved, history_days=0).found["objects"].files == 0
    assert (numbers(moved, "main"), len(numbers(moved, "main", "raw.apps"))) == ([1], 5000)
    assert table_damages(moved) == []
    overwrite(open_catalog(moved), "marts.apps", rows(2))
    age(moved)
    assert swept(moved).total.files == 0
    assert numbers(moved, "main") == [2]


def test_a_pointer_of_a_kind_that_is_not_known_here_keeps_the_metadata_it_names(lake: Lake) -> None:
    view = Path(lake.warehouse) / "marts" / "view.metadata.json"
    view.parent.mkdir()
    view.write_text('{"view-uuid": "1", "versions": []}')
    pointer = json.dumps({"metadata_location": f"file://{view}", "uuid": "1"})
    lake.commit("main", {"tables/marts/=view.v": pointer.encode()}, message="a view")
    age(lake)
    assert swept(lake).total.files == 0
    assert view.exists()


def test_commits_before_an_expiry_keep_the_snapshots_that_it_dropped(lake: Lake) -> None:
    """Their metadata files are also named by the log of the later one, which needs none of their snapshots."""
    catalog = open_catalog(lake)
    heads = []
    for number in range(8):
        overwrite(catalog, "marts.apps", rows(number))
        heads.append(lake.resolve("main"))
        expire_snapshots(catalog, "marts.apps", older_than_days=0)
    age(lake)
    assert swept(lake).total.files == 0
    assert [numbers(lake, head) for head in heads] == [[number] for number in range(8)]
