"""Whatever comes in whatever order, no retraining is lost and none is made twice."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dfp_platform.lake import open_lake
from dfp_platform.sensors.looking import AT_ONCE
from dfp_platform.sensors.watching import from_cursor
from tests.retraining_world import DATA, MODEL, PATIENCE, RAW, World

BRANCHES = ("main", "feature-x")

_change = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(BRANCHES), st.sampled_from((RAW, DATA, MODEL, "reports/other")), st.sampled_from("AB")),
)
_step = st.tuples(_change, st.sampled_from((1.0, PATIENCE.quiet)), st.sampled_from(("", "succeeds", "fails")))
"""What somebody commits, how long it is until the next tick, and what becomes of the oldest run after it."""


def happen(world: World, change: tuple[str, str, str] | None, seconds: float, run: str) -> None:
    if change is not None:
        branch, asset, text = change
        world.put(branch, asset, f"trained on {world.text(branch, DATA)}" if asset == MODEL else text)
    world.now += seconds
    for request in world.decided().requests:
        assert request.look.head == world.lake.resolve(request.branch), "a run reads what was looked at"
        assert not world.settled(request.branch), "nothing that is settled is trained anew"
    if run and (waiting := world.waiting()):
        world.finish(waiting[0], fails=run == "fails")


@settings(max_examples=15, phases=[Phase.generate])
@given(st.lists(_step, max_size=12))
def test_no_retraining_is_lost_or_made_twice(steps: list[tuple]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(open_lake(Path(folder) / "lake", create=True))
        world.put("main", RAW, "0")
        world.put("main", DATA, "made of 0")
        world.lake.create_branch("feature-x", "main")
        world.epochs["feature-x"] = world.epochs["main"]
        for step in steps:
            happen(world, *step)
            assert set(world.asked.values()) <= {1}, "one run for each change of the inputs of a branch"
            running = [run.request.branch for run in world.waiting()]
            assert len(running) == len(set(running)), "one retraining of a branch at a time"
        failed = {(run.request.branch, run.epoch) for run in world.runs if run.status == "FAILURE"}
        world.come_to_rest()
        assert set(world.asked.values()) <= {1}
        for branch in BRANCHES:
            assert world.settled(branch) or (branch, world.epochs[branch]) in failed, branch


def test_more_branches_than_a_tick_looks_at_are_all_looked_at_in_a_few() -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(open_lake(Path(folder) / "lake", create=True))
        world.put("main", DATA, "made of nothing")
        for number in range(AT_ONCE + 10):
            world.lake.create_branch(f"feature-{number}")
        world.decided()
        assert len(from_cursor(world.cursor)) == AT_ONCE
        world.decided()
        assert len(from_cursor(world.cursor)) == AT_ONCE + 11
