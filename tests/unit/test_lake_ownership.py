"""Who may write to a run's branch: the marker every write expects, and how it changes hands."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dfp_platform.errors import (
    AlreadyExistsError,
    FencedError,
    MergeConflictError,
    ReadOnlyError,
    StaleHeadError,
)
from dfp_platform.lake import Lake, open_lake
from dfp_platform.lake.ownership import (
    LEASE_SECONDS,
    OWNER_PATH,
    OwnedLake,
    Ownership,
    open_run_branch,
    read_ownership,
    renew_lease,
    run_branch,
    transaction_prefix,
    transition,
)

RUN, OTHER = "r1", "r2"
BRANCH = run_branch(RUN)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake whose run r1 has begun."""
    lake = open_lake(tmp_path / "lake", create=True)
    lake.commit("main", {"a": b"1"}, message="first")
    open_run_branch(lake, Ownership(RUN, "main", lake.resolve("main")), source="main")
    return lake


@pytest.fixture
def owned(lake: Lake) -> OwnedLake:
    return OwnedLake(lake, RUN, {"run": RUN})


def change(lake: Lake, branch: str = BRANCH, **fields: Any) -> str:
    return transition(lake, branch, lambda o: replace(o, **fields), message="changed by the test")


# -- the marker -------------------------------------------------------------------------------------------------


def test_a_marker_reads_back_as_it_was_written() -> None:
    marker = Ownership(
        RUN, None, "abc", state="held", lease_until=1.5, reasons=("x",), steps=("s",), complete=True, redo=False
    )
    assert Ownership.from_bytes(marker.to_bytes()) == marker


def test_a_run_branch_begins_at_its_source_with_a_lease_in_the_future(lake: Lake) -> None:
    marker = read_ownership(lake, BRANCH)
    assert marker is not None
    assert (marker.run_id, marker.target, marker.state) == (RUN, "main", "open")
    assert marker.lease_until > 0
    assert [d.path for d in lake.diff("main", BRANCH)] == [OWNER_PATH]


def test_a_run_branch_is_opened_once(lake: Lake) -> None:
    with pytest.raises(AlreadyExistsError):
        open_run_branch(lake, Ownership(RUN, "main", lake.resolve("main")), source="main")


def test_a_ref_that_is_no_runs_branch_has_no_owner(lake: Lake) -> None:
    assert read_ownership(lake, "main") is None


# -- writing under it -------------------------------------------------------------------------------------------


def test_an_owner_writes_its_branch_and_every_commit_says_so(lake: Lake, owned: OwnedLake) -> None:
    owned.commit(BRANCH, {"b": b"2"}, message="write b", metadata={"asset": "b"})
    assert lake.read(BRANCH, "b") == b"2"
    assert lake.show(BRANCH).metadata == {"run": RUN, "asset": "b"}
    assert not lake.exists("main", "b")


def test_more_metadata_is_added_to_what_a_view_carries(lake: Lake, owned: OwnedLake) -> None:
    owned.with_metadata({"asset": "b"}).commit(BRANCH, {"b": b"2"}, message="write b")
    assert lake.show(BRANCH).metadata == {"run": RUN, "asset": "b"}


@pytest.mark.parametrize("branch", ["main", run_branch(OTHER), f"{transaction_prefix(OTHER)}1", "elsewhere"])
def test_a_run_writes_no_branch_but_its_own(lake: Lake, owned: OwnedLake, branch: str) -> None:
    before = lake.branches()
    with pytest.raises(ReadOnlyError, match="only to its own branch"):
        owned.commit(branch, {"b": b"2"}, message="write b")
    with pytest.raises(ReadOnlyError, match="only to its own branch"):
        owned.merge(BRANCH, branch, message="merge")
    with pytest.raises(ReadOnlyError), owned.transaction(branch, message="transaction"):
        pytest.fail("a transaction on a foreign branch began")
    assert lake.branches() == before


