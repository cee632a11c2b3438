"""What every lake promises of merges, reverts, transactions and history."""

from __future__ import annotations

import pickle

import pytest

from dfp_platform.errors import (
    MergeConflictError,
    NotFoundError,
    ReadOnlyError,
    StaleHeadError,
)
from dfp_platform.lake import Lake
from tests.contract.lakes import BIG, contents, put

# -- merges ---------------------------------------------------------------------------------------------------------


def test_a_merge_brings_everything_in_one_commit_with_two_parents(lake: Lake) -> None:
    target = put(lake, a=b"1", gone=b"2")
    lake.create_branch("side")
    put(lake, "side", a=b"3", gone=None)
    source = put(lake, "side", b=BIG)
    made = lake.merge("side", message="bring it", metadata={"run": "7"})
    commit = lake.show("main")
    assert (commit.id, commit.parents, commit.message, commit.metadata) == (
        made,
        (target, source),
        "bring it",
        {"run": "7"},
    )
    assert contents(lake) == {"a": b"3", "b": BIG}


def test_a_merge_keeps_what_both_sides_did(lake: Lake) -> None:
    put(lake, a=b"0", b=b"0", both=b"0", gone_here=b"0", gone_there=b"0", gone=b"0")
    lake.create_branch("side")
    put(lake, "side", b=b"side", both=b"same", gone_there=None, gone=None, new__side=b"1", twin=b"2")
    put(lake, a=b"main", both=b"same", gone_here=None, gone=None, new__main=b"1", twin=b"2")
    lake.merge("side", message="merge")
    assert contents(lake) == {
        "a": b"main",
        "b": b"side",
        "both": b"same",
        "new/main": b"1",
        "new/side": b"1",
        "twin": b"2",
    }


def test_a_merge_that_brings_nothing_is_no_commit(lake: Lake) -> None:
    put(lake, a=b"1")
    lake.create_branch("side")
    head = put(lake, a=b"2")
    assert lake.merge("side", message="behind") == head
    put(lake, "side", a=b"2")
    assert lake.merge("side", message="the same change") == head
    put(lake, "side", b=b"1")
    made = lake.merge("side", message="something")
    assert made != head
    assert lake.merge("side", message="again") == made


def test_a_path_changed_differently_on_both_sides_is_a_conflict_and_nothing_is_written(lake: Lake) -> None:
    put(lake, changed=b"0", removed_here=b"0", removed_there=b"0", fine=b"0")
    lake.create_branch("side")
    put(lake, "side", changed=b"side", removed_here=b"side", removed_there=None, added__x=b"side", fine=b"side")
    head = put(lake, changed=b"main", removed_here=None, removed_there=b"main", added__x=b"main")
    with pytest.raises(MergeConflictError) as caught:
        lake.merge("side", message="merge")
    assert [conflict.path for conflict in caught.value.conflicts] == [
        "added/x",
        "changed",
        "removed_here",
        "removed_there",
    ]
    assert all(conflict.detail for conflict in caught.value.conflicts)
    assert lake.resolve("main") == head
    assert pickle.loads(pickle.dumps(caught.value)).conflicts == caught.value.conflicts


def test_a_resolved_path_is_no_conflict(lake: Lake) -> None:
    put(lake, a=b"0", b=b"0", c=b"0")
    lake.create_branch("side")
    put(lake, "side", a=b"side", b=b"side", c=b"side")
    put(lake, a=b"main", b=b"main", c=b"main")
    with pytest.raises(MergeConflictError) as caught:
        lake.merge("side", message="merge", resolved={"a": b"settled"})
    assert [conflict.path for conflict in caught.value.conflicts] == ["b", "c"]
    lake.merge("side", message="merge", resolved={"a": b"settled", "b": None, "c": lake.stat("side", "c"), "d": BIG})
    assert contents(lake) == {"a": b"settled", "c": b"side", "d": BIG}
    assert lake.provenance("main", "a").id == lake.resolve("main")


def test_a_merge_expects_the_head_it_is_told(lake: Lake) -> None:
    old = lake.resolve("main")
    lake.create_branch("side")
    put(lake, "side", a=b"1")
    head = put(lake, b=b"1")
    with pytest.raises(StaleHeadError):
        lake.merge("side", message="stale", expect=old)
    assert lake.resolve("main") == head
    lake.merge("side", message="right", expect=head)


