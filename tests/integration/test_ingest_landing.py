from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import threading

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from pyarrow import parquet

from dfp_platform.catalog import open_catalog
from dfp_platform.errors import CorruptLakeError, InputError, NotFoundError
from dfp_platform.ingest import DATASETS, bars, landed_rows, origin, pipeline, register
from dfp_platform.ingest import parquet as landed_parquet
from dfp_platform.ingest.columns import arrow_schema
from dfp_platform.ingest.sample import batches, write_csv
from dfp_platform.lake import open_lake
from tests.ingest_files import (
    REAL,
    edited,
    lander,
    read_rows,
    rows_at,
    sample_rows,
    without,
    write_rows,
    zipped,
    zipped_bytes,
)

DEVICE, EMULATOR = DATASETS

# dlt imports sqlglot, whose optional parser says of itself, once per process, that it is no longer maintained


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def landed(lake, tmp_path):
    return lander(lake, tmp_path / "cache")


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_sample_lands_as_parquet_and_origin_in_one_commit(lake, landed, dataset):
    before = lake.resolve("main")
    landing = landed(dataset=dataset)
    assert [commit.id for commit in lake.log("main")][:2] == [landing.commit, before]
    assert {difference.path for difference in lake.diff(before, "main")} == {
        f"raw/{dataset}/origin.json",
        f"raw/{dataset}/part-00000.parquet",
    }
    assert landing.files == (f"raw/{dataset}/part-00000.parquet",)
    assert landing.bytes == lake.stat("main", landing.files[0]).size
    assert (landing.rows, landing.source, landing.synthetic, landing.changed) == (50, "sample", True, True)
    landed_rows = rows_at(lake, "main", dataset)
    assert_frame_equal(landed_rows.drop("load_id"), pl.concat(batches(DATASETS[dataset], rows=50, seed=7)))
    assert landed_rows["load_id"].unique().to_list() == [landing.load_id]
    assert "synthetic" in lake.show("main").message


def test_landed_files_have_the_columns_and_types_of_the_contract_and_no_other(lake, landed):
    schema = parquet.read_schema(io.BytesIO(lake.read("main", landed().files[0])))
    assert schema.remove_metadata() == arrow_schema().append(pa.field("load_id", pa.string()))


def test_what_is_synthetic_says_so_in_its_origin(lake, landed):
    landed()
    found = origin(lake, "main", DEVICE)
    assert (found.source, found.synthetic, found.rows, found.files) == ("sample", True, 50, ())
    assert found.note.startswith("SYNTHETIC")


def test_landing_the_same_again_makes_no_commit(lake, landed):
    first = landed()
    again = landed()
    assert again.commit == first.commit == lake.resolve("main")
    assert (first.changed, again.changed) == (True, False)
    assert again.files == first.files


def test_other_rows_replace_the_earlier_files_in_one_commit(lake, landed, monkeypatch):
    monkeypatch.setattr(landed_parquet, "ROWS_PER_GROUP", 10)
    monkeypatch.setattr(landed_parquet, "ROWS_PER_FILE", 20)
    assert len(landed().files) == 3
    before = lake.resolve("main")
    landing = landed(sample_rows=15)
    assert landing.files == (f"raw/{DEVICE}/part-00000.parquet",)
    assert [stat.path for stat in lake.list("main", "raw/")] == [f"raw/{DEVICE}/origin.json", *landing.files]
    assert lake.show("main").parents == (before,)


def test_large_landings_are_several_files_in_row_order(lake, landed, monkeypatch):
    monkeypatch.setattr(landed_parquet, "ROWS_PER_GROUP", 1_000)
    monkeypatch.setattr(landed_parquet, "ROWS_PER_FILE", 2_000)
    landing = landed(sample_rows=5_500)
    assert [path[-18:] for path in landing.files] == [f"part-{i:05d}.parquet" for i in range(3)]
    sizes = [parquet.ParquetFile(io.BytesIO(lake.read("main", path))).metadata for path in landing.files]
    assert [size.num_rows for size in sizes] == [2_000, 2_000, 1_500]
    assert_frame_equal(rows_at(lake, "main").drop("load_id"), pl.concat(batches("real_device", rows=5_500, seed=7)))