def test_without_a_run_nothing_is_written(lake: Lake) -> None:
    reader = OwnedLake(lake, None)
    with pytest.raises(ReadOnlyError) as refused:
        reader.commit("main", {"b": b"2"}, message="write b")
    assert "dfp run" in refused.value.hint
    assert reader.read("main", "a") == b"1"


@pytest.mark.parametrize(
    "call",
    [
        lambda owned: owned.create_branch("other"),
        lambda owned: owned.delete_branch(BRANCH),
        lambda owned: owned.tag("t", "main"),
        lambda owned: owned.delete_tag("t"),
        lambda owned: owned.revert("main", "main"),
    ],
    ids=["create_branch", "delete_branch", "tag", "delete_tag", "revert"],
)
def test_a_run_moves_no_refs(lake: Lake, owned: OwnedLake, call: Any) -> None:
    lake.tag("t", "main")
    before = (lake.branches(), lake.tags())
    with pytest.raises(ReadOnlyError):
        call(owned)
    assert (lake.branches(), lake.tags()) == before


@pytest.mark.parametrize("state", ["publishing", "held", "sealed"])
def test_a_branch_that_is_not_open_takes_no_write(lake: Lake, owned: OwnedLake, state: str) -> None:
    head = change(lake, state=state)
    with pytest.raises(FencedError) as refused:
        owned.commit(BRANCH, {"b": b"2"}, message="write b")
    assert (refused.value.fields["owner"], refused.value.fields["writer"]) == (RUN, RUN)
    assert state in refused.value.message
    assert lake.resolve(BRANCH) == head


def test_a_branch_that_another_run_took_takes_no_write(lake: Lake, owned: OwnedLake) -> None:
    head = change(lake, run_id=OTHER)
    with pytest.raises(FencedError) as refused:
        owned.commit(BRANCH, {"b": b"2"}, message="write b")
    assert refused.value.fields["owner"] == OTHER
    assert lake.resolve(BRANCH) == head


def test_a_lease_that_ran_out_takes_no_write(lake: Lake, owned: OwnedLake) -> None:
    change(lake, lease_until=1.0)
    with pytest.raises(FencedError, match="ran out"):
        owned.commit(BRANCH, {"b": b"2"}, message="write b")


def test_a_branch_without_a_marker_takes_no_write(lake: Lake, owned: OwnedLake) -> None:
    lake.commit(BRANCH, {OWNER_PATH: None}, message="somebody removed it")
    with pytest.raises(FencedError, match="nobody"):
        owned.commit(BRANCH, {"b": b"2"}, message="write b")


def test_a_branch_that_is_gone_is_a_fence(lake: Lake, owned: OwnedLake) -> None:
    lake.delete_branch(BRANCH)
    with pytest.raises(FencedError, match="gone"):
        owned.commit(BRANCH, {"b": b"2"}, message="write b")
    with pytest.raises(FencedError, match="gone"), owned.transaction(BRANCH, message="transaction"):
        pytest.fail("a transaction on a branch that is gone began")
    assert set(lake.branches()) == {"main"}


def test_a_pinned_head_that_moved_is_a_lost_race_and_not_tried_again(lake: Lake, owned: OwnedLake) -> None:
    head = lake.resolve(BRANCH)
    owned.commit(BRANCH, {"b": b"2"}, message="write b")
    with pytest.raises(StaleHeadError):
        owned.commit(BRANCH, {"b": b"3"}, message="write b", expect=head)
    assert lake.read(BRANCH, "b") == b"2"


def test_a_fence_that_falls_between_looking_and_writing_stops_the_write(lake: Lake, owned: OwnedLake) -> None:
    """The write expects the head at which it saw the marker: sealing moves the head, and the second look refuses."""
    original = lake.commit
    sealed: list[str] = []

    def commit(branch: str, changes: Any, **options: Any) -> Any:
        if OWNER_PATH not in changes and not sealed:
            sealed.append(BRANCH)
            change(lake, state="sealed")
        return original(branch, changes, **options)

    lake.commit = commit  # type: ignore[method-assign]
    with pytest.raises(FencedError, match="sealed"):
        owned.commit(BRANCH, {"b": b"2"}, message="write b")
    assert not lake.exists(BRANCH, "b")


