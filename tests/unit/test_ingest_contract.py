from __future__ import annotations

import pickle

import pytest

from dfp_platform.errors import InputError
from dfp_platform.ingest import reading
from dfp_platform.ingest.contract import Border
from dfp_platform.ingest.published import batches
from dfp_platform.ingest.reading import csv_table
from tests.ingest_files import as_archive, edited, sample_rows, without, write_rows


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return sample_rows(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def checked(tmp_path):
    """Reads a made file through the border; returns (rows that passed, the border)."""

    def check(rows, *, implausible_dates="reject"):
        path = write_rows(tmp_path / "apps.csv", rows)
        border = Border(implausible_dates=implausible_dates)
        passed = list(border.passed(batches(csv_table("apps.csv", lambda: path.open("rb")))))
        return passed, border

    return check


@pytest.fixture
def refused(checked):
    """The error that a made file ends in."""

    def check(rows, **options):
        with pytest.raises(InputError) as caught:
            checked(rows, **options)
        return caught.value

    return check


def test_a_good_file_passes_whole(rows, checked):
    passed, border = checked(rows)
    assert sum(frame.height for frame in passed) == border.rows == 40
    assert border.mended == {}


def test_columns_may_stand_in_any_order(rows, checked):
    turned = [list(reversed(row)) for row in rows]
    assert checked(turned)[0][0].equals(checked(rows)[0][0])


@pytest.mark.parametrize(
    ("row", "column", "value", "problem", "step"),
    [
        (3, "Malware", "2", "is neither 0 nor 1", "1 is malware, 0 is benign"),
        (40, "Malware", "-1", "is neither 0 nor 1", "1 is malware, 0 is benign"),
        (1, "brk", "many", "is not a whole number", "stray comma or quote"),
        (5, "futex", "1.5", "is not a whole number", "stray comma or quote"),
        (5, "futex", "99999999999", "more than the column can hold", "stray comma or quote"),
        (6, "futex", "-4", "is below 0", "counts start at 0"),
        (7, "futex", "", "is missing", "fill the cell in"),
        (8, "CAMERA", "2", "is neither 0 nor 1", "flags are 0 or 1"),
        (9, "sha256", "abc", "is not 64 hexadecimal digits", "64 hexadecimal digits"),
        (10, "Detection_Ratio", "half", "is not a number", "stray comma or quote"),
        (10, "Detection_Ratio", "1.5", "is above 1", "counts start at 0"),
        (11, "CFileSize", "", "is missing", "fill the cell in"),
        (12, "Highest-date", "1980-01-01", "is outside 2008-01-01 to 2021-12-31", "DFP_IMPLAUSIBLE_DATES=null"),
        (13, "Highest-date", "2050-12-31", "is outside 2008-01-01 to 2021-12-31", "DFP_IMPLAUSIBLE_DATES=null"),
        (14, "Highest-date", "", "is missing", "DFP_IMPLAUSIBLE_DATES=null"),
        (15, "Highest-date", "soon", "is not a date", "stray comma or quote"),
        (16, "Year", "2007", "does not fit the row's date", "counts start at 0"),
    ],
)
def test_a_bad_cell_is_named_by_file_row_and_column(rows, refused, row, column, value, problem, step):
    error = refused(edited(rows, {(row, column): value}))
    assert error.fields["file"] == "apps.csv"
    assert (error.fields["row"], error.fields["column"], error.fields["value"]) == (row, column, value)
    assert error.fields["count"] == 1
    assert problem in error.message
    assert f"apps.csv: 1 cell cannot land: row {row}, column {column!r}: {value!r}" in error.message
    assert step in error.hint
    assert pickle.loads(pickle.dumps(error)).fields["row"] == row


def test_the_first_five_offenders_are_listed_by_row_and_all_are_counted(rows, refused):
    cells = {(row, "getuid32"): "?" for row in (30, 4, 9)} | {(row, "Malware"): "7" for row in (2, 6, 31, 32)}
    error = refused(edited(rows, cells))
    assert error.fields["count"] == 7
    assert [offence.row for offence in error.fields["offences"]] == [2, 4, 6, 9, 30]
    assert "and 2 more" in error.message


def test_offenders_of_later_batches_are_counted_too_with_their_own_row_numbers(rows, refused, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 15_000)
    error = refused(edited(rows, {(3, "Malware"): "5", (39, "Malware"): "6"}))
    assert [(offence.row, offence.value) for offence in error.fields["offences"]] == [(3, "5"), (39, "6")]


def test_an_app_that_is_there_twice_is_named_with_both_rows(rows, refused, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 15_000)
    digest = rows[4][rows[0].index("sha256")]
    error = refused(edited(rows, {(33, "sha256"): digest.upper()}))
    assert (error.fields["row"], error.fields["column"]) == (33, "sha256")
    assert "is the app of row 4 again" in error.message
    assert "keep one row an app" in error.hint


def test_implausible_dates_land_as_missing_where_that_is_asked_for(rows, checked):
    cells = {(1, "Highest-date"): "1980-01-01", (2, "Highest-date"): "2050-01-01", (3, "Highest-date"): "0/0/0"}
    passed, border = checked(edited(rows, cells), implausible_dates="null")
    dated = passed[0].select("highest_date", "year_month", "year")
    assert dated.head(3).null_count().row(0) == (3, 3, 3)
    assert dated.slice(3).null_count().row(0) == (0, 0, 0)
    assert border.mended == {"dates landed as missing": 3}


def test_dates_may_carry_a_time_of_day(rows, checked):
    day = rows[0].index("Highest-date")
    cells = {(row, "Highest-date"): f"{rows[row][day]}{time}" for row, time in ((1, " 10:11:12"), (2, "T00:00:00"))}
    assert checked(edited(rows, cells))[0][0].equals(checked(rows)[0][0])


def test_dates_written_in_another_way_are_refused_and_do_not_silently_go_missing(rows, refused):
    cells = {(row, "Highest-date"): "31. Dezember 2012" for row in range(1, 41)}
    error = refused(edited(rows, cells), implausible_dates="null")
    assert (error.fields["row"], error.fields["column"], error.fields["count"]) == (1, "Highest-date", 40)


def test_asking_for_missing_dates_lets_nothing_else_through(rows, refused):
    error = refused(edited(rows, {(1, "Highest-date"): "1980-01-01", (2, "Malware"): "3"}), implausible_dates="null")
    assert (error.fields["row"], error.fields["column"]) == (2, "Malware")


@pytest.mark.parametrize("column", ["Package", "nr_syscalls", "reboot", "REBOOT", "Highest-date", "Year"])
def test_a_missing_column_is_named(rows, refused, column):
    error = refused(without(rows, column))
    assert error.fields["file"] == "apps.csv"
    assert error.fields["column"] == column
    assert f"apps.csv: column {column!r} is missing" in error.message
    assert "add the column" in error.hint


def test_an_extra_column_is_named(rows, refused):
    error = refused([[*row, "secret" if i == 0 else "1"] for i, row in enumerate(rows)])
    assert error.fields["column"] == "secret"
    assert "column 'secret' is not a KronoDroid column" in error.message
    assert "remove the column" in error.hint


def test_a_column_that_is_there_twice_is_named(rows, refused):
    error = refused([[*row, row[5]] for row in rows])
    assert error.fields["column"] == rows[0][5]
    assert "is there twice" in error.message


def test_a_column_in_another_case_is_another_column(rows, refused):
    error = refused([["REBOOT" if name == "reboot" else name for name in rows[0]], *rows[1:]])
    assert "column 'REBOOT' is there twice" in error.message
    error = refused([["nfc" if name == "NFC" else name for name in rows[0]], *rows[1:]])
    assert "column 'NFC' is missing" in error.message


def test_an_empty_file_and_a_file_without_rows_say_so(rows, refused, tmp_path):
    assert "apps.csv has a header and no rows" in refused(rows[:1]).message
    empty = csv_table("nothing.csv", (tmp_path / "nothing.csv").open)
    (tmp_path / "nothing.csv").touch()
    empty = csv_table("nothing.csv", lambda: (tmp_path / "nothing.csv").open("rb"))
    with pytest.raises(InputError, match=r"nothing\.csv is empty"):
        list(batches(empty))


def test_a_row_with_a_stray_comma_is_named_by_its_number(rows, refused, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 15_000)
    error = refused([*rows[:30], [*rows[30], "stray"], *rows[31:]])
    assert error.fields["row"] == 30
    assert "row 30 has 487 cells where the header names 486" in error.message


def test_a_file_that_is_cut_off_names_its_last_row(rows, tmp_path):
    path = write_rows(tmp_path / "cut.csv", rows)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"cut\.csv: row 40 has \d+ cells") as caught:
        list(batches(csv_table("cut.csv", lambda: path.open("rb"))))
    assert "cut off" in caught.value.hint