def test_a_csv_and_a_zip_of_it_land_the_same_bytes(lake, landed, tmp_path):
    path = write_csv(tmp_path / "apps.csv", rows=30, seed=7)
    from_csv = landed(path)
    digest = lake.stat("main", from_csv.files[0]).sha256
    packed = zipped_bytes(tmp_path / "apps.zip", {"folder/apps.csv": path.read_bytes(), "__MACOSX/x.csv": b"?"})
    from_zip = landed(packed)
    assert lake.stat("main", from_zip.files[0]).sha256 == digest
    assert from_csv.inputs == (hashlib.sha256(path.read_bytes()).hexdigest(),)
    assert from_zip.inputs == (hashlib.sha256(packed.read_bytes()).hexdigest(),)
    assert (from_csv.source, from_csv.synthetic) == ("file", False)
    assert origin(lake, "main", DEVICE).files[0].name == "apps.zip"


def test_a_file_leaves_the_emulator_empty_with_its_schema(lake, landed, tmp_path):
    landing = landed(write_csv(tmp_path / "apps.csv", rows=30, seed=7), EMULATOR)
    assert (landing.rows, len(landing.files)) == (0, 1)
    assert rows_at(lake, "main", EMULATOR).shape == (0, 487)
    assert not origin(lake, "main", EMULATOR).synthetic


def test_origins_hold_no_time_and_no_path_of_this_machine(lake, landed, tmp_path):
    landed(write_csv(tmp_path / "apps.csv", rows=30, seed=7))
    text = lake.read("main", f"raw/{DEVICE}/origin.json").decode()
    assert str(tmp_path) not in text
    assert sorted(json.loads(text)) == ["files", "load_id", "mended", "note", "rows", "source", "synthetic"]


def locked(archive):
    """The same zip with the mark of encryption on its entries."""
    content = bytearray(archive)
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.fixture(scope="module")
def bad_inputs(tmp_path_factory):
    """Every bad input: name → (file, what its error has to name)."""
    folder = tmp_path_factory.mktemp("bad")
    rows = sample_rows(folder)
    good = write_rows(folder / "good.csv", rows)
    whole = zipped(folder / "good.zip", "good.csv", rows).read_bytes()
    rotten = bytearray(whole)
    rotten[2_000:2_040] = bytes(40)

    def csv_(name, cells):
        return write_rows(folder / f"{name}.csv", edited(rows, cells))

    def bytes_(name, content):
        (folder / name).write_bytes(content)
        return folder / name

    digest = rows[2][rows[0].index("sha256")]
    return {
        "truncated zip": (bytes_("cut.zip", whole[:-200]), {}),
        "damaged zip": (bytes_("rotten.zip", bytes(rotten)), {}),
        "zip without a table": (zipped_bytes(folder / "none.zip", {"readme.txt": b"hello"}), {}),
        "encrypted zip": (bytes_("locked.zip", locked(whole)), {}),
        "zip with two tables": (zipped_bytes(folder / "two.zip", {"a.csv": b"a", "b.csv": b"b"}), {}),
        "missing column": (write_rows(folder / "missing.csv", without(rows, "brk")), {"column": "brk"}),
        "extra column": (write_rows(folder / "extra.csv", [[*row, row[0]] for row in rows]), {"column": "Package"}),
        "mistyped column": (csv_("mistyped", {(9, "brk"): "many"}), {"row": 9, "column": "brk", "value": "many"}),
        "duplicated sha256": (csv_("twice", {(9, "sha256"): digest}), {"row": 9, "column": "sha256", "value": digest}),
        "empty file": (bytes_("empty.csv", b""), {}),
        "header only": (bytes_("header.csv", good.read_bytes().split(b"\r\n")[0] + b"\r\n"), {}),
        "label 2": (csv_("label", {(4, "Malware"): "2"}), {"row": 4, "column": "Malware", "value": "2"}),
        "date of 1980": (
            csv_("epoch", {(5, "Highest-date"): "1980-01-01"}),
            {"row": 5, "column": "Highest-date", "value": "1980-01-01"},
        ),
        "date of 2050": (
            csv_("future", {(6, "Highest-date"): "2050-06-30"}),
            {"row": 6, "column": "Highest-date", "value": "2050-06-30"},
        ),
        "no file": (folder / "nowhere.csv", {}),
    }


