"""Days of predictions that are over: joined, found, read and looked at as before, and forgotten after a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfp_platform.errors import NotFoundError, StaleHeadError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.serving.prediction_days import Joined, forget_days, join_days
from dfp_platform.serving.prediction_files import find_prediction, joined_parts, read_predictions
from dfp_platform.serving.prediction_log import PredictionLog
from dfp_platform.serving.predictions import BRANCH, FOLDER, PredictionId, is_joined
from dfp_platform.serving.traffic import look
from tests.predictions import answerer, answers

FIRST = datetime(2026, 11, 1, 8, tzinfo=UTC)
LATER = FIRST + timedelta(days=9)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def logged(lake: Lake, spool: Path, *, at: datetime, rows: int = 2, **told: Any) -> list[str]:
    """The ids of one file, begun at that moment."""
    log = PredictionLog(lake, spool=spool, seconds=3_600.0, clock=at.timestamp)
    ids = log.add(answers(answerer(**told), *[0.1] * rows))
    log.close()
    return ids


def files(lake: Lake) -> list[str]:
    return [Path(each.path).stem for each in lake.list(BRANCH, f"{FOLDER}/")]


def ids(lake: Lake, **window: datetime) -> list[str]:
    return read_predictions(lake, **window)["prediction_id"].to_pylist()


def test_a_day_that_is_over_becomes_one_file_and_every_id_leads_to_its_row(lake: Lake, spool: Path) -> None:
    hours = [FIRST + timedelta(hours=hour) for hour in range(4)]
    told = [id for at in hours for id in logged(lake, spool, at=at)]
    other = logged(lake, spool, at=FIRST + timedelta(hours=5), features=("sys_read",))
    young = logged(lake, spool, at=LATER - timedelta(hours=30))
    before = read_predictions(lake).to_pylist()
    commits = lake.resolve(BRANCH)
    assert list(join_days(lake, now=LATER)) == [Joined("2026-11-01", 5, 1)]
    assert [is_joined(name) for name in files(lake)] == [True, False], "the young day stays as it is"
    np.testing.assert_equal(read_predictions(lake).to_pylist(), before)  # NaN is NaN
    for named in (*told, *other, *young):
        row, commit = find_prediction(lake, PredictionId.parse(named), spool=spool)
        assert (row["prediction_id"], commit) == (named, lake.resolve(BRANCH))
    assert [*row_of(lake, other[0], spool)["vector"]] == ["sys_read"], "each row keeps the names of its features"
    assert lake.show(BRANCH).parents[0] == commits, "in one commit"
    with pytest.raises(NotFoundError):
        row_of(lake, told[0].replace("-000000", "-000777"), spool)
    assert list(join_days(lake, now=LATER)) == [], "again changes nothing"


def row_of(lake: Lake, named: str, spool: Path) -> dict[str, Any]:
    return find_prediction(lake, PredictionId.parse(named), spool=spool)[0]


def test_a_window_of_time_reads_joined_files_too(lake: Lake, spool: Path) -> None:
    told = [logged(lake, spool, at=FIRST + timedelta(hours=6 * part)) for part in range(8)]
    list(join_days(lake, now=LATER))
    since, until = FIRST + timedelta(hours=12), FIRST + timedelta(hours=30)
    assert ids(lake, since=since, until=until) == [id for part in told[2:5] for id in part]


def test_a_file_holds_so_many_rows_at_most_and_one_by_itself_stays(lake: Lake, spool: Path) -> None:
    for hour in range(5):
        logged(lake, spool, at=FIRST + timedelta(hours=hour), rows=3)
    assert list(join_days(lake, now=LATER, rows=7)) == [Joined("2026-11-01", 4, 2)]
    assert sorted(map(is_joined, files(lake))) == [False, True, True]
    assert len(set(ids(lake))) == 15


def test_a_file_that_comes_late_is_joined_later_and_one_that_comes_again_goes(lake: Lake, spool: Path) -> None:
    for hour in range(3):
        logged(lake, spool, at=FIRST + timedelta(hours=hour))
    content = {each.path: lake.read(BRANCH, each.path) for each in lake.list(BRANCH, f"{FOLDER}/")}
    list(join_days(lake, now=LATER))
    held = ids(lake)
    again = next(iter(content))
    late = logged(lake, spool, at=FIRST + timedelta(minutes=30))
    lake.commit(BRANCH, {again: content[again]}, message="a machine that died after its commit brings its file again")
    assert list(join_days(lake, now=LATER)) == [Joined("2026-11-01", 1, 0)]
    assert ids(lake) == sorted([*held, *late]), "each row once, in the order of ids"
    late += logged(lake, spool, at=FIRST + timedelta(minutes=40))
    assert list(join_days(lake, now=LATER)) == [Joined("2026-11-01", 2, 1)]
    assert ids(lake) == sorted([*held, *late])
    assert row_of(lake, late[0], spool)["prediction_id"] == late[0]


def test_a_look_takes_nothing_twice_that_was_joined_and_all_that_came_late(lake: Lake, spool: Path) -> None:
    logged(lake, spool, at=FIRST)
    first = look(lake)
    assert first is not None
    new = logged(lake, spool, at=FIRST + timedelta(hours=1)) + logged(lake, spool, at=FIRST + timedelta(hours=2))
    list(join_days(lake, now=LATER))
    second = look(lake, since=first.until)
    assert second is not None
    assert (second.rows["prediction_id"].to_pylist(), second.left_out) == (new, 0)
    for _ in range(2):
        last = logged(lake, spool, at=LATER)
    assert len(files(lake)) == 3
    third = look(lake, since=second.until)
    assert third is not None
    list(join_days(lake, now=LATER + timedelta(days=9)))
    assert look(lake, since=third.until) is None, "only files were joined since"
    assert last[0] in third.rows["prediction_id"].to_pylist()
    anew = look(lake)
    assert anew is not None
    assert anew.rows["prediction_id"].to_pylist() == ids(lake)


def test_two_who_join_at_once_beside_a_log_keep_every_row_once(lake: Lake, spool: Path, tmp_path: Path) -> None:
    told = [id for hour in range(6) for id in logged(lake, spool, at=FIRST + timedelta(hours=hour))]
    stop = threading.Event()

    def go_on_logging() -> list[str]:
        more = list[str]()
        while not stop.is_set():
            more += logged(open_lake(lake.uri), tmp_path / "other", at=LATER + timedelta(seconds=len(more)))
        return more

    with ThreadPoolExecutor(3) as pool:
        log = pool.submit(go_on_logging)
        joins = [pool.submit(lambda: list(join_days(open_lake(lake.uri), now=LATER, rows=5))) for _ in range(2)]
        for join in joins:
            join.result()
        stop.set()
        told += log.result()
    assert ids(lake) == sorted(told)
    parts = [joined_parts(lake, BRANCH, each.path) for each in lake.list(BRANCH) if is_joined(Path(each.path).stem)]
    assert sum(map(len, parts)) == len(frozenset().union(*parts)) == 6


@pytest.mark.parametrize("brought_again", [False, True])
def test_what_another_joined_meanwhile_is_left_alone(
    lake: Lake, spool: Path, monkeypatch: pytest.MonkeyPatch, brought_again: bool
) -> None:
    """The other one comes between the reading and the commit, when one more file is there."""
    told = [id for hour in range(3) for id in logged(lake, spool, at=FIRST + timedelta(hours=hour))]
    content = {each.path: lake.read(BRANCH, each.path) for each in lake.list(BRANCH, f"{FOLDER}/")}
    other, commit, tried = open_lake(lake.uri), type(lake).commit, []

    def late(self: Lake, *given: Any, **named: Any) -> Any:
        if self is lake and not tried:
            tried.append(True)
            told.extend(logged(other, spool, at=FIRST + timedelta(hours=4)))
            list(join_days(other, now=LATER))
            if brought_again:
                commit(other, BRANCH, content, message="a machine brings its files again")
            raise StaleHeadError("the branch moved", hint="again", branch=BRANCH)
        return commit(self, *given, **named)

    monkeypatch.setattr(type(lake), "commit", late)
    assert list(join_days(lake, now=LATER)) == []
    list(join_days(other, now=LATER))
    assert (tried, ids(lake)) == ([True], sorted(told))


def test_days_are_forgotten_whole_once_all_in_them_is_old(lake: Lake, spool: Path) -> None:
    gone = [logged(lake, spool, at=FIRST), logged(lake, spool, at=FIRST + timedelta(hours=1))]
    kept = [logged(lake, spool, at=FIRST + timedelta(days=day)) for day in (1, 2)]
    list(join_days(lake, now=LATER))
    assert forget_days(lake, before=FIRST + timedelta(days=1)) == [], "a file may be written for a day"
    assert forget_days(lake, before=datetime(2026, 11, 3, tzinfo=UTC)) == ["2026-11-01"]
    assert ids(lake) == [id for file in kept for id in file]
    with pytest.raises(NotFoundError, match="no prediction"):
        row_of(lake, gone[0][0], spool)
    assert forget_days(lake, before=datetime(2026, 11, 3, tzinfo=UTC)) == []


def test_a_lake_without_predictions_has_nothing_to_join_or_forget(lake: Lake) -> None:
    assert (list(join_days(lake, now=LATER)), forget_days(lake, before=LATER)) == ([], [])
