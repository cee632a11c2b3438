"""What every lake promises, whoever keeps it."""

from __future__ import annotations

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dfp_platform.errors import (
    AlreadyExistsError,
    InvalidNameError,
    MergeConflictError,
    NotFoundError,
    ReadOnlyError,
    StaleHeadError,
)
from dfp_platform.lake import Lake
from dfp_platform.schemas import CommitId, ObjectStat

BIG = bytes(range(256)) * 512  # 128 KiB: too big to lie inline anywhere
KINDS_OF_CONTENT = [b"", b"small", b"dfp-object v1\nsha256 0\nsize 0\n", b"\0" * 8192, b"\1" * 8193, BIG]


def paths(lake: Lake, ref: str = "main", prefix: str = "") -> list[str]:
    return [found.path for found in lake.list(ref, prefix)]


def contents(lake: Lake, ref: str = "main") -> dict[str, bytes]:
    return {found.path: lake.read(ref, found.path) for found in lake.list(ref)}


def put(lake: Lake, branch: str = "main", **objects: bytes | None) -> CommitId:
    """Commit objects whose paths are Python names: `a__b` stands for `a/b`."""
    changes = {name.replace("__", "/"): content for name, content in objects.items()}
    return lake.commit(branch, changes, message=f"put {', '.join(changes)}")


# -- birth, objects -------------------------------------------------------------------------------------------------


def test_a_new_lake_has_one_branch_main_with_one_empty_commit(lake: Lake) -> None:
    assert list(lake.branches()) == ["main"]
    assert lake.tags() == {}
    assert paths(lake) == []
    assert [commit.parents for commit in lake.log()] == [()]


def test_a_lake_names_a_warehouse_where_engines_may_write(lake: Lake) -> None:
    assert lake.warehouse
    assert Path(lake.warehouse).is_dir() or "://" in lake.warehouse


@pytest.mark.parametrize("content", KINDS_OF_CONTENT, ids=lambda content: f"{len(content)}-bytes")
def test_an_object_reads_back_as_it_was_written(lake: Lake, content: bytes) -> None:
    import hashlib

    put(lake, a__object=content)
    assert lake.read("main", "a/object") == content
    assert lake.stat("main", "a/object") == ObjectStat("a/object", len(content), hashlib.sha256(content).hexdigest())
    assert lake.exists("main", "a/object")


@pytest.mark.parametrize("content", KINDS_OF_CONTENT, ids=lambda content: f"{len(content)}-bytes")
def test_an_address_is_where_an_engine_reads_the_same_bytes(lake: Lake, content: bytes) -> None:
    lake.commit("main", {"a/part-0.parquet": content, "a/part-0": content}, message="two names")
    for path in ("a/part-0.parquet", "a/part-0"):
        address = lake.address("main", path)
        assert address.endswith(".parquet") == path.endswith(".parquet")
        if "://" not in address:
            assert Path(address).is_absolute()
            assert Path(address).read_bytes() == content