@pytest.mark.parametrize("name", [
    "truncated zip", "damaged zip", "encrypted zip", "zip without a table", "zip with two tables", "missing column",
    "extra column", "mistyped column", "duplicated sha256", "empty file", "header only", "label 2", "date of 1980",
    "date of 2050", "no file",
])  # fmt: skip
def test_a_bad_input_is_named_and_the_branch_stays_as_it_was(lake, landed, bad_inputs, name):
    path, facts = bad_inputs[name]
    before = lake.resolve("main")
    with pytest.raises(InputError) as caught:
        landed(path)
    error = caught.value
    assert error.fields["file"].startswith(path.name)
    assert {key: error.fields[key] for key in facts} == facts
    assert path.name in error.message
    assert error.hint
    assert f"next: {error.hint}" in str(error)
    assert lake.resolve("main") == before
    assert set(lake.branches()) == {"main"}


def test_dates_of_1980_and_2050_land_as_missing_where_that_is_asked_for(lake, landed, tmp_path):
    rows = edited(sample_rows(tmp_path), {(1, "Highest-date"): "1980-01-01", (2, "Highest-date"): "2050-01-01"})
    landing = landed(write_rows(tmp_path / "apps.csv", rows), implausible_dates="null")
    assert (landing.rows, landing.mended) == (40, {"dates landed as missing": 2})
    assert rows_at(lake, "main")["highest_date"].null_count() == 2
    assert origin(lake, "main", DEVICE).mended == {"dates landed as missing": 2}


def test_a_landing_is_seen_on_its_own_branch_only(lake, landed):
    lake.create_branch("run-1")
    landing = landed(branch="run-1")
    assert not list(lake.list("main", "raw/"))
    assert lake.resolve("run-1") == landing.commit
    with pytest.raises(NotFoundError):
        origin(lake, "main", DEVICE)


def test_an_unknown_data_set_is_refused_by_name(landed):
    with pytest.raises(NotFoundError, match="kronodroid_watch"):
        landed(dataset="kronodroid_watch")


def test_an_origin_that_is_none_is_not_believed(lake):
    lake.commit("main", {f"raw/{DEVICE}/origin.json": b"{}"}, message="by hand")
    with pytest.raises(CorruptLakeError, match="not an origin record"):
        origin(lake, "main", DEVICE)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_iceberg_table_reads_the_landed_files_without_a_copy(lake, landed, dataset, tmp_path):
    landed(write_csv(tmp_path / "apps.csv", rows=30, seed=7), dataset)
    result = register(lake, "main", dataset)
    table = open_catalog(lake, "main").load_table(("raw", dataset))
    files = [task.file.file_path for task in table.scan().plan_files()]
    assert result.rows == (30 if dataset == DEVICE else 0)
    assert table.scan().to_arrow().num_rows == result.rows
    assert len(files) <= 1
    assert all(lake.address("main", f"raw/{dataset}/part-00000.parquet") in path for path in files)


def test_registering_the_same_files_again_changes_nothing(lake, landed):
    landed()
    register(lake, "main", DEVICE)
    before = lake.resolve("main")
    assert not register(lake, "main", DEVICE).changed
    assert lake.resolve("main") == before


def test_a_table_follows_when_other_rows_land(lake, landed):
    for rows in (50, 20):
        landed(sample_rows=rows)
        register(lake, "main", DEVICE)
        table = open_catalog(lake, "main").load_table(("raw", DEVICE))
        assert table.scan().to_arrow().num_rows == rows


def test_registering_what_has_not_landed_says_so(lake):
    with pytest.raises(NotFoundError, match="land the data set first"):
        register(lake, "main", DEVICE)


def test_progress_tells_how_far_the_rows_are(landed):
    told = []
    landed(progress=lambda *fact: told.append(fact))
    assert (DEVICE, 50, None) in told


