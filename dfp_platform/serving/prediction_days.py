"""Days of predictions that are over: their many small files become a few large ones, and old days are forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dfp_platform.errors import NotFoundError, StaleHeadError
from dfp_platform.serving.prediction_files import LONGEST_FILE, files_in, joined_parts, tables_of, together, written
from dfp_platform.serving.predictions import BRANCH, is_joined, joined_path

if TYPE_CHECKING:
    from dfp_platform.lake import Lake
    from dfp_platform.schemas import CommitId

ROWS_A_FILE = 50_000
"""Rows of a joined file at most; of 474 features they are 95 MB in memory."""

_TRIES = 20
"""Times that a commit is tried while the branch moves, as every log moves it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of one day.

    Attributes:
        day: ``2026-11-26``.
        files: how many files became fewer.
        into: how many there are of these now.
    """

    day: str
    files: int
    into: int


def join_days(lake: Lake, *, now: datetime, rows: int = ROWS_A_FILE) -> Iterator[Joined]:
    """Join the files of each day that is over, in commits of their own; ids lead to the same rows as before.

    A file that comes late, or once more after it was joined, is dealt with the next time. What is joined already
    stays as it is. Stopped at any moment, each row is in one file.

    Args:
        now: with a time zone; a day is over once no file that was begun on it can be written any more.
        rows: of a joined file at most.
    """
    if (head := _head(lake)) is None:
        return
    for day, files in _days_before(lake, head, now - LONGEST_FILE).items():
        again, parts = _apart(lake, head, files)
        gone, made = 0, 0
        if again and _commit(lake, dict.fromkeys(again), again, f"remove {len(again)} files that were joined before"):
            gone = len(again)
        for group in _groups(lake, head, parts, rows):
            if len(group) > 1 and _join(lake, head, group):
                gone, made = gone + len(group), made + 1
        if gone:
            yield Joined(day, gone, made)


def forget_days(lake: Lake, *, before: datetime) -> list[str]:
    """Remove the days whose predictions are all older than that moment; returns them, oldest first.

    Their bytes go with `dfp lake gc --history`, once the commits that hold them are older than that.

    Args:
        before: with a time zone.
    """
    head = _head(lake)
    old = _days_before(lake, head, before - LONGEST_FILE) if head else {}
    for day, files in old.items():
        lake.commit(BRANCH, dict.fromkeys(files), message=f"forget the predictions of {day}")
    return list(old)


def _head(lake: Lake) -> CommitId | None:
    """Where predictions stand; None: there are none."""
    try:
        return lake.resolve(BRANCH)
    except NotFoundError:
        return None


def _days_before(lake: Lake, head: CommitId, moment: datetime) -> Mapping[str, Sequence[str]]:
    """Paths of the files of each day, UTC, that was over then."""
    over = (moment.astimezone(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    by_day = groupby(files_in(lake, head), key=lambda path: PurePosixPath(path).parent.name)
    return {day: tuple(paths) for day, paths in by_day if day <= over}


def _apart(lake: Lake, head: CommitId, files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of a day's files, those that came once more after they were joined, and those that were not yet."""
    single = [path for path in files if not is_joined(Path(path).stem)]
    joined = [path for path in files if is_joined(Path(path).stem)] if single else []
    known = {name for path in joined for name in joined_parts(lake, head, path)}
    again = [path for path in single if Path(path).stem in known]
    return again, [path for path in single if Path(path).stem not in known]


def _groups(lake: Lake, head: CommitId, parts: Sequence[str], rows: int) -> Iterator[list[str]]:
    """Files in their order, as many together as have so many rows at most."""
    from pyarrow import parquet

    group, held = list[str](), 0
    for path in parts:
        with lake.open(head, path) as stream:
            count = parquet.ParquetFile(stream).metadata.num_rows
        if group and held + count > rows:
            yield group
            group, held = [], 0
        group.append(path)
        held += count
    if group:
        yield group


def _join(lake: Lake, head: CommitId, group: Sequence[str]) -> bool:
    """One file instead of these, in one commit; False: somebody else was quicker."""
    names = [Path(path).stem for path in group]
    table = together(list(tables_of(lake, head, group)))
    content = written(table, parts=names)
    changes = {**dict.fromkeys(group), joined_path(names[0]): content}
    return _commit(lake, changes, group, f"join {len(group)} files of predictions")


def _commit(lake: Lake, changes: Mapping[str, bytes | None], present: Sequence[str], message: str) -> bool:
    """Commit unless one of the files is gone by then, or what is made is there: no row goes that nothing keeps."""
    folder, made = f"{PurePosixPath(present[0]).parent}/", {path for path, content in changes.items() if content}
    for _ in range(_TRIES):
        head = lake.resolve(BRANCH)
        there = {stat.path for stat in lake.list(head, folder)}
        if not set(present) <= there or made & there:
            return False
        try:
            lake.commit(BRANCH, changes, message=message, expect=head)
            return True
        except StaleHeadError:
            continue
    return False