@pytest.mark.parametrize("content", [b"small", BIG], ids=["small", "big"])
def test_bytes_files_and_streams_make_the_same_object(lake: Lake, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    lake.commit("main", {"a": content, "b": file, "c": io.BytesIO(content)}, message="three ways")
    assert len({lake.stat("main", path).sha256 for path in "abc"}) == 1
    assert contents(lake) == {"a": content, "b": content, "c": content}


def test_a_stream_is_left_where_it_was_so_that_a_lost_race_can_be_run_again(lake: Lake) -> None:
    stream = io.BytesIO(b"head" + BIG)
    stream.seek(4)
    lake.commit("main", {"a": stream}, message="once")
    head = lake.resolve("main")
    assert lake.commit("main", {"a": stream}, message="twice") == head
    assert lake.read("main", "a") == BIG


def test_a_file_that_changes_after_the_commit_does_not_change_the_object(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(BIG)
    lake.commit("main", {"a": file}, message="a file")
    file.write_bytes(b"something else")
    assert lake.read("main", "a") == BIG


def test_an_open_stream_can_seek(lake: Lake) -> None:
    put(lake, a=BIG)
    with lake.open("main", "a") as stream:
        stream.seek(-10, io.SEEK_END)
        assert stream.read() == BIG[-10:]
        stream.seek(5)
        assert stream.read(3) == BIG[5:8]


@pytest.mark.parametrize("content", [b"small", BIG, b"dfp-object v1\n"], ids=["small", "big", "magic"])
def test_an_object_the_lake_holds_can_be_put_at_another_path_by_its_stat(lake: Lake, content: bytes) -> None:
    put(lake, a__b=content)
    stat = pickle.loads(pickle.dumps(lake.stat("main", "a/b")))
    lake.commit("main", {"copy.csv": stat}, message="copy")
    assert lake.read("main", "copy.csv") == content
    assert lake.address("main", "copy.csv").endswith(".csv")
    head = lake.resolve("main")
    assert lake.commit("main", {"a/b": stat}, message="the same again") == head
    assert lake.commit("main", {"copy.csv": content}, message="the same by bytes") == head


def test_a_stat_of_an_object_the_lake_does_not_hold_is_not_found(lake: Lake) -> None:
    for size in (5, 1_000_000):
        with pytest.raises(NotFoundError):
            lake.commit("main", {"a": ObjectStat("x", size, "0" * 64)}, message="unknown")


def test_a_missing_object_is_not_found_by_any_way_of_reading(lake: Lake) -> None:
    put(lake, a__b=b"1")
    for path in ("a", "a/b/c", "b"):
        assert not lake.exists("main", path)
        for read in (lake.read, lake.open, lake.stat, lake.address, lake.provenance):
            with pytest.raises(NotFoundError):
                read("main", path)


def test_a_file_that_is_not_there_is_not_found_and_nothing_is_written(lake: Lake, tmp_path: Path) -> None:
    head = lake.resolve("main")
    with pytest.raises(NotFoundError):
        lake.commit("main", {"a": b"1", "b": tmp_path / "nothing"}, message="no such file")
    assert lake.resolve("main") == head


# -- paths and listing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a b", "a\nb", "ä", "a~b"])
def test_a_path_the_lake_cannot_hold_is_refused_before_anything_is_written(lake: Lake, path: str) -> None:
    head = lake.resolve("main")
    with pytest.raises(InvalidNameError):
        lake.commit("main", {"good": b"1", path: b"2"}, message="bad path")
    assert lake.resolve("main") == head


def test_any_path_of_plain_characters_can_be_held(lake: Lake) -> None:
    odd = [".git", ".GIT/config", "a/.git/.gitmodules", "-", "%2F=+@,", "...", "HEAD", "x" * 200, "a.b.c/..d/e.parquet"]
    lake.commit("main", {path: path.encode() for path in odd}, message="odd names")
    assert contents(lake) == {path: path.encode() for path in odd}
    assert lake.verify() == []


def test_an_object_can_stand_beside_objects_beneath_its_path(lake: Lake) -> None:
    put(lake, a__b=b"1", a__b__c=b"2", a__b__c__d=b"3")
    assert contents(lake) == {"a/b": b"1", "a/b/c": b"2", "a/b/c/d": b"3"}
    put(lake, a__b=None)
    assert paths(lake) == ["a/b/c", "a/b/c/d"]


def test_listing_is_in_path_order(lake: Lake) -> None:
    names = ["a", "a-b", "a.b", "a/b", "a/b-c", "a/b/c", "a/b.c", "a0", "b/a", "aa/z", "A/z", "_run/x", "a+/x"]
    lake.commit("main", dict.fromkeys(names, b"1"), message="many")
    assert paths(lake) == sorted(names)


def test_listing_takes_any_string_as_prefix(lake: Lake) -> None:
    names = ["raw/a/part-0.parquet", "raw/a/part-1.parquet", "raw/ab/part-0.parquet", "raw/b", "tables/a/b", "raw-x"]
    lake.commit("main", dict.fromkeys(names, b"1"), message="many")
    for prefix in [
        "",
        "r",
        "raw",
        "raw/",
        "raw/a",
        "raw/a/",
        "raw/a/part",
        "raw/a/part-1.parquet",
        "zzz",
        "raw/b/",
        "/",
    ]:
        assert paths(lake, prefix=prefix) == sorted(name for name in names if name.startswith(prefix)), prefix


def test_a_listing_is_of_the_commit_it_began_at(lake: Lake) -> None:
    lake.commit("main", {f"d{n}/x": b"1" for n in range(20)}, message="many")
    listing = lake.list("main")
    first = next(listing)
    put(lake, zzz=b"late")
    assert [first.path, *(found.path for found in listing)] == sorted(f"d{n}/x" for n in range(20))


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
