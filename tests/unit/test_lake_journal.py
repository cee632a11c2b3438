"""The journal from which git objects are mended."""

from __future__ import annotations

from pathlib import Path

import pygit2
import pytest
from pygit2.enums import ObjectType

from dfp_platform.lake.journal import GitObject, Journal, oid_of

OBJECTS: list[list[GitObject]] = [
    [(ObjectType.BLOB, b"1"), (ObjectType.TREE, b""), (ObjectType.COMMIT, b"tree ...")],
    [(ObjectType.BLOB, b"")],
    [(ObjectType.BLOB, b"dfpJ a blob that looks like a record dfpJ")],
    [(ObjectType.BLOB, b"x" * 100_000)],
]
FLAT = [one for record in OBJECTS for one in record]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal")
    journal.mend(lambda found: None)
    return journal


def test_objects_come_back_in_the_order_they_were_appended(journal: Journal) -> None:
    for record in OBJECTS:
        journal.append(record)
    assert list(journal.objects()) == FLAT


def test_an_empty_record_is_not_written(journal: Journal, tmp_path: Path) -> None:
    journal.append([])
    assert (tmp_path / "journal/current").read_bytes() == b""


@pytest.mark.parametrize("cut", [1, 3, 10, 16, 17, 30, 60])
def test_a_record_cut_short_hides_none_that_follow(journal: Journal, tmp_path: Path, cut: int) -> None:
    current = tmp_path / "journal/current"
    journal.append(OBJECTS[0])
    whole = current.stat().st_size
    journal.append([(ObjectType.BLOB, b"y" * 100)])
    current.write_bytes(current.read_bytes()[: whole + cut])
    for record in OBJECTS[1:]:
        journal.append(record)
    assert list(journal.objects()) == FLAT


def test_a_record_with_a_flipped_bit_is_passed_over(journal: Journal, tmp_path: Path) -> None:
    journal.append([(ObjectType.BLOB, b"spoilt")])
    current = tmp_path / "journal/current"
    current.write_bytes(current.read_bytes().replace(b"spoilt", b"spoiLt"))
    journal.append([(ObjectType.BLOB, b"fine")])
    assert list(journal.objects()) == [(ObjectType.BLOB, b"fine")]


def test_retired_records_stay_until_they_are_forgotten_even_over_two_retirements(journal: Journal) -> None:
    journal.append(OBJECTS[0])
    journal.retire()
    journal.append(OBJECTS[1])
    journal.retire()
    for record in OBJECTS[2:]:
        journal.append(record)
    assert list(journal.objects()) == FLAT
    journal.forget_retired()
    assert list(journal.objects()) == [one for record in OBJECTS[2:] for one in record]


def test_a_journal_is_mended_once_per_start_of_the_machine(journal: Journal, tmp_path: Path) -> None:
    assert journal.mended()
    (tmp_path / "journal/boot").write_text("another start")
    assert not journal.mended()
    journal.append(OBJECTS[0])
    seen: list[GitObject] = []
    journal.mend(seen.append)
    assert seen == OBJECTS[0]
    assert journal.mended()


def test_objects_have_the_names_that_git_gives_them(tmp_path: Path) -> None:
    repository = pygit2.init_repository(str(tmp_path), bare=True)
    for kind, content in [(ObjectType.BLOB, b"hello"), (ObjectType.TREE, b""), (ObjectType.BLOB, b"")]:
        assert oid_of((kind, content)) == repository.odb.write(kind, content).raw
