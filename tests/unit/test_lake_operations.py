"""What is done to a lake is counted over all its processes, whatever becomes of them."""

from __future__ import annotations

import fcntl
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dfp_platform.errors import (
    CorruptLakeError,
    MergeConflictError,
    NotFoundError,
    StaleHeadError,
    UnreachableError,
)
from dfp_platform.lake import open_lake
from dfp_platform.lake.operations import BOUNDS, Operations, outcome_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "operations"


def done(operations: Operations, operation="commit") -> int:
    return operations.everywhere()[operation].outcomes["done"]


def test_a_time_falls_into_the_bucket_whose_bound_it_does_not_exceed(file):
    operations = Operations(file)
    for seconds in (0.0001, 0.0005, 0.0006, 61.0):
        operations.record("merge", seconds)
    found = operations.everywhere()["merge"]
    assert (found.buckets[0], found.buckets[1], found.buckets[len(BOUNDS)], sum(found.buckets)) == (2, 1, 1, 4)
    assert found.seconds == pytest.approx(61.0012)


def test_what_did_not_come_about_is_counted_and_not_timed(file):
    operations = Operations(file)
    operations.record("commit", 5.0, "moved")
    found = operations.everywhere()["commit"]
    assert (found.outcomes["moved"], found.outcomes["done"], sum(found.buckets), found.seconds) == (1, 0, 0, 0.0)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (MergeConflictError("both"), "conflict"),
        (StaleHeadError("moved"), "moved"),
        (NotFoundError("no"), "refused"),
        (CorruptLakeError("bytes"), "failed"),
        (UnreachableError("away"), "failed"),
        (OSError("disk"), "failed"),
    ],
)
def test_an_error_says_what_an_operation_came_to(error, outcome):
    assert outcome_of(error) == outcome


ADDED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from dfp_platform.lake.operations import Operations
ours = Operations(Path(sys.argv[1]))
for _ in range(50):
    ours.record("commit", 0.01)
while not ours.tell():
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_add_up_and_one_that_is_killed_takes_nothing_with_it(file):
    children = [subprocess.Popen([sys.executable, "-c", ADDED_AND_KILLED, file]) for _ in range(3)]
    assert [child.wait() for child in children] == [-signal.SIGKILL] * 3
    assert done(Operations(file)) == 3 * 50


FORKED = """
import os, sys
from pathlib import Path
from dfp_platform.lake.operations import Operations
ours = Operations(Path(sys.argv[1]))
ours.record("commit", 0.01)
ours.record("read", 0.01)  # waits
child = os.fork()
ours.record("commit", 0.01) if child == 0 else os.waitpid(child, 0)
"""


def test_reads_of_a_parent_are_not_told_again_by_its_child_and_are_told_at_its_end(file):
    subprocess.run([sys.executable, "-c", FORKED, file], check=True)
    assert (done(Operations(file), "read"), done(Operations(file))) == (1, 2)


def test_a_lock_that_is_not_given_back_keeps_nobody_from_work_and_loses_nothing(file):
    operations = Operations(file)
    operations.record("commit", 0.01)
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        operations.record("commit", 0.01)
        assert done(Operations(file)) == 1
    operations.record("commit", 0.01)
    assert done(Operations(file)) == 3


@pytest.mark.parametrize("content", [b"", b"other", b"dfp-op1\n" + bytes(9), bytes(10_000)])
def test_a_file_that_another_version_wrote_begins_anew(file, content):
    file.write_bytes(content)
    operations = Operations(file)
    operations.record("revert", 0.01)
    assert done(operations, "revert") == 1
    assert done(Operations(file), "revert") == 1


def test_where_nothing_can_be_written_a_process_counts_for_itself(tmp_path):
    operations = Operations(tmp_path / "nowhere" / "operations")
    operations.record("commit", 0.01)
    assert done(operations) == 1
    assert done(pickle.loads(pickle.dumps(operations))) == 0


def test_a_lake_counts_what_is_done_to_it(tmp_path):
    lake = open_lake(tmp_path / "lake", create=True)
    head = lake.commit("main", {"a": b"1"}, message="a")
    lake.create_branch("b")
    lake.commit("b", {"a": b"2"}, message="theirs")
    lake.commit("main", {"a": b"3"}, message="ours")
    with pytest.raises(MergeConflictError):
        lake.merge("b", message="both")
    with pytest.raises(StaleHeadError):
        lake.commit("main", {"a": b"4"}, message="late", expect=head)
    with pytest.raises(NotFoundError):
        lake.read("main", "nothing")
    lake.revert("main", "main")
    assert lake.read("main", "a") == b"1"
    found = open_lake(lake.uri).operations.everywhere()
    told = {(name, outcome): n for name, each in found.items() for outcome, n in each.outcomes.items() if n}
    lake.operations.tell()
    told |= {("read", "done"): open_lake(lake.uri).operations.everywhere()["read"].outcomes["done"]}
    assert told == {
        ("commit", "done"): 3,
        ("commit", "moved"): 1,
        ("merge", "conflict"): 1,
        ("read", "refused"): 1,
        ("read", "done"): 1,
        ("revert", "done"): 1,
    }
