"""Which online version is served: what a switch and a step back make of a pointer, and its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_platform.errors import CorruptLakeError, InvalidNameError
from dfp_platform.features import Current, Served
from dfp_platform.features.pointer import (
    POINTER,
    appearing,
    checked_version,
    pointed_branches,
    read_pointer,
    write_pointer,
)
from dfp_platform.features.versions import rolled_back, switched


def test_a_switch_remembers_the_commit_and_what_was_before() -> None:
    first = switched(None, "one", "a1", publication=False)
    assert first == Current("one", "a1")
    assert switched(first, "two", "b2", publication=False) == Current("two", "b2", Served("one", "a1"))


def test_switching_again_changes_nothing() -> None:
    assert switched(Current("one", "a1"), "one", "a1", publication=False) is None


def test_the_same_version_under_a_newer_commit_keeps_the_way_back() -> None:
    now = Current("two", "b2", Served("one", "a1"))
    assert switched(now, "two", "c3", publication=False) == Current("two", "c3", Served("one", "a1"))


def test_a_rollback_serves_what_was_before_and_a_second_one_goes_forward() -> None:
    now = Current("two", "b2", Served("one", "a1"), "two")
    back = rolled_back(now)
    assert back == Current("one", "a1", Served("two", "b2"), "two")
    assert rolled_back(back) == now
    assert rolled_back(Current("one", "a1")) is None
    assert rolled_back(None) is None


def test_a_rollback_by_hand_outlives_publications_that_change_no_feature() -> None:
    published = switched(switched(None, "one", "a1", publication=True), "two", "b2", publication=True)
    back = rolled_back(published)
    assert switched(back, "two", "c3", publication=True) is None
    later = switched(back, "three", "d4", publication=True)
    assert later is not None
    assert (later.version, later.previous, later.published) == ("three", Served("one", "a1"), "three")


def test_a_revert_of_the_lake_switches_back() -> None:
    published = switched(switched(None, "one", "a1", publication=True), "two", "b2", publication=True)
    reverted = switched(published, "one", "c3", publication=True)
    assert reverted is not None
    assert (reverted.version, reverted.published) == ("one", "one")


def test_each_branch_has_a_pointer_of_its_own(tmp_path: Path) -> None:
    assert read_pointer(tmp_path / "nowhere", "main") is None
    write_pointer(tmp_path, "main", Current("one", "a1"))
    write_pointer(tmp_path, "dev", Current("two", "b2", Served("one", "a1"), "two"))
    assert read_pointer(tmp_path, "main") == Current("one", "a1")
    assert read_pointer(tmp_path, "dev") == Current("two", "b2", Served("one", "a1"), "two")
    assert pointed_branches(tmp_path) == ["dev", "main"]


def test_a_pointer_of_before_branches_is_that_of_main_and_was_published(tmp_path: Path) -> None:
    (tmp_path / POINTER).write_bytes(b'{"commit": "a1", "previous": null, "version": "one"}')
    assert read_pointer(tmp_path, "main") == Current("one", "a1", None, "one")


@pytest.mark.parametrize("version", ["../one", "ONE", "", "a/b"])
def test_a_version_is_named_as_a_ref_is(version: str) -> None:
    with pytest.raises(InvalidNameError):
        checked_version(version)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"version": "one"}', b'{"version": 1'])
def test_a_broken_pointer_is_said_to_be_broken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / POINTER).write_bytes(content)
    with pytest.raises(CorruptLakeError, match="which online version"):
        read_pointer(tmp_path, "main")


def test_a_file_that_fails_half_way_leaves_the_old_one_and_no_rest(tmp_path: Path) -> None:
    (tmp_path / "one.db").write_bytes(b"one")

    def fail() -> None:
        with appearing(tmp_path / "one.db") as part:
            part.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("one.db", b"one")]
