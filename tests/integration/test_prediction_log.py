"""The prediction log: nothing that was answered is lost or logged twice, whatever stops when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfp_platform.errors import InvalidNameError, NotFoundError, UnreachableError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.serving.prediction_files import feature_names, find_prediction, read_predictions
from dfp_platform.serving.prediction_log import SET_ASIDE, PredictionLog
from dfp_platform.serving.prediction_spool import SUFFIX, segments_in
from dfp_platform.serving.predictions import BRANCH, Origin, PredictionId
from tests.local_servers import until
from tests.predictions import FEATURES, UnsteadyLake, answerer, answers

NEVER = 3_600.0


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def logged_ids(lake: Lake) -> list[str]:
    return read_predictions(lake)["prediction_id"].to_pylist()


def test_a_row_says_what_was_asked_who_answered_and_what(lake: Lake, spool: Path) -> None:
    log = PredictionLog(lake, spool=spool, seconds=NEVER)
    online = Origin("online-7", "b" * 40)
    first = log.add(answers(answerer(), 0.25, 0.75, request="r-1", origins=[Origin("request"), online]))
    shadow = log.add(answers(answerer(role="challenger", version="4", threshold=0.1), 0.25, request="r-1"))
    log.close()
    rows = read_predictions(lake)
    assert rows["prediction_id"].to_pylist() == [*first, *shadow]
    assert rows["features_from"].to_pylist() == ["request", "online-7", "request"]
    assert rows["features_commit"].to_pylist() == ["", "b" * 40, ""]
    assert rows["score"].to_pylist() == [0.25, 0.75, 0.25]
    assert rows["label"].to_pylist() == [0, 1, 1]
    assert rows["reconstruction_error"].to_pylist() == [0.5, 1.5, 0.5]
    assert rows["role"].to_pylist() == ["champion", "champion", "challenger"]
    assert rows["model_version"].to_pylist() == ["3", "3", "4"]
    assert rows["sha256"].to_pylist() == [f"{0:064x}", f"{1:064x}", f"{0:064x}"]
    assert [vector[0] for vector in rows["vector"].to_pylist()] == [0.0, 1.0, 0.0]
    assert feature_names(rows, rows["schema"][0].as_py()) == FEATURES
    assert abs(rows["time"][0].as_py() - datetime.now(UTC)) < timedelta(minutes=1)


def test_models_of_other_features_share_a_file(lake: Lake, spool: Path) -> None:
    log = PredictionLog(lake, spool=spool, seconds=NEVER)
    wide = answerer(features=(*FEATURES, "perm_camera"))
    log.add(answers(answerer(), 0.1))
    log.add(answers(wide, 0.2))
    log.close()
    rows = read_predictions(lake)
    assert [len(vector) for vector in rows["vector"].to_pylist()] == [3, 4]
    assert feature_names(rows, wide.schema) == wide.features


def test_the_branch_begins_at_the_first_commit_and_main_is_left_alone(lake: Lake, spool: Path) -> None:
    first = lake.resolve("main")
    head = lake.commit("main", {"raw/apps": b"rows"}, message="land")
    log = PredictionLog(lake, spool=spool, seconds=NEVER)
    log.add(answers(answerer(), 0.1))
    log.close()
    assert lake.resolve("main") == head
    (commit, *before) = lake.log(BRANCH)
    assert [old.id for old in before] == [first]
    assert commit.metadata["rows"] == "1"


def test_a_file_comes_into_the_lake_when_it_is_old_or_full(lake: Lake, spool: Path) -> None:
    log = PredictionLog(lake, spool=spool, seconds=0.1)
    log.add(answers(answerer(), 0.1))
    until(lambda: log.counts.committed == 1)
    log.close()
    full = PredictionLog(lake, spool=spool, seconds=NEVER, most_rows=2)
    for _ in range(3):
        full.add(answers(answerer(), 0.1, 0.2))
    until(lambda: full.counts.committed == 4)
    assert full.counts.pending == 2
    full.close()
    assert len(set(logged_ids(lake))) == 7


KILLED = """
import os, sys, time
from pathlib import Path
from dfp_platform.lake import open_lake
from dfp_platform.serving.prediction_log import PredictionLog
from tests.predictions import answerer, answers
log = PredictionLog(open_lake(Path(sys.argv[1])), spool=Path(sys.argv[2]), seconds=3600.0)
model = answerer()
for number in range(100_000):
    print(log.add(answers(model, 0.5, first=number))[0], flush=True)
