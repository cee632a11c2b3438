"""History as a picture of lines, as git draws it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dfp_platform.schemas import Commit, CommitId


def drawn(commits: Iterable[Commit]) -> Iterator[tuple[str, Commit | None]]:
    """For each commit its line of the picture, and between them lines (with None) at which branches part or meet.

    Args:
        commits: children before parents.
    """
    lanes: list[CommitId] = []
    for commit in commits:
        if commit.id not in lanes:
            lanes.append(commit.id)
        at = lanes.index(commit.id)
        yield _row(lanes, at), commit
        if not commit.parents:
            lanes.pop(at)
            continue
        first, *merged = commit.parents
        lanes[at] = first
        for parent in merged:
            if parent not in lanes:
                yield "| " * at + "|\\" + " \\" * (len(lanes) - at - 1), None
                lanes.insert(at + 1, parent)
        while lanes.count(first) > 1:
            last = len(lanes) - 1 - lanes[::-1].index(first)
            yield "| " * (last - 1) + "|/" + " /" * (len(lanes) - last - 1), None
            lanes.pop(last)


def _row(lanes: list[CommitId], at: int) -> str:
    return " ".join("*" if number == at else "|" for number in range(len(lanes)))