def test_two_landings_in_one_process_do_not_disturb_each_other(lake, landed):
    failures = []

    def work(dataset, branch):
        try:
            landed(dataset=dataset, branch=branch)
        except Exception as error:
            failures.append(error)

    for branch in ("run-1", "run-2"):
        lake.create_branch(branch)
    threads = [threading.Thread(target=work, args=pair) for pair in ((DEVICE, "run-1"), (EMULATOR, "run-2"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert rows_at(lake, "run-1").height == rows_at(lake, "run-2", EMULATOR).height == 50


def test_ctrl_c_during_a_landing_is_ctrl_c_and_nothing_lands(lake, landed):
    def interrupted(what, done, total):
        raise KeyboardInterrupt

    before = lake.resolve("main")
    with pytest.raises(KeyboardInterrupt):
        landed(progress=interrupted)
    assert lake.resolve("main") == before


@pytest.mark.timeout(30)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("point", ["while rows come", "while dlt loads"])
def test_a_signal_reaches_whoever_handles_it_at_any_point_of_a_landing(lake, landed, monkeypatch, number, point):
    handled = []

    class Cancelled(BaseException):
        pass

    def cancel(*_):
        handled.append(number)
        raise Cancelled

    def kill_this_process(*_):
        os.kill(os.getpid(), number)
        return 0

    if point == "while dlt loads":
        monkeypatch.setattr(pipeline, "_first_row", kill_this_process)
    before, head = signal.signal(number, cancel), lake.resolve("main")
    try:
        with pytest.raises(Cancelled):
            landed(progress=kill_this_process if point == "while rows come" else None)
    finally:
        signal.signal(number, before)
    assert handled
    assert lake.resolve("main") == head


def test_dlt_leaves_nothing_behind_and_reads_nothing_of_the_user(lake, landed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "not a number")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text("this is no toml")
    assert landed().rows == 50
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(not REAL.exists(), reason="the real rows are not beside this checkout")
def test_the_real_rows_land_cell_for_cell(lake, landed):
    landing = landed(REAL)
    assert (landing.rows, landing.synthetic, landing.mended) == (1_622, False, {})
    rows = rows_at(lake, "main")
    assert rows["malware"].value_counts().sort("malware").rows() == [(0, 1_453), (1, 169)]
    header, *published = read_rows(REAL)
    assert rows["package"].to_list() == [row[0] for row in published]
    assert rows["package"].str.ends_with("\n").all()
    for column, landed_name in (("brk", "sys_brk"), ("REBOOT", "perm_reboot"), ("CFileSize", "app_c_file_size")):
        assert rows[landed_name].to_list() == [int(row[header.index(column)]) for row in published]
    assert [str(day) for day in rows["highest_date"]] == [row[header.index("Highest-date")] for row in published]
    assert rows.filter(malware=0)["mal_family"].is_not_null().sum() == 59


def test_a_file_lands_the_bytes_of_the_rows_it_was_made_of(lake, landed, tmp_path):
    made = lake.stat("main", landed(sample_rows=30).files[0]).sha256
    landing = landed(write_csv(tmp_path / "apps.csv", rows=30, seed=7))
    assert lake.stat("main", landing.files[0]).sha256 == made


def test_rows_of_a_file_can_be_read_as_they_would_land_without_landing_them(lake, landed, tmp_path):
    path = write_csv(tmp_path / "apps.csv", rows=30, seed=7)
    tables = list(landed_rows(path))
    landed(path)
    assert tables[0].schema == arrow_schema()
    assert_frame_equal(pl.DataFrame(pl.from_arrow(tables[0])), rows_at(lake, "main").drop("load_id"))
    with pytest.raises(InputError, match="'Malware': '2'"):
        list(landed_rows(write_rows(tmp_path / "bad.csv", edited(read_rows(path), {(4, "Malware"): "2"}))))


def test_progress_is_silent_where_nobody_looks(capfd):
    with bars() as progress:
        progress("real_malware_v1.zip", 1, 2)
        progress(DEVICE, 50, None)
    assert capfd.readouterr() == ("", "")


def test_progress_draws_bars_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with bars() as progress:
        progress("real_malware_v1.zip", 1_000, 2_000)
        progress("real_malware_v1.zip", 2_000, 2_000)
        progress(DEVICE, 50, None)
    shown = capsys.readouterr().err
    assert "real_malware_v1.zip" in shown
    assert "2,000 of 2,000" in shown
    assert "50 rows" in shown