def test_two_steps_of_one_run_lose_nothing_to_each_other(lake: Lake, owned: OwnedLake) -> None:
    def write(name: str) -> None:
        for number in range(10):
            owned.commit(BRANCH, {f"{name}/{number}": b"x"}, message=f"write {name}/{number}")

    steps = [threading.Thread(target=write, args=(name,)) for name in ("b", "c")]
    for step in steps:
        step.start()
    for step in steps:
        step.join()
    assert len(list(lake.list(BRANCH, "b/"))) == len(list(lake.list(BRANCH, "c/"))) == 10


# -- transactions -----------------------------------------------------------------------------------------------


def transact(owned: OwnedLake, act: Callable[[str], object]) -> None:
    """Write b in a transaction and then do something."""
    with owned.transaction(BRANCH, message="both") as ephemeral:
        owned.commit(ephemeral, {"b": b"2"}, message="write b")
        act(ephemeral)


def test_a_transaction_lands_in_one_commit_and_leaves_no_branch(lake: Lake, owned: OwnedLake) -> None:
    head = lake.resolve(BRANCH)
    with owned.transaction(BRANCH, message="both") as ephemeral:
        assert ephemeral.startswith(transaction_prefix(RUN))
        owned.commit(ephemeral, {"b": b"2"}, message="write b")
        owned.commit(ephemeral, {"c": b"3"}, message="write c")
        assert lake.resolve(BRANCH) == head
    assert (lake.read(BRANCH, "b"), lake.read(BRANCH, "c")) == (b"2", b"3")
    assert lake.show(BRANCH).parents[0] == head
    assert set(lake.branches()) == {"main", BRANCH}


def test_a_transaction_that_fails_leaves_the_branch_as_it_was(lake: Lake, owned: OwnedLake) -> None:
    before = lake.branches()

    def fail(_: str) -> None:
        raise RuntimeError("told to")

    with pytest.raises(RuntimeError, match="told to"):
        transact(owned, fail)
    assert lake.branches() == before


@pytest.mark.parametrize("state", ["sealed", "held", "publishing"])
def test_a_transaction_of_a_run_that_is_fenced_meanwhile_leaves_nothing(
    lake: Lake, owned: OwnedLake, state: str
) -> None:
    with pytest.raises(FencedError):
        transact(owned, lambda _: change(lake, state=state))
    assert not lake.exists(BRANCH, "b")
    assert set(lake.branches()) == {"main", BRANCH}


def test_a_transaction_whose_runs_branch_is_gone_leaves_nothing(lake: Lake, owned: OwnedLake) -> None:
    with pytest.raises(FencedError):
        transact(owned, lambda _: lake.delete_branch(BRANCH))
    assert set(lake.branches()) == {"main"}


def test_a_transaction_that_was_swept_ends_its_writer_with_a_fence(lake: Lake, owned: OwnedLake) -> None:
    """The reconciler removes the ephemeral branches of dead runs while their orphaned steps still write."""

    def sweep_and_go_on(ephemeral: str) -> None:
        lake.delete_branch(ephemeral)
        owned.commit(ephemeral, {"c": b"3"}, message="write c")

    with pytest.raises(FencedError):
        transact(owned, sweep_and_go_on)


def test_a_transaction_that_was_swept_before_its_end_ends_with_a_fence(lake: Lake, owned: OwnedLake) -> None:
    def sweep_and_hold(ephemeral: str) -> None:
        lake.delete_branch(ephemeral)
        change(lake, state="held")

    with pytest.raises(FencedError):
        transact(owned, sweep_and_hold)


def test_two_transactions_on_different_paths_both_land(lake: Lake, owned: OwnedLake) -> None:
    with owned.transaction(BRANCH, message="b") as first, owned.transaction(BRANCH, message="c") as second:
        owned.commit(first, {"b": b"2"}, message="write b")
        owned.commit(second, {"c": b"3"}, message="write c")
    assert (lake.read(BRANCH, "b"), lake.read(BRANCH, "c")) == (b"2", b"3")


