"""A file cut into slices gives the rows, and the errors, that the whole file gives."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from dfp_platform.catalog import RowSum, sum_rows
from dfp_platform.errors import InputError
from dfp_platform.ingest import landed_rows
from dfp_platform.ingest.offences import SHOWN
from dfp_platform.ingest.slices import Passed, Slice, Terms, digests, judged, landed, refusal, survey
from tests.ingest_files import Rows, as_archive, edited, sample_rows, write_rows, zipped

LEAST = 30_000
"""Bytes: some twenty rows. A block of the reader is larger, so tests make that smaller too."""


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfp_platform.ingest.reading.BLOCK_BYTES", 8_000)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return sample_rows(tmp_path, rows=90)


def sliced(path: Path) -> tuple[Slice, ...]:
    return survey(str(path), terms=Terms(), least=LEAST).slices


def test_slices_give_the_rows_of_the_whole_file_in_order(tmp_path: Path, rows: Rows) -> None:
    path = write_rows(tmp_path / "apps.csv", rows)
    found = survey(str(path), terms=Terms(), least=LEAST)
    assert len(found.slices) > 2
    assert (found.file.sha256, found.file.size) == (
        hashlib.sha256(path.read_bytes()).hexdigest(),
        path.stat().st_size,
    )
    parts = [rows for slice_ in found.slices for rows in landed(slice_, terms=Terms())]
    assert pa.concat_tables(parts) == pa.concat_tables(landed_rows(path, implausible_dates="reject"))


def test_a_file_of_the_archives_is_cut_too_and_a_zip_is_one_slice(tmp_path: Path, rows: Rows) -> None:
    plain = write_rows(tmp_path / "legitimate.csv", as_archive(rows))
    packed = zipped(tmp_path / "legitimate.zip", "legitimate.csv", as_archive(rows))
    whole = pa.concat_tables(landed_rows(plain))
    assert len(sliced(plain)) > 2
    [one] = sliced(packed)
    for slices in (sliced(plain), (one,)):
        assert pa.concat_tables(r for s in slices for r in landed(s, terms=Terms("null"))) == whole
    assert one.file == "legitimate.zip/legitimate.csv"


def test_bad_cells_of_any_slice_are_refused_with_the_words_of_a_landing(tmp_path: Path, rows: Rows) -> None:
    bad = {(3, "Malware"): "2", (60, "read"): "many", (61, "CAMERA"): "7", (88, "Highest-date"): "1980-01-01"}
    path = write_rows(tmp_path / "apps.csv", edited(rows, bad))
    found = [judged(slice_, terms=Terms()) for slice_ in sliced(path)]
    assert sum(isinstance(error, InputError) for error in found) >= 2
    with pytest.raises(InputError) as refused:
        list(landed_rows(path, implausible_dates="reject"))
    mine = refusal(found, [], repeated=0)
    assert mine is not None
    assert str(mine) == str(refused.value)
    assert mine.fields == refused.value.fields
    later = sliced(path)[1:]
    with pytest.raises(InputError, match="row 60, column 'read'"):
        pa.concat_tables(table for slice_ in later for table in landed(slice_, terms=Terms()))


def test_rows_that_pass_are_summed_slice_by_slice_and_new_system_calls_are_columns(tmp_path: Path, rows: Rows) -> None:
    more = [[*row, "io_uring_enter" if number == 0 else str(number)] for number, row in enumerate(rows)]
    path = write_rows(tmp_path / "apps.csv", edited(more, {(4, "Highest-date"): "1980-01-01"}))
    terms = Terms("null", ("io_uring_enter", "io_uring_setup"))
    pieces = survey(str(path), terms=terms, least=LEAST).slices
    found = [passed for passed in (judged(piece, terms=terms) for piece in pieces) if isinstance(passed, Passed)]
    whole = pa.concat_tables(table for piece in pieces for table in landed(piece, terms=terms))
    assert whole.column_names[-2:] == ["sys_io_uring_enter", "sys_io_uring_setup"]
    assert whole["sys_io_uring_enter"].to_pylist() == list(range(1, 91))
    assert whole["sys_io_uring_setup"].null_count == 90
    assert sum((passed.rows for passed in found), RowSum()) == sum_rows(whole)
    assert sum(passed.dates_dropped for passed in found) == 1


def test_bytes_that_are_no_text_are_found_in_their_row_of_the_file(tmp_path: Path, rows: Rows) -> None:
    path = write_rows(tmp_path / "apps.csv", edited(rows, {(70, "MalFamily"): "BROKEN"}))
    path.write_bytes(path.read_bytes().replace(b"BROKEN", b"\xff\xfe"))
    error = refusal([judged(s, terms=Terms()) for s in sliced(path)], [], repeated=0)
    assert error is not None
    assert (error.fields["row"], error.fields["column"]) == (70, "MalFamily")


def test_a_row_with_too_few_cells_is_found_when_the_file_is_cut(tmp_path: Path, rows: Rows) -> None:
    path = write_rows(tmp_path / "apps.csv", [*rows[:70], rows[70][:-2], *rows[71:]])
    with pytest.raises(InputError, match="row 70 has 484 cells where the header names 486"):
        sliced(path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"a,b\n1,2\n", "'Package' is missing"), (None, "cannot be read")]
)
def test_what_is_no_such_file_is_refused_by_its_name(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "apps.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        survey(str(path), terms=Terms())
    assert refused.value.fields["file"] == "apps.csv"


def test_a_header_without_rows_is_refused(tmp_path: Path, rows: Rows) -> None:
    with pytest.raises(InputError, match="a header and no rows"):
        survey(str(write_rows(tmp_path / "apps.csv", rows[:1])), terms=Terms())


def test_digests_come_with_the_row_of_the_file(tmp_path: Path, rows: Rows) -> None:
    path = write_rows(tmp_path / "apps.csv", edited(rows, {(5, "sha256"): "no digest"}))
    found = [row for s in sliced(path) for frame in digests(s) for row in frame.select("row", "sha256").iter_rows()]
    at = rows[0].index("sha256")
    assert found == [(number, row[at]) for number, row in enumerate(rows) if number not in (0, 5)]


def test_of_many_offences_the_first_are_listed_and_all_are_counted(tmp_path: Path, rows: Rows) -> None:
    path = write_rows(tmp_path / "apps.csv", edited(rows, {(row, "Malware"): "2" for row in range(1, 91)}))
    error = refusal([judged(s, terms=Terms()) for s in sliced(path)], [], repeated=4)
    assert error is not None
    assert error.fields["count"] == 94
    assert [offence.row for offence in error.fields["offences"]] == list(range(1, SHOWN + 1))
