"""Appended rows: loads beside each other, on one branch and on several, with columns that earlier ones lack."""

from __future__ import annotations

import json

import polars as pl
import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.errors import InputError, MergeConflictError
from dfp_platform.ingest import DATASETS, origin, register
from dfp_platform.ingest.sample import write_csv
from dfp_platform.lake import open_lake
from tests.ingest_files import edited, lander, read_rows, rows_at, sample_rows, write_rows

DEVICE, EMULATOR = DATASETS


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def landed(lake, tmp_path):
    return lander(lake, tmp_path / "cache")


def test_an_appended_load_stands_beside_the_first_and_the_table_has_both(lake, landed):
    first = landed()
    register(lake, "main", DEVICE)
    before = {
        task.file.file_path for task in open_catalog(lake, "main").load_table(("raw", DEVICE)).scan().plan_files()
    }
    second = landed(sample_rows=20, seed=8, write_disposition="append")
    register(lake, "main", DEVICE)
    assert (first.load_id[:5], second.load_id[:5]) == ("0001-", "0002-")
    assert second.files == (f"raw/{DEVICE}/loads/{second.load_id}/part-00000.parquet",)
    table = open_catalog(lake, "main").load_table(("raw", DEVICE))
    assert before < {task.file.file_path for task in table.scan().plan_files()}
    counts = pl.DataFrame(table.scan().to_arrow()).group_by("load_id").len()
    assert dict(counts.iter_rows()) == {first.load_id: 50, second.load_id: 20}


def test_a_load_that_stands_already_is_not_appended_again(lake, landed):
    first = landed()
    second = landed(sample_rows=20, seed=8, write_disposition="append")
    for again in (landed(write_disposition="append"), landed(sample_rows=20, seed=8, write_disposition="append")):
        assert not again.changed
        assert again.load_id in (first.load_id, second.load_id)
    assert lake.resolve("main") == second.commit


def test_a_load_without_rows_appends_nothing(lake, landed, tmp_path):
    landed(dataset=EMULATOR)
    before = lake.resolve("main")
    landing = landed(write_csv(tmp_path / "apps.csv", rows=30, seed=7), EMULATOR, write_disposition="append")
    assert (landing.rows, landing.files, landing.changed) == (0, (), False)
    assert lake.resolve("main") == before


def test_the_origin_tells_of_all_loads_together(lake, landed, tmp_path):
    landed()
    path = write_csv(tmp_path / "later.csv", rows=30, seed=9)
    later = landed(path, write_disposition="append")
    found = origin(lake, "main", DEVICE)
    assert (found.rows, found.source, found.synthetic, found.load_id) == (80, "sample, file", True, later.load_id)
    assert [file.name for file in found.files] == ["later.csv"]
    assert "SYNTHETIC" in found.note
    assert "later.csv" in found.note


def test_replacing_takes_appended_loads_away(lake, landed):
    landed()
    landed(sample_rows=20, seed=8, write_disposition="append")
    landing = landed(sample_rows=15)
    assert [stat.path for stat in lake.list("main", f"raw/{DEVICE}/")] == [f"raw/{DEVICE}/origin.json", *landing.files]
    assert landing.load_id.startswith("0001-")


def test_loads_that_two_branches_append_stand_beside_each_other_after_a_merge(lake, landed):
    landed()
    for number, branch in enumerate(("run-1", "run-2")):
        lake.create_branch(branch)
        landed(branch=branch, sample_rows=20, seed=8 + number, write_disposition="append")
    for branch in ("run-1", "run-2"):
        lake.merge(branch, "main", message=f"publish {branch}")
    register(lake, "main", DEVICE)
    assert rows_at(lake, "main").height == origin(lake, "main", DEVICE).rows == 90
    assert rows_at(lake, "main")["load_id"].n_unique() == 3


def test_two_branches_that_replace_the_rows_are_a_conflict(lake, landed):
    landed()
    for number, branch in enumerate(("run-1", "run-2")):
        lake.create_branch(branch)
        landed(branch=branch, seed=8 + number)
    lake.merge("run-1", "main", message="publish run-1")
    with pytest.raises(MergeConflictError):
        lake.merge("run-2", "main", message="publish run-2")


def test_nothing_is_appended_to_rows_that_do_not_say_their_load(lake, landed):
    landed()
    record = json.loads(lake.read("main", f"raw/{DEVICE}/origin.json"))
    del record["load_id"]
    lake.commit("main", {f"raw/{DEVICE}/origin.json": json.dumps(record).encode()}, message="as it was before")
    with pytest.raises(InputError, match="which load"):
        landed(sample_rows=20, seed=8, write_disposition="append")


@pytest.fixture
def later_archive(tmp_path):
    """A CSV with a system call that no earlier archive counts."""
    rows = sample_rows(tmp_path, rows=12, seed=11)
    return write_rows(
        tmp_path / "later.csv", [[*rows[0], "statx"], *([*row, str(i)] for i, row in enumerate(rows[1:]))]
    )


def test_a_new_system_call_has_to_be_named(landed, later_archive):
    with pytest.raises(InputError, match="'statx' is not a KronoDroid column") as caught:
        landed(later_archive)
    assert "DFP_NEW_SYSCALLS" in str(caught.value.hint)


def test_a_new_system_call_is_one_more_column_that_earlier_apps_have_no_value_in(lake, landed, later_archive):
    first = landed()
    register(lake, "main", DEVICE)
    later = landed(later_archive, write_disposition="append", new_syscalls=["statx"])
    register(lake, "main", DEVICE)
    rows = pl.DataFrame(open_catalog(lake, "main").load_table(("raw", DEVICE)).scan().to_arrow())
    assert rows.filter(load_id=first.load_id)["sys_statx"].null_count() == 50
    assert sorted(rows.filter(load_id=later.load_id)["sys_statx"]) == list(range(12))


def test_a_new_system_call_keeps_the_contract_of_counts(landed, later_archive):
    for text in ("-1", "many"):
        bad = edited(read_rows(later_archive), {(3, "statx"): text})
        with pytest.raises(InputError) as caught:
            landed(write_rows(later_archive, bad), new_syscalls=["statx"])
        assert (caught.value.fields["row"], caught.value.fields["column"]) == (3, "statx")


def test_a_file_without_a_named_new_system_call_lands_without_its_values(lake, landed):
    landed(new_syscalls=["statx"])
    assert rows_at(lake, "main")["sys_statx"].null_count() == 50
