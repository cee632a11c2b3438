"""Sharded trees: what they look at, and what they leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.git_store import GitStore, Oid
from dfp_platform.lake.trees import Trees


class CountingStore(GitStore):
    """A git store that counts the objects it reads."""

    reads = 0

    def read(self, oid: Oid) -> bytes:
        self.reads += 1
        return super().read(oid)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    folder = LakeFolder(tmp_path)
    GitStore.create(folder)
    return CountingStore(folder)


def grown(store: CountingStore, *, folders: int, each: int) -> tuple[Oid, Oid]:
    """A tree of many folders, and the same with one object of `d7` changed."""
    trees = Trees(store)
    one, two = store.write_blob(b"1"), store.write_blob(b"2")
    before = trees.apply(None, {f"d{n}/o{m}": one for n in range(folders) for m in range(each)})
    after = trees.apply(before, {"d7/o3": two})
    assert before is not None
    assert after is not None
    return before, after


def reads_of(store: CountingStore, use: str, *arguments: object) -> tuple[int, object]:
    """How many objects a fresh `Trees` reads for one question, and its answer."""
    store.reads = 0
    answer = getattr(Trees(store), use)(*arguments)
    whole = list(answer) if hasattr(answer, "__next__") else answer
    return store.reads, whole


def test_a_diff_looks_only_at_what_differs(store: CountingStore) -> None:
    before, after = grown(store, folders=40, each=20)
    reads, found = reads_of(store, "diff", before, after)
    assert [path for path, *_ in found] == ["d7/o3"]
    assert reads == 6  # root, folder and shard, of both sides


def test_a_listing_of_one_folder_looks_at_no_other(store: CountingStore) -> None:
    before, _ = grown(store, folders=40, each=20)
    reads, found = reads_of(store, "walk", before, "d7/")
    assert len(found) == 20
    assert reads <= 2 + 20  # root, folder, and its shards
    assert reads_of(store, "walk", before, "nowhere/")[0] == 1


def test_a_listing_below_a_folder_does_not_look_at_the_objects_beside_it(store: CountingStore) -> None:
    one = store.write_blob(b"1")
    root = Trees(store).apply(None, {"a/b/c": one} | {f"a/o{n}": one for n in range(50)})
    reads, found = reads_of(store, "walk", root, "a/b/")
    assert [path for path, _ in found] == ["a/b/c"]
    assert reads == 4  # root, a, a/b, one shard


def test_finding_one_object_reads_one_tree_for_each_part_of_its_path(store: CountingStore) -> None:
    before, _ = grown(store, folders=40, each=20)
    reads, blob = reads_of(store, "find", before, "d7/o3")
    assert store.read(blob) == b"1"
    assert reads == 3


def test_a_merge_takes_what_only_one_side_changed_without_looking_into_it(store: CountingStore) -> None:
    before, after = grown(store, folders=40, each=20)
    trees = Trees(store)
    theirs = trees.apply(before, {"d9/o1": store.write_blob(b"3")})
    reads, merged = reads_of(store, "merge", before, after, theirs)
    assert not merged.clashes
    assert [path for path, *_ in trees.diff(before, merged.tree)] == ["d7/o3", "d9/o1"]
    assert reads == 3  # the three roots: below, each folder is as base on one side


def test_the_same_changes_make_the_same_tree_in_any_order(store: CountingStore) -> None:
    trees = Trees(store)
    blobs = {f"a/b{n % 5}/c{n}": store.write_blob(b"%d" % n) for n in range(60)} | {"a/b1": store.write_blob(b"x")}
    at_once = trees.apply(None, blobs)
    one_by_one = None
    for path, blob in sorted(blobs.items(), reverse=True):
        one_by_one = trees.apply(one_by_one, {path: blob, "gone": store.write_blob(b"gone")})
    assert trees.apply(one_by_one, {"gone": None}) == at_once
    assert trees.apply(at_once, dict.fromkeys(blobs)) is None
