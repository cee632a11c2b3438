"""The embedded lake under several processes: racing writers, `kill -9`, forks, packing beside writers."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dfp_platform.lake import Lake, open_lake
from dfp_platform.lake.embedded import EmbeddedLake
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.git_store import GitStore
from dfp_platform.lake.packing import pack

WRITER = """
import sys
from dfp_platform.lake import open_lake
folder, worker, commits = sys.argv[1], sys.argv[2], int(sys.argv[3])
lake = open_lake(folder)
for n in range(commits):
    lake.commit("main", {f"{worker}/{n}": b"%d" % n, "shared/last": f"{worker} {n}".encode()}, message=f"{worker} {n}")
"""

PAIR_WRITER = """
import sys
from pathlib import Path
from dfp_platform.lake import open_lake
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.git_store import GitStore
from dfp_platform.lake.packing import pack
lake = open_lake(sys.argv[1])
n = int(lake.read("main", "small")) if lake.exists("main", "small") else 0
while True:
    n += 1
    content = b"%d" % n
    if n % 3 == 0:
        with lake.transaction("main", message=f"{n}") as branch:
            lake.commit(branch, {"small": content}, message="half")
            lake.commit(branch, {"big.bin": content * 20_000, f"many/{n}": content}, message="other half")
    else:
        lake.commit("main", {"small": content, "big.bin": content * 20_000, f"many/{n}": content}, message=f"{n}")
    print(n, flush=True)
    if n % 4 == 0:
        pack(GitStore(LakeFolder(Path(lake.uri))))
"""

FORKER = """
import os, sys
from dfp_platform.lake import open_lake
lake = open_lake(sys.argv[1])
lake.commit("main", {"before": b"1"}, message="before the fork")
assert lake.provenance("main", "before").message == "before the fork"
children = []
for worker in range(2):
    pid = os.fork()
    if pid == 0:
        for n in range(10):
            lake.commit("main", {f"{worker}/{n}": b"1"}, message="child")
            assert lake.provenance("main", f"{worker}/{n}").message == "child"
            assert lake.provenance("main", "before").message == "before the fork"
        os._exit(7)
    children.append(pid)
for n in range(10):
    lake.commit("main", {f"parent/{n}": b"1"}, message="parent")
assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [7, 7]
"""

CREATOR = """
import sys
from dfp_platform.lake import open_lake
print(open_lake(sys.argv[1], create=True).resolve("main"))
"""


@contextmanager
def process(source: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process that is dead afterwards, whatever happens."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def lake(tmp_path: Path) -> EmbeddedLake:
    return EmbeddedLake(tmp_path / "lake", create=True)


def store_of(lake: Lake) -> GitStore:
    return GitStore(LakeFolder(Path(lake.uri)))


def loose_objects(lake: Lake) -> int:
    return sum(1 for _ in (Path(lake.uri) / "refs.git/objects").glob("[0-9a-f][0-9a-f]/*"))


def finish(child: subprocess.Popen[str]) -> None:
    _, errors = child.communicate(timeout=150)
    assert child.returncode == 0, errors


def test_several_processes_writing_one_branch_lose_nothing(lake: Lake) -> None:
    workers, commits = ["a", "b", "c"], 30
    with ExitStack() as stack:
        for child in [stack.enter_context(process(WRITER, lake.uri, worker, commits)) for worker in workers]:
            finish(child)
    written = {found.path: lake.read("main", found.path) for found in lake.list("main") if "shared" not in found.path}
    assert written == {f"{worker}/{n}": b"%d" % n for worker in workers for n in range(commits)}
    for path in written:
        assert lake.provenance("main", path).message == path.replace("/", " ")
    messages = [commit.message for commit in lake.log() if commit.parents]
    assert len(messages) == len(workers) * commits
    for worker in workers:  # each process's commits stand in its own order
        assert [m for m in messages if m.startswith(worker + " ")] == [
            f"{worker} {n}" for n in reversed(range(commits))
        ]
    assert lake.verify() == []


def test_kill_9_at_any_instant_leaves_the_old_or_the_new_state(lake: Lake) -> None:
    instants = random.Random(7)
    for _ in range(15):
        with process(PAIR_WRITER, lake.uri) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            assert first, child.communicate()[1]
            time.sleep(instants.uniform(0.0, 0.08))
            child.kill()
            told = first + child.stdout.read()
        confirmed = int(told[: told.rindex("\n")].split()[-1])
        state = open_lake(lake.uri)
        small = state.read("main", "small")
        assert int(small) in (confirmed, confirmed + 1)
        assert state.read("main", "big.bin") == small * 20_000
        assert sorted(int(found.path.split("/")[1]) for found in state.list("main", "many/")) == list(
            range(1, int(small) + 1)
        )
        assert state.verify() == []
        assert state.provenance("main", "big.bin").id in {commit.id for commit in state.log("main")}
    open_lake(lake.uri).commit("main", {"after": b"all"}, message="the lake still takes commits")


def test_a_lock_file_left_by_a_killed_writer_stops_nobody(lake: Lake) -> None:
    repository = Path(lake.uri) / "refs.git"
    for ref in ("heads/main", "heads/side"):
        (repository / "refs" / f"{ref}.lock").touch()
    lake.commit("main", {"a": b"1"}, message="main moves")
    lake.create_branch("side")
    (repository / "refs" / "heads/side.lock").touch()
    lake.delete_branch("side")
    assert lake.branches() == {"main": lake.resolve("main")}


def test_writers_and_readers_go_on_while_another_process_packs(lake: Lake) -> None:
    commits = 60
    with process(WRITER, lake.uri, "a", commits) as a, process(WRITER, lake.uri, "b", commits) as b:
        packed, reader = 0, open_lake(lake.uri)
        while a.poll() is None or b.poll() is None:
            packed += pack(store_of(lake))
            head = reader.show("main").id
            for found in reader.list(head):
                assert reader.read(head, found.path)
            time.sleep(0.02)
        finish(a)
        finish(b)
    assert packed > 0
    assert [found.path for found in lake.list("main", "a/")] == sorted(f"a/{n}" for n in range(commits))
    assert sum(1 for _ in lake.log()) == 1 + 2 * commits
    assert lake.verify() == []


def test_packing_leaves_one_pack_no_loose_object_and_everything_readable(lake: Lake) -> None:
    for n in range(30):
        lake.commit("main", {f"d{n % 3}/o{n}": b"%d" % n}, message=f"{n}")
    before = loose_objects(lake)
    assert pack(store_of(lake)) == before > 100
    assert loose_objects(lake) == 0
    assert pack(store_of(lake)) == 0
    for reader in (lake, open_lake(lake.uri)):
        assert {found.path for found in reader.list("main")} == {f"d{n % 3}/o{n}" for n in range(30)}
        assert reader.verify() == []
    lake.commit("main", {"d0/o0": b"after"}, message="after the pack")
    assert lake.read("main", "d0/o0") == b"after"


def test_a_lake_packs_itself_as_it_grows(lake: EmbeddedLake) -> None:
    """One of 256 folders is counted, so objects that git names 17… are what fills it."""
    lake.loose_limit = 2 * 256
    contents = (b"%d" % n for n in range(10_000))
    counted = (
        content
        for content in contents
        if hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()[:2] == "17"
    )
    while (before := loose_objects(lake)) < 30:
        lake.commit("main", {f"a/{before}": b"not counted"}, message="one")
    lake.commit("main", {"a/first": next(counted), "a/second": next(counted)}, message="both")
    assert loose_objects(lake) == 0
    # the first commits may have filled the counted folder already: their ids hold the time
    assert len(list((Path(lake.uri) / "refs.git/objects/pack").glob("*.pack"))) in (1, 2)
    assert lake.verify() == []


def test_a_forked_process_writes_and_asks_with_its_own_handles(lake: Lake) -> None:
    with process(FORKER, lake.uri) as forker:  # in a process of its own: the test runner has threads
        finish(forker)
    assert sum(1 for _ in lake.list("main")) == 31
    assert lake.provenance("main", "0/9").message == "child"
    assert lake.verify() == []


def test_two_processes_that_create_the_same_lake_share_it(tmp_path: Path) -> None:
    with process(CREATOR, tmp_path / "new/lake") as a, process(CREATOR, tmp_path / "new/lake") as b:
        heads = {child.communicate(timeout=60)[0].strip() for child in (a, b)}
    assert heads == {open_lake(tmp_path / "new/lake").resolve("main")}
    assert [child.name for child in (tmp_path / "new").iterdir()] == ["lake"]