def test_a_transaction_and_a_write_on_one_path_are_a_conflict(lake: Lake, owned: OwnedLake) -> None:
    with pytest.raises(MergeConflictError):
        transact(owned, lambda _: owned.commit(BRANCH, {"b": b"3"}, message="write b"))
    assert lake.read(BRANCH, "b") == b"3"


# -- transitions ------------------------------------------------------------------------------------------------


def test_a_transition_changes_the_marker_and_keeps_everything_else(lake: Lake) -> None:
    lake.commit(BRANCH, {"b": b"2"}, message="write b")
    head = change(lake, state="held", reasons=("because",))
    marker = read_ownership(lake, head)
    assert marker is not None
    assert (marker.state, marker.reasons, marker.target) == ("held", ("because",), "main")
    assert lake.read(head, "b") == b"2"


def test_a_transition_that_wants_nothing_makes_no_commit(lake: Lake) -> None:
    head = lake.resolve(BRANCH)
    assert transition(lake, BRANCH, lambda o: None, message="nothing") == head
    assert transition(lake, BRANCH, lambda o: replace(o, state="open"), message="the same") == head
    assert lake.resolve(BRANCH) == head


def test_a_transition_of_a_branch_without_a_marker_is_a_fence(lake: Lake) -> None:
    lake.create_branch("plain")
    with pytest.raises(FencedError):
        change(lake, "plain", state="held")


def test_an_error_of_the_change_leaves_the_marker(lake: Lake) -> None:
    head = lake.resolve(BRANCH)

    def refuse(_: Ownership) -> Ownership:
        raise FencedError("not yours", branch=BRANCH)

    with pytest.raises(FencedError, match="not yours"):
        transition(lake, BRANCH, refuse, message="never")
    assert lake.resolve(BRANCH) == head


def test_a_transition_that_lost_a_race_decides_again_on_what_it_finds(lake: Lake) -> None:
    """Publication begins just as a re-execution seals the branch: it must see the seal, not overwrite it."""
    seen: list[str] = []

    def begin_publishing(owner: Ownership) -> Ownership | None:
        seen.append(owner.state)
        if len(seen) == 1:
            change(lake, state="sealed")
        return replace(owner, state="publishing") if owner.state == "open" else None

    transition(lake, BRANCH, begin_publishing, message="begin")
    marker = read_ownership(lake, BRANCH)
    assert seen == ["open", "sealed"]
    assert marker is not None
    assert marker.state == "sealed"


def test_of_many_that_race_for_one_branch_exactly_one_takes_it(lake: Lake) -> None:
    takers = [f"taker-{number}" for number in range(8)]
    took: list[str] = []
    start = threading.Barrier(len(takers))

    def take(taker: str) -> None:
        def claim(owner: Ownership) -> Ownership | None:
            return replace(owner, run_id=taker) if owner.run_id == RUN else None

        start.wait()
        marker = read_ownership(lake, transition(lake, BRANCH, claim, message=f"{taker} takes over"))
        if marker is not None and marker.run_id == taker:
            took.append(taker)

    threads = [threading.Thread(target=take, args=(taker,)) for taker in takers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 1
    assert json.loads(lake.read(BRANCH, OWNER_PATH))["run_id"] == took[0]


# -- leases -----------------------------------------------------------------------------------------------------


def lease(lake: Lake) -> float:
    found = read_ownership(lake, BRANCH)
    assert found is not None
    return found.lease_until


def test_a_lease_that_is_half_used_is_made_full_again(lake: Lake) -> None:
    change(lake, lease_until=time.time() + LEASE_SECONDS / 3)
    renew_lease(lake, RUN)
    assert lease(lake) > time.time() + LEASE_SECONDS * 0.9


def test_a_fresh_lease_and_another_runs_lease_are_left_alone(lake: Lake) -> None:
    head = lake.resolve(BRANCH)
    renew_lease(lake, RUN)
    assert lake.resolve(BRANCH) == head, "no commit for nothing"
    change(lake, run_id="another", lease_until=1.0)
    renew_lease(lake, RUN)
    assert lease(lake) == 1.0
