"""`SIGKILL` between the first write and RUN_SUCCESS: `main` is before or after, and everything can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from dfp_platform.lake.ownership import run_branch
from dfp_platform.publishing.promotions import settle
from dfp_platform.publishing.publication import Publisher
from dfp_platform.publishing.reconciler import reconcile
from dfp_platform.settings import PROJECT_ROOT
from tests.local_servers import until
from tests.toy_harness import Toy, toy

__all__ = ["toy"]

POINTS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "promotions", "pages"]
"""After each lake write of a run: branch, owner, a, b, c, verdicts, publishing, merge, the branch's end."""


def start(toy: Toy, point: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.toy_run", str(toy.home), point],
        cwd=PROJECT_ROOT,
        env={**os.environ, "DFP_HOME": str(toy.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def mend(toy: Toy) -> None:
    reconcile(Publisher(toy.lake, toy.instance, toy.graph, settle))


def publications(toy: Toy) -> int:
    return sum("published" in commit.metadata for commit in toy.lake.log("main"))


DISK_POINTS = [f"disk {number}" for number in range(40, 168, 8)]
"""Changes of the disk, by Dagster too, from when a run has its branch. Before that the lake knows nothing of it."""


@pytest.mark.parametrize("point", [*POINTS, *(pytest.param(point, marks=pytest.mark.slow) for point in DISK_POINTS)])
def test_a_killed_run_leaves_main_whole_and_can_be_carried_on(toy: Toy, point: str) -> None:
    died = start(toy, point).wait(timeout=120)
    assert died == -signal.SIGKILL or (died == 0 and point.startswith("disk ")), "a run that made fewer changes is done"
    assert toy.text("a") in (None, "a1")
    assert (toy.text("a") is None) == (toy.text("c") is None), "never half of a run"
    published, dead = toy.text("c") is not None, toy.instance.get_runs(limit=1)[0].run_id
    if point == "5":
        assert toy.publish(dead).reasons, "who asks for it notices by himself: it said that the run still runs"
    elif point != "4":  # there the rerun does; it ended in a traceback of Dagster
        mend(toy)
    run = toy.instance.get_runs(limit=1)[0]
    if point != "4":
        assert toy.pages_equal_main()
        assert run.is_finished, "nobody waits for a dead process"
    if published:
        assert run_branch(run.run_id) not in toy.lake.branches()
    else:
        again = toy.rerun(run.run_id)
        assert again.success, again
    assert toy.text("c") == "a1>b1>c1"
    assert publications(toy) == 1
    assert toy.pages_equal_main()
    assert toy.lake.verify() == []
    mend(toy)
    assert publications(toy) == 1


@pytest.mark.parametrize("point", ["disk 16", "disk 24"])
def test_a_run_killed_before_it_has_a_branch_ends_and_another_can_be_run(toy: Toy, point: str) -> None:
    """Such a run was seen as running for ever: its process had not yet said which it is."""
    assert start(toy, point).wait(timeout=120) == -signal.SIGKILL
    mend(toy)
    assert all(run.is_finished for run in toy.instance.get_runs())
    assert toy.run().success
    assert toy.pages_equal_main()


def test_a_step_process_that_outlives_its_killed_run_can_write_nothing(toy: Toy) -> None:
    toy.turn("inner", "multiprocess")
    toy.turn("a", "wait")
    leader = start(toy, "never")
    waiting = toy.home / "toy" / "a.waiting"
    try:
        until(waiting.exists, said=lambda: "the step never began")
        os.kill(leader.pid, signal.SIGKILL)
        leader.wait(timeout=10)
        mend(toy)
        run = toy.instance.get_runs(limit=1)[0]
        head = toy.lake.resolve(run_branch(run.run_id))
        toy.turn("a", "")
        time.sleep(3.0)
        assert toy.lake.resolve(run_branch(run.run_id)) == head, "the orphan wrote after its run was sealed"
    finally:
        with suppress(ProcessLookupError):  # the orphan found itself fenced and ended
            os.killpg(leader.pid, signal.SIGKILL)
    toy.turn("inner", "in_process")
    again = toy.rerun(run.run_id)
    assert again.success, again
    assert toy.text("c") == "a1>b1>c1"


def test_two_runs_racing_publish_one_after_the_other_or_hold_one_back(toy: Toy) -> None:
    racers = [start(toy, "never") for _ in range(2)]
    ends = sorted(racer.wait(timeout=90) for racer in racers)
    assert ends[0] == 0, "one of them is published"
    assert toy.text("c") == "a1>b1>c1"
    mend(toy)
    assert toy.pages_equal_main()
