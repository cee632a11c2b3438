"""Which online version is served: switching, going back, and what a broken pointer says."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dfp_platform.errors import CorruptLakeError, InvalidNameError, NotFoundError
from dfp_platform.features import Served, current, prune, rollback, switch
from dfp_platform.features.pointer import POINTER, appearing, version_file


@pytest.fixture
def online(tmp_path: Path) -> Path:
    folder = tmp_path / "online"
    folder.mkdir()
    for version in ("one", "two", "three"):
        (folder / f"{version}.db").write_bytes(version.encode())
    return folder


def test_nothing_is_served_before_the_first_switch(online: Path) -> None:
    assert current(online) is None
    assert current(online / "nowhere") is None
    with pytest.raises(NotFoundError, match="serves no version yet"):
        version_file(online)


def test_a_switch_remembers_the_commit_and_what_was_before(online: Path) -> None:
    switch(online, "one", "a1")
    now = switch(online, "two", "b2")
    assert now == current(online)
    assert (now.version, now.commit, now.previous) == ("two", "b2", Served("one", "a1"))
    assert version_file(online).name == "two.db"


def test_switching_again_writes_nothing(online: Path) -> None:
    first = switch(online, "one", "a1")
    before = (online / POINTER).stat()
    assert switch(online, "one", "a1") == first
    after = (online / POINTER).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_same_version_under_a_newer_commit_keeps_the_way_back(online: Path) -> None:
    switch(online, "one", "a1")
    switch(online, "two", "b2")
    now = switch(online, "two", "c3")
    assert (now.commit, now.previous) == ("c3", Served("one", "a1"))


def test_a_rollback_serves_what_was_before_and_a_second_one_goes_forward(online: Path) -> None:
    switch(online, "one", "a1")
    switch(online, "two", "b2")
    assert (rollback(online).version, version_file(online).stem) == ("one", "one")
    assert rollback(online).version == "two"


def test_there_is_nothing_before_the_first_version(online: Path) -> None:
    switch(online, "one", "a1")
    with pytest.raises(NotFoundError):
        rollback(online)


def test_a_version_that_is_not_there_is_not_switched_to(online: Path) -> None:
    switch(online, "one", "a1")
    with pytest.raises(NotFoundError, match="one, three, two"):
        switch(online, "four", "d4")
    assert version_file(online).stem == "one"


@pytest.mark.parametrize("version", ["../one", "ONE", "", "a/b"])
def test_a_version_is_named_as_a_ref_is(online: Path, version: str) -> None:
    with pytest.raises(InvalidNameError):
        switch(online, version, "a1")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"version": "one"}', b'{"version": 1'])
def test_a_broken_pointer_is_said_to_be_broken(online: Path, content: bytes) -> None:
    (online / POINTER).write_bytes(content)
    with pytest.raises(CorruptLakeError, match="which online version"):
        current(online)


def test_a_file_that_fails_half_way_leaves_the_old_one_and_no_rest(online: Path) -> None:
    def fail() -> None:
        with appearing(online / "one.db") as part:
            part.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (online / "one.db").read_bytes() == b"one"
    assert sorted(path.name for path in online.iterdir()) == ["one.db", "three.db", "two.db"]


def test_pruning_keeps_what_is_served_what_was_before_and_what_is_young(online: Path) -> None:
    (online / "young.db").write_bytes(b"young")
    (online / "named.db").write_bytes(b"named")
    (online / ".one.db-x.part").write_bytes(b"left by a killed writer")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for path in online.iterdir():
        at = (now - timedelta(days=0 if path.stem == "young" else 9)).timestamp()
        os.utime(path, (at, at))
    switch(online, "one", "a1")
    switch(online, "two", "b2")
    assert prune(online, before=now - timedelta(days=7), keep=["named"]) == ["three"]
    left = {path.name for path in online.iterdir()}
    assert left == {"one.db", "two.db", "young.db", "named.db", POINTER}
