"""The index over commits that were brought from other lakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_platform.lake.origins import OriginIndex

COMMITS = {
    "c1": ((), {}),
    "c2": (("c1",), {"origin": "aaaa1111"}),
    "c3": (("c2",), {"origin": "aaaa2222"}),
    "c4": (("c2",), {"origin": "bbbb1111"}),
    "c5": (("c3", "c4"), {"origin": "bbbb1111", "other": "x"}),
}


@pytest.fixture
def index(tmp_path: Path) -> OriginIndex:
    return OriginIndex(tmp_path / "folder" / "origins.db", COMMITS.__getitem__)


def test_a_whole_id_or_the_beginning_of_one_alone_names_its_copies(index: OriginIndex) -> None:
    assert index.copies("aaaa1111", ["c5"]) == index.copies("aaaa1", ["c5"]) == ["c2"]
    assert sorted(index.copies("bbbb", ["c5"])) == ["c4", "c5"]
    assert index.copies("aaaa", ["c5"]) == []  # two originals
    assert index.copies("cccc", ["c5"]) == []


def test_what_lies_below_no_head_yet_is_found_once_it_does(index: OriginIndex) -> None:
    assert index.copies("bbbb1111", ["c3"]) == []
    assert index.copies("bbbb1111", ["c3", "c4"]) == ["c4"]


@pytest.mark.parametrize("content", [b"no database" * 1000, b""], ids=["damaged", "emptied"])
def test_a_file_that_is_damaged_is_made_again(index: OriginIndex, tmp_path: Path, content: bytes) -> None:
    assert index.copies("aaaa1111", ["c5"]) == ["c2"]
    (tmp_path / "folder" / "origins.db").write_bytes(content)
    assert index.copies("aaaa1111", ["c5"]) == ["c2"]
    assert (tmp_path / "folder" / "origins.db").read_bytes().startswith(b"SQLite")


def test_where_no_file_can_be_written_memory_serves(tmp_path: Path) -> None:
    (tmp_path / "origins.db").mkdir()
    assert OriginIndex(tmp_path / "origins.db", COMMITS.__getitem__).copies("aaaa1111", ["c5"]) == ["c2"]