"""


def test_kill_9_loses_nothing_that_was_answered(lake: Lake, spool: Path) -> None:
    command = [sys.executable, "-c", KILLED, lake.uri, str(spool)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [child.stdout.readline().strip() for _ in range(200)]
        os.kill(child.pid, signal.SIGKILL)
        told += child.stdout.read().split()
    assert segments_in(spool)
    PredictionLog(lake, spool=spool, seconds=NEVER).close()
    there = logged_ids(lake)
    assert set(told) - {told[-1]} <= set(there)  # the last line may have been cut by the pipe
    assert len(there) == len(set(there))
    assert not segments_in(spool)


WRITING = """
import sys
from pathlib import Path
from dfp_platform.lake import open_lake
from dfp_platform.serving.prediction_log import PredictionLog
from tests.predictions import answerer, answers
log = PredictionLog(open_lake(Path(sys.argv[1])), spool=Path(sys.argv[2]), seconds=0.05, most_rows=20)
model = answerer()
for number in range(100):
    print(log.add(answers(model, 0.5, first=number))[0])
log.close(patience=60.0)
"""


def test_processes_that_log_at_once_race_for_the_branch_and_lose_nothing(lake: Lake, spool: Path) -> None:
    """Two share a spool, as workers of one machine; the third has its own, as another machine."""
    places = [spool, spool, spool.with_name("elsewhere")]
    commands = [[sys.executable, "-c", WRITING, lake.uri, str(place)] for place in places]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    told = [id for child in children for id in child.communicate(timeout=120)[0].split()]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len(set(told)) == 300
    assert sorted(logged_ids(lake)) == sorted(told)
    assert not [file for place in places for file in segments_in(place)]


def test_what_a_living_process_writes_is_left_to_it(lake: Lake, spool: Path) -> None:
    living = PredictionLog(lake, spool=spool, seconds=NEVER)
    living.add(answers(answerer(), 0.1))
    PredictionLog(lake, spool=spool, seconds=NEVER).close()
    assert BRANCH not in lake.branches()
    living.close()
    assert len(logged_ids(lake)) == 1


def test_a_file_whose_last_record_was_cut_keeps_the_rest(lake: Lake, spool: Path) -> None:
    gone = UnsteadyLake(lake)
    log = PredictionLog(gone, spool=spool, seconds=NEVER)
    kept = log.add(answers(answerer(), 0.1))
    log.add(answers(answerer(), 0.2))
    log.close()
    (file,) = segments_in(spool)
    file.write_bytes(file.read_bytes()[:-5])
    PredictionLog(lake, spool=spool, seconds=NEVER).close()
    assert logged_ids(lake) == kept


def test_a_file_that_was_committed_before_its_process_died_is_no_second_file(lake: Lake, spool: Path) -> None:
    gone = UnsteadyLake(lake)
    log = PredictionLog(gone, spool=spool, seconds=NEVER)
    log.add(answers(answerer(), 0.1))
    log.close()
    (file,) = segments_in(spool)
    left = file.read_bytes()
    PredictionLog(lake, spool=spool, seconds=NEVER).close()
    head = lake.resolve(BRANCH)
    file.write_bytes(left)  # as if the process had died between the commit and the removal
    PredictionLog(lake, spool=spool, seconds=NEVER).close()
    assert lake.resolve(BRANCH) == head
    assert not file.exists()


@pytest.mark.parametrize("error", [UnreachableError("away", hint="wait"), RuntimeError("nobody thought of this")])
def test_answers_go_on_while_the_lake_is_gone_and_reach_it_later(lake: Lake, spool: Path, error: Exception) -> None:
    gone = UnsteadyLake(lake, error)
    log = PredictionLog(gone, spool=spool, seconds=0.05)
    told = log.add(answers(answerer(), 0.1))
    until(lambda: log.counts.failures)
    told += log.add(answers(answerer(), 0.2))
    assert log.counts.pending == 2
    gone.gone = False
    until(lambda: log.counts.committed == 2)
    assert log.counts.pending == 0
    log.close()
    assert logged_ids(lake) == told


def test_a_full_spool_drops_the_oldest_and_says_how_many(lake: Lake, spool: Path) -> None:
    gone = UnsteadyLake(lake)
    log = PredictionLog(gone, spool=spool, seconds=NEVER, most_rows=1, most_bytes=2_500)
    told = [log.add(answers(answerer(), 0.1, first=number))[0] for number in range(10)]
    counts = log.counts
    assert counts.dropped > 0
    assert counts.dropped + counts.pending == counts.spooled == 10
    assert sum(file.stat().st_size for file in segments_in(spool)) < 4_000
    gone.gone = False
    log.close()
    kept = logged_ids(lake)
    assert len(kept) == 10 - counts.dropped
    assert kept[-1] == told[-1]  # what the thread just tries to bring away is not dropped, however old


def test_a_disk_that_takes_nothing_stops_no_answer(lake: Lake, spool: Path) -> None:
    log = PredictionLog(lake, spool=spool, seconds=NEVER)
    spool.rmdir()
    first, second = (log.add(answers(answerer(), 0.1))[0] for _ in range(2))
    assert first != second
    assert PredictionId.parse(first).row == 0
    assert log.counts.dropped == 2
    spool.mkdir()
    kept = log.add(answers(answerer(), 0.1))
    log.close()
    assert logged_ids(lake) == kept


def test_a_file_that_cannot_be_read_holds_no_other_up(lake: Lake, spool: Path) -> None:
    spool.mkdir()
    (spool / f"notes{SUFFIX}").write_bytes(b"not ours")
    strange = spool / f"20200101000000-aaaaaaaa{SUFFIX}"
    payload = b"{"
    strange.write_bytes(b"".join(n.to_bytes(4, "little") for n in (1, zlib.crc32(payload), 1)) + payload)
    log = PredictionLog(lake, spool=spool, seconds=NEVER)
    kept = log.add(answers(answerer(), 0.1))
    log.close()
    assert logged_ids(lake) == kept
    assert strange.with_suffix(SET_ASIDE).exists()


def test_a_file_without_a_row_is_removed_and_makes_no_commit(lake: Lake, spool: Path) -> None:
    spool.mkdir()
    (spool / f"20200101000000-aaaaaaaa{SUFFIX}").touch()
    PredictionLog(lake, spool=spool, seconds=NEVER).close()
    assert BRANCH not in lake.branches()
    assert not list(spool.iterdir())


def test_a_forked_child_logs_nothing_in_its_parents_name(lake: Lake, spool: Path) -> None:
    log = PredictionLog(lake, spool=spool, seconds=NEVER)
    mine = log.add(answers(answerer(), 0.1))
    log._process = -1  # as a child sees it; a real fork of a process with threads is what Python warns of
    other = log.add(answers(answerer(), 0.1))
    log._process = os.getpid()
    log.close()
    assert logged_ids(lake) == mine
    assert other != mine


def test_one_prediction_is_found_in_the_lake_and_before_that_in_the_spool(lake: Lake, spool: Path) -> None:
    log = PredictionLog(lake, spool=spool, seconds=NEVER)
    _, told = log.add(answers(answerer(), 0.25, 0.75))
    named = PredictionId.parse(told)
    row, commit = find_prediction(lake, named, spool=spool)
    assert (row["score"], row["vector"]["sys_read"], commit) == (0.75, 1.0, "")
    log.close()
    again, commit = find_prediction(lake, named, spool=spool)
    assert commit == lake.resolve(BRANCH)
    assert again["prediction_id"] == row["prediction_id"] == told
    for strange in (PredictionId(named.file, 2), PredictionId("20200101000000-aaaaaaaa", 0)):
        with pytest.raises(NotFoundError):
            find_prediction(lake, strange, spool=spool)


def test_one_prediction_of_a_large_file_is_found_at_its_place(lake: Lake, spool: Path) -> None:
    log = PredictionLog(lake, spool=spool, seconds=NEVER)
    told = [id for part in range(5) for id in log.add(answers(answerer(), *[0.1] * 500, first=500 * part))]
    log.close()
    for row in (0, 1_023, 1_024, 2_499):
        found, _ = find_prediction(lake, PredictionId.parse(told[row]), spool=spool)
        assert (found["prediction_id"], found["vector"]["sys_read"]) == (told[row], float(row))
    with pytest.raises(NotFoundError):
        find_prediction(lake, PredictionId(PredictionId.parse(told[0]).file, 5_000), spool=spool)


def test_an_id_reads_back_and_nothing_else_does() -> None:
    told = PredictionId("20261126123456-k3f9x2ab", 17)
    assert str(told) == "p-20261126123456-k3f9x2ab-000017"
    with pytest.raises(InvalidNameError):
        PredictionId.parse("p-20261126123456-k3f9x2ab-17")
    real = PredictionId("20261126123456-k3f7x2ab", 17)
    assert PredictionId.parse(str(real)) == real
    assert real.path == "predictions/2026-11-26/20261126123456-k3f7x2ab.parquet"


def test_a_window_of_time_reads_its_own_rows_alone(lake: Lake, spool: Path) -> None:
    days = iter([datetime(2026, 11, day, 23, 59, tzinfo=UTC).timestamp() for day in (1, 2, 3)])
    now = {"at": next(days)}
    told = []
    for _ in range(3):
        log = PredictionLog(lake, spool=spool, seconds=NEVER, clock=lambda: now["at"])
        told += log.add(answers(answerer(), 0.1))
        log.close()
        now["at"] = next(days, 0.0)
    since, end = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
    assert read_predictions(lake, since=since, until=end)["prediction_id"].to_pylist() == [told[1]]
    assert read_predictions(lake, since=since)["prediction_id"].to_pylist() == told[1:]


def test_threads_and_logs_that_write_at_once_lose_nothing(lake: Lake, spool: Path) -> None:
    logs = [PredictionLog(open_lake(lake.uri), spool=spool, seconds=0.05, most_rows=7) for _ in range(2)]
    told: list[list[str]] = [[] for _ in range(4)]

    def write(number: int) -> None:
        model = answerer()
        for row in range(50):
            told[number] += logs[number % 2].add(answers(model, 0.1, 0.2, first=row))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log in logs:
        log.close()
    until(lambda: not segments_in(spool))  # each may have been bringing files of the other
    assert sorted(logged_ids(lake)) == sorted(id for ids in told for id in ids)
    assert sum(log.counts.committed for log in logs) == 400


@settings(max_examples=15)
@given(
    batches=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    most_rows=st.integers(5, 9),
    restart_after=st.integers(0, 8),
    gone=st.booleans(),
)
def test_every_row_is_in_the_lake_once_after_close(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int], most_rows: int, restart_after: int, gone: bool
) -> None:
    folder = tmp_path_factory.mktemp("log")
    lake = open_lake(folder / "lake", create=True)
    unsteady = UnsteadyLake(lake)
    unsteady.gone = gone
    told = []
    log = PredictionLog(unsteady, spool=folder / "spool", seconds=NEVER, most_rows=most_rows)
    for number, count in enumerate(batches):
        if number == restart_after:
            log.close()
            unsteady.gone = False
            log = PredictionLog(unsteady, spool=folder / "spool", seconds=NEVER, most_rows=most_rows)
        told += log.add(answers(answerer(), *[0.1] * count))
    unsteady.gone = False
    log.close()
    PredictionLog(lake, spool=folder / "spool", seconds=NEVER).close()
    assert sorted(logged_ids(lake)) == sorted(told)
    assert len(set(told)) == sum(batches)