def test_bytes_that_are_no_text_are_named_by_row_and_column(rows, tmp_path):
    path = write_rows(tmp_path / "latin.csv", edited(rows, {(7, "MalFamily"): "Ã¼ber"}))
    path.write_bytes(path.read_bytes().replace("Ã¼ber".encode(), b"\xfcber"))
    with pytest.raises(InputError, match="not UTF-8") as caught:
        list(batches(csv_table("latin.csv", lambda: path.open("rb"))))
    assert (caught.value.fields["row"], caught.value.fields["column"]) == (7, "MalFamily")


def test_a_picture_is_no_csv(tmp_path):
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(InputError, match="is not a CSV"):
        list(batches(csv_table("picture.csv", lambda: path.open("rb"))))


def test_a_quote_that_is_never_closed_is_an_error_and_not_all_memory(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 5_000)
    path = write_rows(tmp_path / "open.csv", rows)
    path.write_bytes(path.read_bytes() + b'"' + b"x\r\n" * 10_000)
    with pytest.raises(InputError, match=r"open\.csv: a quote is opened and never closed"):
        list(batches(csv_table("open.csv", lambda: path.open("rb"))))


def test_a_byte_order_mark_and_plain_line_ends_are_no_difference(rows, tmp_path, checked):
    path = write_rows(tmp_path / "dos.csv", rows)
    plain = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\r\n", b"\n")
    path.write_bytes(plain)
    read = list(batches(csv_table("dos.csv", lambda: path.open("rb"))))
    assert read[0].rows.equals(checked(rows)[0][0])


@pytest.mark.parametrize("device", ["real_device", "emulator"])
def test_the_archives_form_lands_as_the_same_rows_without_categories(rows, checked, device):
    published, archived = checked(rows)[0][0], checked(as_archive(rows, device=device))[0][0]
    same = [name for name in published.columns if name != "categories"]
    assert archived.select(same).equals(published.select(same))
    assert archived["categories"].null_count() == 40


def test_the_archives_form_may_lack_what_a_package_would_not_tell(rows, checked):
    slim = without(as_archive(rows), "FilesInsideAPK")
    cells = {(1, name): "" for name in ("Activities", "NrServices")} | {(2, "NrContactedIps"): "None"}
    landed = checked(edited(slim, cells | {(3, "Activities"): "12.0"}))[0][0]
    assert landed["app_files_inside_apk"].null_count() == 40
    assert landed["app_activities"].to_list()[0::2][:2] == [None, 12]
    assert landed["nr_contacted_ips"][1] is None


def test_an_implausible_date_of_the_archives_is_named_by_their_own_column(rows, refused):
    error = refused(edited(as_archive(rows), {(2, "HighestModDate"): "1/1/1980"}))
    assert (error.fields["row"], error.fields["column"]) == (2, "HighestModDate")
