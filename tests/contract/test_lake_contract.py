"""What every lake promises, whoever keeps it: objects, paths and listings."""

from __future__ import annotations

import hashlib
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dfp_platform.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
)
from dfp_platform.lake import Lake
from dfp_platform.schemas import ObjectStat
from tests.contract.lakes import BIG, contents, paths, put

KINDS_OF_CONTENT = [b"", b"small", b"dfp-object v1\nsha256 0\nsize 0\n", b"\0" * 8192, b"\1" * 8193, BIG]


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

    put(lake, a__object=content)
    assert lake.read("main", "a/object") == content
    assert lake.stat("main", "a/object") == ObjectStat("a/object", len(content), hashlib.sha256(content).hexdigest())
    assert lake.exists("main", "a/object")


@pytest.mark.parametrize("content", KINDS_OF_CONTENT, ids=lambda content: f"{len(content)}-bytes")
def test_an_address_is_where_an_engine_reads_the_same_bytes(lake: Lake, content: bytes) -> None:
    lake.commit("main", {"a/part-0.parquet": content, "a/part-0": content}, message="two names")
    for path in ("a/part-0.parquet", "a/part-0"):
        address = lake.address("main", path)
        if "://" not in address:  # in an object store lakeFS chooses the names
            assert address.endswith(".parquet") == path.endswith(".parquet")
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
    assert "://" in (address := lake.address("main", "copy.csv")) or address.endswith(".csv")
    head = lake.resolve("main")
    assert lake.commit("main", {"a/b": stat}, message="the same again") == head
    assert lake.commit("main", {"copy.csv": content}, message="the same by bytes") == head


def test_a_stat_from_another_branch_can_be_committed(lake: Lake) -> None:
    lake.create_branch("side")
    put(lake, "side", a=b"small", big=BIG)
    for path in ("a", "big"):
        lake.commit("main", {path: lake.stat("side", path)}, message="over")
    assert contents(lake) == {"a": b"small", "big": BIG}


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


def test_the_files_of_a_folder_are_read_by_their_names_below_it(lake: Lake) -> None:
    lake.commit("main", {"m/a": b"1", "m/deep/b": b"2", "mm/c": b"3"}, message="put")
    assert lake.files("main", "m") == {"a": b"1", "deep/b": b"2"}
    assert lake.files("main", "nothing") == {}


def test_a_listing_is_of_the_commit_it_began_at(lake: Lake) -> None:
    lake.commit("main", {f"d{n}/x": b"1" for n in range(20)}, message="many")
    listing = lake.list("main")
    first = next(listing)
    put(lake, zzz=b"late")
    assert [first.path, *(found.path for found in listing)] == sorted(f"d{n}/x" for n in range(20))


def test_a_name_raced_for_is_a_branch_or_a_tag_and_whose_it_is_has_been_told(lake):
    put(lake, a=b"1")

    def made(make, name):
        try:
            return make(name, "main")
        except AlreadyExistsError:
            return None

    with ThreadPoolExecutor(2) as pool:
        for name in (f"name-{number}" for number in range(6)):
            branch, tag = pool.map(made, (lake.create_branch, lake.tag), (name, name))
            assert (name in lake.branches(), name in lake.tags()) == (branch is not None, tag is not None)
            assert (branch is None) != (tag is None)