def test_a_tag_or_a_commit_can_be_merged(lake: Lake) -> None:
    lake.create_branch("side")
    made = put(lake, "side", a=b"1")
    lake.tag("v1", "side")
    put(lake, "side", a=b"2")
    lake.merge("v1", message="a tag")
    assert contents(lake) == {"a": b"1"}
    assert lake.show("main").parents[1] == made


def test_a_branch_merged_twice_brings_only_what_came_since(lake: Lake) -> None:
    lake.create_branch("side")
    put(lake, "side", a=b"1")
    lake.merge("side", message="once")
    put(lake, a=b"2")
    put(lake, "side", b=b"1")
    lake.merge("side", message="twice")
    assert contents(lake) == {"a": b"2", "b": b"1"}


def test_branches_merged_into_each_other_merge_again(lake: Lake) -> None:
    put(lake, a=b"0", b=b"0")
    lake.create_branch("side")
    main, side = put(lake, a=b"main"), put(lake, "side", b=b"side")
    lake.merge(side, "main", message="side into main")
    lake.merge(main, "side", message="main into side")
    assert contents(lake) == contents(lake, "side") == {"a": b"main", "b": b"side"}
    put(lake, a=b"main again")
    put(lake, "side", b=b"side again")
    lake.merge("side", message="after the criss-cross")
    assert contents(lake) == {"a": b"main again", "b": b"side again"}


def test_a_criss_cross_that_was_resolved_in_two_ways_is_a_conflict(lake: Lake) -> None:
    put(lake, a=b"0")
    lake.create_branch("side")
    main, side = put(lake, a=b"main"), put(lake, "side", a=b"side")
    lake.merge(side, "main", message="ours", resolved={"a": b"main"})
    lake.merge(main, "side", message="theirs", resolved={"a": b"side"})
    put(lake, "side", other=b"1")
    with pytest.raises(MergeConflictError) as caught:
        lake.merge("side", message="which?")
    assert [conflict.path for conflict in caught.value.conflicts] == ["a"]


def test_a_merge_base_is_the_newest_common_commit(lake: Lake) -> None:
    first = put(lake, a=b"1")
    lake.create_branch("side")
    put(lake, a=b"2")
    side = put(lake, "side", b=b"1")
    assert lake.merge_base("main", "side") == first
    lake.merge("side", message="merge")
    put(lake, "side", b=b"2")
    assert lake.merge_base("main", "side") == side
    assert lake.merge_base("main", "main") == lake.resolve("main")


# -- reverts --------------------------------------------------------------------------------------------------------


def test_a_revert_takes_one_commit_back_and_keeps_later_ones(lake: Lake) -> None:
    put(lake, a=b"1", b=b"1")
    wrong = put(lake, a=b"2", b=None, c=BIG)
    put(lake, d=b"1")
    made = lake.revert("main", wrong, metadata={"why": "wrong"})
    assert contents(lake) == {"a": b"1", "b": b"1", "d": b"1"}
    commit = lake.show("main")
    assert commit.id == made
    assert commit.metadata == {"reverts": wrong, "why": "wrong"}
    assert "put a, b, c" in commit.message


def test_a_merge_is_reverted_against_its_first_parent(lake: Lake) -> None:
    put(lake, a=b"1")
    lake.create_branch("side")
    put(lake, "side", a=b"2", b=b"2")
    put(lake, c=b"1")
    merged = lake.merge("side", message="publish")
    lake.revert("main", merged, message="take it back")
    assert contents(lake) == {"a": b"1", "c": b"1"}
    assert lake.show("main").message == "take it back"


def test_a_revert_of_what_a_later_commit_changed_is_a_conflict(lake: Lake) -> None:
    put(lake, a=b"1")
    wrong = put(lake, a=b"2")
    head = put(lake, a=b"3")
    with pytest.raises(MergeConflictError):
        lake.revert("main", wrong)
    assert lake.resolve("main") == head


def test_a_commit_that_is_reverted_already_makes_no_commit(lake: Lake) -> None:
    wrong = put(lake, a=b"1")
    made = lake.revert("main", wrong)
    assert lake.revert("main", wrong) == made


def test_a_commit_without_a_message_can_be_reverted(lake: Lake) -> None:
    wrong = lake.commit("main", {"a": b"1"}, message="", metadata={"run": "1"})
    lake.revert("main", wrong)
    assert lake.show("main").message == f"revert: {wrong}"


def test_a_commit_of_another_branch_cannot_be_reverted(lake: Lake) -> None:
    lake.create_branch("side")
    foreign = put(lake, "side", a=b"1")
    with pytest.raises(NotFoundError):
        lake.revert("main", foreign)


# -- transactions ---------------------------------------------------------------------------------------------------


