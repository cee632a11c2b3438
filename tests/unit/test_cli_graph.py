"""The picture that `dfp lake log --graph` draws."""

from __future__ import annotations

from datetime import UTC, datetime

from dfp_platform.cli.graph import drawn
from dfp_platform.schemas import Commit, CommitId


def history(text: str) -> list[Commit]:
    """Commits from lines `id: parents`, newest first."""
    split = [line.split(":") for line in text.strip().splitlines()]
    return [
        Commit(CommitId(name.strip()), tuple(CommitId(p) for p in parents.split()), name, datetime.now(UTC))
        for name, parents in split
    ]


def picture(text: str) -> list[str]:
    return [line + (f" {commit.id}" if commit else "") for line, commit in drawn(history(text))]


def test_a_straight_history_is_one_line() -> None:
    assert picture("c: b\nb: a\na:") == ["* c", "* b", "* a"]


def test_a_merge_opens_a_lane_that_closes_where_the_branch_began() -> None:
    assert picture("m: b x\nb: a\nx: a\na:") == ["* m", "|\\", "* | b", "| * x", "|/", "* a"]


def test_two_merges_of_branches_from_one_commit_keep_their_lanes() -> None:
    assert picture("n: m y\nm: b x\ny: a\nx: b\nb: a\na:") == [
        "* n",
        "|\\",
        "* | m",
        "|\\ \\",
        "| | * y",
        "| * | x",
        "|/ /",
        "* | b",
        "|/",
        "* a",
    ]


def test_histories_without_a_common_beginning_stand_beside_each_other() -> None:
    assert picture("m: a b\na:\nb:") == ["* m", "|\\", "* | a", "* b"]
