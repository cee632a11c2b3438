"""Expiry and compaction on one branch, and `verify` over every table: what other refs hold is untouched."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.table.snapshots import Operation

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.maintenance import compact, expire_snapshots
from dfp_platform.catalog.verification import table_damages
from dfp_platform.errors import InputError, ReadOnlyError, StaleHeadError
from dfp_platform.lake import Lake, open_lake
from tests.garbage import age, days_ago, numbers, rows, swept, table_files


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    with days_ago():
        return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def appended(lake: Lake) -> Lake:
    """A table of six appends."""
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    table = catalog.create_table("marts.apps", rows().schema)
    for number in range(6):
        table.append(rows(number))
    return lake


def snapshots(lake: Lake, ref: str = "main") -> int:
    return len(open_catalog(lake, ref).load_table("marts.apps").metadata.snapshots)


def data_files(lake: Lake, ref: str = "main") -> int:
    return len(list(open_catalog(lake, ref).load_table("marts.apps").scan().plan_files()))


def test_expiry_drops_snapshots_on_one_branch_and_files_go_only_when_no_ref_has_them(lake: Lake) -> None:
    with days_ago():
        for number in range(4):
            overwrite(open_catalog(lake), "marts.apps", rows(number))
    lake.create_branch("other")
    with days_ago(2):
        done = expire_snapshots(open_catalog(lake), "marts.apps", older_than_days=0, keep_last=2)
    assert (done.before, done.after) == (4, 2)
    assert (snapshots(lake), snapshots(lake, "other")) == (2, 4)
    assert next(iter(lake.log("main"))).parents == (lake.resolve("other"),), "one commit"
    age(lake)
    assert swept(lake, history_days=0).found["table files"].files == 0, "the branch `other` still reaches all of them"
    lake.delete_branch("other")
    with days_ago(2):
        lake.commit("main", {"later": b"1"}, message="the parent of a head is kept for reverts: move on")
        lake.commit("main", {"later": b"2"}, message="and on")
    before = len(table_files(lake))
    age(lake)
    assert swept(lake, history_days=0).found["table files"].files > 0
    assert len(table_files(lake)) < before
    assert numbers(lake, "main") == [3]
    assert [*lake.verify(), *table_damages(lake)] == []


def test_expiry_keeps_what_a_name_inside_the_table_holds_and_makes_no_commit_for_nothing(appended: Lake) -> None:
    catalog = open_catalog(appended)
    table = catalog.load_table("marts.apps")
    second = table.metadata.snapshots[1].snapshot_id
    table.manage_snapshots().create_tag(second, "keep").commit()
    assert expire_snapshots(catalog, "marts.apps", older_than_days=0).after == 2
    assert {found.snapshot_id for found in catalog.load_table("marts.apps").metadata.snapshots} >= {second}
    head = appended.resolve("main")
    again = expire_snapshots(catalog, "marts.apps", older_than_days=0)
    assert (again.before, again.after, appended.resolve("main")) == (2, 2, head)
    assert numbers(appended, "main") == list(range(6))


def test_expiry_and_compaction_refuse_what_cannot_be(appended: Lake) -> None:
    with pytest.raises(InputError):
        expire_snapshots(open_catalog(appended), "marts.apps", older_than_days=0, keep_last=0)
    at_a_commit = open_catalog(appended, appended.resolve("main"))
    with pytest.raises(ReadOnlyError):
        expire_snapshots(at_a_commit, "marts.apps", older_than_days=0)
    with pytest.raises(ReadOnlyError):
        compact(at_a_commit, "marts.apps")


def test_compaction_makes_one_file_of_many_with_the_same_rows_and_content(appended: Lake) -> None:
    catalog = open_catalog(appended)
    before = catalog.pointer("marts.apps")
    appended.create_branch("other")
    done = compact(catalog, "marts.apps")
    assert (done.before, done.after) == (6, 1)
    after = catalog.pointer("marts.apps")
    assert (after.content, after.rows) == (before.content, before.rows)
    summary = catalog.load_table("marts.apps").current_snapshot().summary
    assert summary.operation == Operation.REPLACE
    assert (summary["total-records"], summary["total-data-files"]) == ("6", "1")
    assert (data_files(appended), data_files(appended, "other")) == (1, 6)
    assert numbers(appended, "main") == list(range(6)) == numbers(appended, "other")
    head = appended.resolve("main")
    assert compact(catalog, "marts.apps").after == 1
    assert appended.resolve("main") == head, "nothing left to do"
    catalog.load_table("marts.apps").append(rows(6))
    assert numbers(appended, "main") == list(range(7))


def test_compaction_stays_within_partitions(lake: Lake) -> None:
    catalog = open_catalog(lake)
    data = pa.table({"device": ["real", "emulator"], "number": [1, 2]})
    overwrite(catalog, "marts.apps", data, partition=["device"])
    for number in range(3):
        more = pa.table({"device": ["real", "emulator"], "number": [number, number]})
        catalog.load_table("marts.apps").append(more)
    done = compact(catalog, "marts.apps")
    assert (done.before, done.after) == (8, 2)
    assert numbers(lake, "main") == [0, 0, 1, 1, 1, 2, 2, 2]


def test_a_write_while_a_compaction_is_under_way_is_kept_and_the_compaction_gives_way(
    appended: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfp_platform.catalog import maintenance

    rewritten = maintenance._rewritten

    def beside_a_writer(*arguments):
        open_catalog(open_lake(appended.uri)).load_table("marts.apps").append(rows(99))
        return rewritten(*arguments)

    monkeypatch.setattr(maintenance, "_rewritten", beside_a_writer)
    with pytest.raises(StaleHeadError):
        compact(open_catalog(appended), "marts.apps")
    assert numbers(appended, "main") == [*range(6), 99]
    monkeypatch.undo()
    assert compact(open_catalog(appended), "marts.apps").after == 1


def a_file(lake: Lake, kind: str) -> Path:
    endings = {"data": "*.parquet", "manifest": "*-m0.avro", "manifest list": "snap-*.avro", "metadata": "*.json"}
    return sorted(Path(lake.warehouse).rglob(endings[kind]))[-1]


DAMAGES = [
    (kind, damage) for kind in ("data", "manifest", "manifest list", "metadata") for damage in ("gone", "garbled")
]


@pytest.mark.parametrize(("kind", "damage"), [*DAMAGES, ("data", "longer"), ("manifest", "longer")])
def test_verify_names_every_kind_of_table_file_that_is_damaged(appended: Lake, kind: str, damage: str) -> None:
    assert table_damages(appended) == []
    file = a_file(appended, kind)
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "longer":
        file.write_bytes(content + b"\0" * 3)
    else:
        file.write_bytes(b"\0" * len(content))
    found = table_damages(open_lake(appended.uri))
    assert found, f"a {damage} {kind} was not noticed"
    assert file.name in found[0]
    assert "marts/apps at " in found[0]


def test_verify_restores_what_a_killed_collection_had_put_aside(appended: Lake) -> None:
    file = a_file(appended, "data")
    file.rename(file.with_name(f".swept-{file.name}"))
    assert table_damages(appended) == []
    assert file.exists()


def test_waiting_for_a_lease_that_is_gone_is_not_needed(appended: Lake) -> None:
    with appended.lease("short"):
        assert appended.sweeper().oldest_lease() == pytest.approx(time.time(), abs=60)
    assert appended.sweeper().oldest_lease() is None