def test_a_transaction_publishes_all_its_commits_by_one_merge(lake: Lake) -> None:
    put(lake, a=b"1")
    with lake.transaction("main", message="all of it", metadata={"run": "1"}) as branch:
        put(lake, branch, a=b"2")
        put(lake, branch, b=b"3")
        assert contents(lake) == {"a": b"1"}
        put(lake, c=b"meanwhile")
    assert contents(lake) == {"a": b"2", "b": b"3", "c": b"meanwhile"}
    assert (lake.show("main").message, lake.show("main").metadata) == ("all of it", {"run": "1"})
    assert list(lake.branches()) == ["main"]


def test_an_error_in_a_transaction_leaves_the_branch_as_it_was(lake: Lake) -> None:
    head = put(lake, a=b"1")

    def fail_half_way() -> None:
        with lake.transaction("main", message="never") as branch:
            put(lake, branch, a=b"2")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    assert lake.resolve("main") == head
    assert list(lake.branches()) == ["main"]


def test_a_transaction_that_conflicts_leaves_no_branch_behind(lake: Lake) -> None:
    def conflict() -> None:
        with lake.transaction("main", message="never") as branch:
            put(lake, branch, a=b"2")
            put(lake, a=b"3")

    with pytest.raises(MergeConflictError):
        conflict()
    assert contents(lake) == {"a": b"3"}
    assert list(lake.branches()) == ["main"]


def test_a_transaction_on_a_tag_is_refused(lake: Lake) -> None:
    lake.tag("v1", "main")
    with pytest.raises(ReadOnlyError), lake.transaction("v1", message="never"):
        pass
    assert list(lake.branches()) == ["main"]


# -- history --------------------------------------------------------------------------------------------------------


def test_the_log_is_newest_first_with_children_before_parents(lake: Lake) -> None:
    for n in range(4):
        lake.create_branch(f"side-{n}")
        put(lake, f"side-{n}", **{f"s{n}": b"1"})
        put(lake, **{f"m{n}": b"1"})
        lake.merge(f"side-{n}", message=f"merge {n}")
    log = list(lake.log())
    assert len(log) == 1 + 4 * 3
    place = {commit.id: number for number, commit in enumerate(log)}
    assert all(place[parent] > place[commit.id] for commit in log for parent in commit.parents)
    assert [commit.id for commit in lake.log(limit=3)] == [commit.id for commit in log[:3]]
    assert [commit.id for commit in lake.log("side-2")] == [
        c.id for c in log if c.id in {x.id for x in lake.log("side-2")}
    ]


def test_the_log_of_a_path_has_only_commits_that_changed_it(lake: Lake) -> None:
    first = put(lake, a=b"1", b=b"1")
    put(lake, b=b"2")
    lake.create_branch("side")
    second = put(lake, "side", a=b"2")
    put(lake, c=b"1")
    lake.merge("side", message="merge")
    third = put(lake, a=None)
    assert [commit.id for commit in lake.log(path="a")] == [third, second, first]
    assert [commit.id for commit in lake.log(path="a", limit=1)] == [third]
    assert list(lake.log(path="never")) == []


def test_provenance_is_the_commit_that_wrote_what_stands_there(lake: Lake) -> None:
    first = put(lake, a=b"1", b=b"1")
    lake.create_branch("side")
    second = lake.commit("side", {"a": b"2"}, message="on the side", metadata={"run": "7"})
    put(lake, c=b"1")
    merged = lake.merge("side", message="merge")
    assert lake.provenance("main", "a") == lake.show(second)
    assert lake.provenance("main", "a").metadata == {"run": "7"}
    assert lake.provenance("main", "b").id == first
    assert lake.provenance(first, "a").id == first
    back = lake.revert("main", merged)
    assert lake.provenance("main", "a").id == back
    assert lake.provenance(merged, "a").id == second


def test_provenance_does_not_name_a_commit_of_another_branch_with_the_same_content(lake: Lake) -> None:
    lake.create_branch("side")
    here = put(lake, a=b"equal")
    there = put(lake, "side", a=b"equal")
    put(lake, b=b"1")
    assert lake.provenance("main", "a").id == here
    assert lake.provenance("side", "a").id == there


def test_a_lake_in_use_verifies_clean(lake: Lake) -> None:
    put(lake, a=b"1", big__part=BIG, magic=b"dfp-object v1\n")
    lake.create_branch("side")
    put(lake, "side", big__part=BIG[1:])
    lake.merge("side", message="merge")
    assert lake.verify() == []
