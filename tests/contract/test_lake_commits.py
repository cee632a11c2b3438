"""What every lake promises of commits, branches, tags and differences."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from dfp_platform.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
    ReadOnlyError,
    StaleHeadError,
)
from dfp_platform.lake import Lake
from tests.contract.lakes import BIG, contents, paths, put

# -- commits --------------------------------------------------------------------------------------------------------


def test_a_commit_applies_all_its_changes_and_keeps_the_rest(lake: Lake) -> None:
    put(lake, a=b"1", b=b"2", c=b"3")
    put(lake, a=b"4", b=None, d=b"5")
    assert contents(lake) == {"a": b"4", "c": b"3", "d": b"5"}


def test_equal_content_is_no_commit(lake: Lake) -> None:
    head = put(lake, a=b"1", big=BIG)
    assert put(lake, a=b"1") == head
    assert put(lake, big=BIG) == head
    assert put(lake, nothing=None) == head
    assert lake.commit("main", {}, message="nothing") == head
    assert lake.resolve("main") == head


def test_removing_everything_leaves_an_empty_branch(lake: Lake) -> None:
    put(lake, a__b=b"1", c=b"2")
    put(lake, a__b=None, c=None)
    assert paths(lake) == []
    put(lake, a=b"again")
    assert contents(lake) == {"a": b"again"}


@pytest.mark.parametrize(
    "message", ["one", "", "two\n\nparagraphs\n", "  spaces  ", "Dfp-Metadata: {}", "ü \N{SNOWMAN}"]
)
def test_a_commit_keeps_its_message_metadata_and_parent(lake: Lake, message: str) -> None:
    before = lake.resolve("main")
    facts = {"dfp/run": "r1", "inputs": '{"a": "b"}', "text": "line\nline\n\nDfp-Metadata: {}", "ü": "ö", "empty": ""}
    for path, metadata in (("a", facts), ("b", {})):
        made = lake.commit("main", {path: b"1"}, message=message, metadata=metadata)
        commit = lake.show("main")
        assert commit == lake.show(made)
        assert (commit.id, commit.parents, commit.message, commit.metadata) == (made, (before,), message, metadata)
        assert abs(datetime.now(UTC) - commit.time) < timedelta(minutes=1)
        before = made


def test_expect_lets_only_the_head_it_names_be_followed(lake: Lake) -> None:
    first = put(lake, a=b"1")
    second = lake.commit("main", {"a": b"2"}, message="on first", expect=first)
    with pytest.raises(StaleHeadError) as caught:
        lake.commit("main", {"a": b"3"}, message="on first again", expect=first)
    assert (caught.value.fields["expected"], caught.value.fields["actual"]) == (first, second)
    assert lake.resolve("main") == second
    with pytest.raises(StaleHeadError):
        lake.commit("main", {"a": b"2"}, message="equal content, stale head", expect=first)


def test_a_tag_and_a_commit_cannot_be_written(lake: Lake) -> None:
    head = put(lake, a=b"1")
    lake.tag("v1", "main")
    lake.create_branch("other")
    put(lake, "other", b=b"2")
    for target in ("v1", head):
        with pytest.raises(ReadOnlyError):
            put(lake, target, a=b"2")
        with pytest.raises(ReadOnlyError):
            lake.merge("other", target, message="into a tag")
        with pytest.raises(ReadOnlyError):
            lake.revert(target, head)
    assert lake.resolve("v1") == head


def test_an_unknown_ref_is_not_found(lake: Lake) -> None:
    for ref in ("nowhere", "0" * 40, "abcdef0", "UPPER", "a/b", "..", ""):
        for use in (lake.resolve, lake.show, lambda ref: lake.read(ref, "a"), lambda ref: put(lake, ref, a=b"1")):
            with pytest.raises(NotFoundError):
                use(ref)


def test_a_commit_is_named_by_its_id_too(lake: Lake) -> None:
    first = put(lake, a=b"1")
    put(lake, a=b"2")
    assert lake.read(first, "a") == b"1"
    assert lake.resolve(first) == first
    assert lake.resolve(first[:12]) == first


def test_threads_that_write_at_once_lose_nothing(lake: Lake) -> None:
    def write(worker: int) -> None:
        for n in range(5):
            put(lake, **{f"w{worker}__n{n}": b"%d" % worker, "counter": b"%d %d" % (worker, n)})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert paths(lake) == ["counter", *sorted(f"w{worker}/n{n}" for worker in range(4) for n in range(5))]
    assert sum(1 for _ in lake.log()) == 1 + 20


# -- branches and tags ----------------------------------------------------------------------------------------------


def test_a_branch_does_not_see_later_commits_of_main(lake: Lake) -> None:
    put(lake, a=b"1")
    lake.create_branch("side")
    put(lake, a=b"2")
    put(lake, "side", b=b"3")
    assert contents(lake) == {"a": b"2"}
    assert contents(lake, "side") == {"a": b"1", "b": b"3"}


def test_a_branch_can_start_at_any_ref(lake: Lake) -> None:
    first = put(lake, a=b"1")
    lake.tag("v1", first)
    put(lake, a=b"2")
    assert lake.create_branch("from-commit", first) == first
    assert lake.create_branch("from-tag", "v1") == first
    assert lake.create_branch("from-branch", "from-tag") == first
    assert lake.branches() == {
        "from-branch": first,
        "from-commit": first,
        "from-tag": first,
        "main": lake.resolve("main"),
    }


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "a b", "-a", "a.lock", "..", "0123456789abcdef" * 2 + "01234567"])
def test_a_name_that_cannot_travel_between_lakes_is_refused(lake: Lake, name: str) -> None:
    for make in (lake.create_branch, lambda name: lake.tag(name, "main")):
        with pytest.raises(InvalidNameError):
            make(name)


def test_a_name_is_taken_once_by_branches_and_tags_together(lake: Lake) -> None:
    lake.create_branch("one")
    lake.tag("two", "main")
    for name in ("one", "two", "main"):
        with pytest.raises(AlreadyExistsError):
            lake.create_branch(name)
    with pytest.raises(AlreadyExistsError):
        lake.tag("one", "main")


def test_a_deleted_branch_is_gone_and_its_commits_stay_readable_through_other_refs(lake: Lake) -> None:
    lake.create_branch("side")
    made = put(lake, "side", a=b"1")
    lake.tag("kept", "side")
    with pytest.raises(StaleHeadError):
        lake.delete_branch("side", expect=lake.resolve("main"))
    lake.delete_branch("side", expect=made)
    assert list(lake.branches()) == ["main"]
    assert lake.read("kept", "a") == b"1"
    with pytest.raises(NotFoundError):
        lake.delete_branch("side")
    lake.create_branch("side", "kept")


def test_main_is_never_deleted(lake: Lake) -> None:
    with pytest.raises(ReadOnlyError):
        lake.delete_branch("main")


def test_a_tag_never_moves(lake: Lake) -> None:
    first = put(lake, a=b"1")
    assert lake.tag("v1", "main") == first
    assert lake.tag("v1", first) == first
    put(lake, a=b"2")
    with pytest.raises(AlreadyExistsError):
        lake.tag("v1", "main")
    assert lake.tags() == {"v1": first}
    lake.delete_tag("v1")
    assert lake.tags() == {}
    with pytest.raises(NotFoundError):
        lake.delete_tag("v1")


# -- differences ----------------------------------------------------------------------------------------------------


def test_a_diff_names_what_was_added_removed_and_changed_in_path_order(lake: Lake) -> None:
    before = put(lake, a__x=b"1", b=b"2", b__c=b"3", same=BIG)
    after = put(lake, a__x=b"9", b__c=None, d=BIG, a_0=b"5")
    found = list(lake.diff(before, after))
    assert [(one.kind, one.path) for one in found] == [
        ("changed", "a/x"),
        ("added", "a_0"),
        ("removed", "b/c"),
        ("added", "d"),
    ]
    assert (found[0].before, found[0].after) == (lake.stat(before, "a/x"), lake.stat(after, "a/x"))
    assert [(one.kind, one.path) for one in lake.diff(after, before, "a")] == [("changed", "a/x"), ("removed", "a_0")]
    assert list(lake.diff(after, after)) == []
