"""Writers of one lake on lakeFS: racing, dying, and beside people who use lakeFS's own tools."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from dfp_platform.errors import InputError, MergeConflictError, NotFoundError, StaleHeadError
from dfp_platform.lake import Lake, lakefs_server, open_lake
from dfp_platform.lake.lakefs import LakeFSLake
from dfp_platform.lake.lakefs_content import measured
from dfp_platform.lake.lakefs_drafts import DRAFTS, sweep_drafts
from dfp_platform.lake.lakefs_repository import Repository
from dfp_platform.settings import settings
from tests.contract.lakes import BIG, contents, paths, put
from tests.lakefs_double import Double, Fault
from tests.lakefs_double.places import new_repository, point_to

WRITER = """
import sys
from dfp_platform.lake import open_lake
lake, worker, commits = open_lake(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for n in range(commits):
    lake.commit("main", {f"{worker}/{n}": b"%d" % n, "shared": f"{worker} {n}".encode()}, message=f"{worker} {n}")
"""


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the writer runs after it, no clean-up either."""


@pytest.fixture
def double(tmp_path, monkeypatch):
    found = Double(tmp_path / "double")
    point_to(found, monkeypatch, tmp_path)
    yield found
    found.stop()
    settings.cache_clear()


@pytest.fixture
def lake(double: Double) -> LakeFSLake:
    return open_lake(new_repository(), create=True)


def name_of(lake: Lake) -> str:
    return lake.uri.removeprefix("lakefs://")


def write_as_another_process(lake: LakeFSLake, branch: str, **changes: bytes | None) -> None:
    """A commit that does not wait for the writers of this process."""
    other = LakeFSLake(name_of(lake))
    with measured(changes, lambda stat: None, None) as wanted:
        other._writing.put(branch, other._refs.head(branch), wanted, "another", {})


def when(double: Double, call: str, act) -> None:
    """Do something once, right after the server did a call and before it answers."""

    def once() -> None:
        double.faults.remove(fault)
        act()

    fault = Fault(call, "then", then=once)
    double.faults.append(fault)


# -- races ----------------------------------------------------------------------------------------------------------


def test_a_lost_race_lands_on_the_head_that_won_and_sends_nothing_twice(double, lake):
    put(lake, a=b"0")
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "main", b=b"theirs"))
    double.calls.clear()
    put(lake, big=BIG)
    assert contents(lake) == {"a": b"0", "b": b"theirs", "big": BIG}
    assert [commit.message for commit in lake.log()][:2] == ["put big", "another"]
    ours = next(call.split("/")[4] for call in double.calls if call.endswith("/objects"))
    assert sum(call.endswith(f"{ours}/objects") for call in double.calls) == 2  # the object and the token


def test_two_writers_of_nothing_but_the_same_path_both_land(double, lake):
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "main", a=b"theirs"))
    put(lake, a=b"mine")
    assert contents(lake) == {"a": b"mine"}
    assert [commit.message for commit in lake.log()][:2] == ["put a", "another"]


def test_what_the_winner_did_already_makes_no_second_commit(double, lake):
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "main", a=b"same"))
    put(lake, a=b"same")
    assert lake.show("main").message == "another"


def test_a_removal_holds_against_what_the_winner_added(double, lake):
    put(lake, b=b"1")
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "main", a=b"theirs"))
    put(lake, a=None, b=b"2")
    assert contents(lake) == {"b": b"2"}


@pytest.mark.parametrize("theirs", [{"a": b"theirs"}, {"elsewhere": b"theirs"}], ids=["same-path", "another-path"])
def test_a_pinned_write_is_refused_whatever_the_other_touched(double, lake, theirs):
    head = put(lake, a=b"0")
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "main", **theirs))
    with pytest.raises(StaleHeadError) as caught:
        lake.commit("main", {"a": b"mine"}, message="mine", expect=head)
    assert caught.value.fields["actual"] == lake.resolve("main")
    assert contents(lake) == {"a": b"0", **theirs}


def test_a_merge_that_loses_a_race_is_made_anew(double, lake):
    lake.create_branch("side")
    put(lake, "side", a=b"side", b=b"side")
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "main", c=b"theirs"))
    lake.merge("side", message="merge")
    assert contents(lake) == {"a": b"side", "b": b"side", "c": b"theirs"}
    put(lake, "side", a=b"again")
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "main", a=b"theirs"))
    with pytest.raises(MergeConflictError):
        lake.merge("side", message="merge")
    put(lake, a=b"side")
    head = lake.resolve("main")
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "main", d=b"theirs"))
    with pytest.raises(StaleHeadError):
        lake.merge("side", message="merge", expect=head)


def test_two_merges_of_one_branch_at_once_bring_it_once(double, lake):
    lake.create_branch("side")
    put(lake, "side", a=b"1")

    def merge_as_another_process() -> None:
        other = LakeFSLake(name_of(lake))
        other._writing.merge(other.resolve("side"), "main", {}, "theirs", {}, None, source="side")

    when(double, "POST .*/commits$", merge_as_another_process)
    made = lake.merge("side", message="mine")
    assert (made, lake.show(made).message) == (lake.resolve("main"), "theirs")


def test_a_branch_written_while_it_is_deleted_at_a_head_stays(double, lake):
    lake.create_branch("side")
    head = put(lake, "side", a=b"1")
    when(double, "POST .*/commits$", lambda: write_as_another_process(lake, "side", b=b"late"))
    with pytest.raises(StaleHeadError):
        lake.delete_branch("side", expect=head)
    assert contents(lake, "side") == {"a": b"1", "b": b"late"}


def test_nobody_writes_to_a_branch_whose_deletion_has_begun(double, lake):
    lake.create_branch("side")
    head = put(lake, "side", a=b"1")
    double.faults.append(Fault("DELETE .*/branches/side", "status", status=400))
    with pytest.raises(Exception, match="did not delete"):
        lake.delete_branch("side", expect=head)
    with pytest.raises(NotFoundError, match="being deleted"):
        put(lake, "side", b=b"1")
    lake.delete_branch("side", expect=head)
    assert list(lake.branches()) == ["main"]


def test_threads_of_one_process_take_turns_and_refuse_each_other_never(double, lake):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: put(lake, **{f"w{n}": b"1", "shared": b"%d" % n}), range(12)))
    assert len(paths(lake)) == 13
    assert sum("/merge/_dfp-" in call for call in double.calls) == 0


def test_processes_that_write_at_once_lose_nothing(double, lake):
    commits, workers = 6, 4
    command = [sys.executable, "-c", WRITER, lake.uri]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        children = [
            stack.enter_context(subprocess.Popen([*command, str(worker), str(commits)], **pipes))
            for worker in range(workers)
        ]
        for child in children:
            stack.callback(child.kill)
        assert [child.stdout.readline() for child in children] == ["ready\n"] * workers
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        assert [child.communicate(timeout=120)[1] for child in children] == [""] * workers
    assert any("/merge/_dfp-" in call for call in double.calls)  # they did race
    assert paths(lake) == sorted([*(f"{w}/{n}" for w in range(workers) for n in range(commits)), "shared"])
    assert sum(1 for _ in lake.log()) == 1 + commits * workers
    assert lake.verify() == []


def test_a_fork_speaks_to_the_server_over_connections_of_its_own(double, lake):
    put(lake, before=b"1")
    child = os.fork()
    if child == 0:
        try:
            put(LakeFSLake(name_of(lake)), child=b"1")
            os._exit(7)
        finally:
            os._exit(1)
    put(lake, parent=b"1")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert paths(lake) == ["before", "child", "parent"]


def test_a_server_that_knows_neither_squashing_nor_hiding_nor_empty_merges_will_do(tmp_path, monkeypatch):
    old = Double(tmp_path / "old", version="1.2.0")
    point_to(old, monkeypatch, tmp_path)
    lake = open_lake(new_repository(), create=True)
    first = put(lake, a=b"0")
    lake.create_branch("side")
    source = put(lake, "side", b=b"1")
    when(old, "POST .*/commits$", lambda: write_as_another_process(lake, "main", a=b"theirs"))
    second = put(lake, a=b"mine")
    merged = lake.merge("side", message="merge")
    log = list(lake.log())
    assert [commit.message for commit in log if commit.message != "put b"] == [
        "merge",
        "put a",
        "another",
        "put a",
        "Repository created",
    ]
    assert (log[0].id, log[0].parents) == (merged, (second, source))
    assert lake.provenance("main", "a").id == second
    assert lake.provenance("main", "b").id == source
    assert contents(lake) == {"a": b"mine", "b": b"1"}
    assert lake.merge_base("main", first) == first
    assert list(lake.branches()) == ["main", "side"]
    old.stop()
    settings.cache_clear()


# -- death ----------------------------------------------------------------------------------------------------------


def die_at(monkeypatch, call: int, *, after: bool) -> None:
    """Let the writer die before or after its n-th call; it makes no further one."""
    asked = lakefs_server.Server.ask
    count = iter(range(1, 1_000_000))

    def ask(self, *args, **options):
        number = next(count)
        if number > call or (number == call and not after):
            raise Killed
        answer = asked(self, *args, **options)
        if number == call:
            raise Killed
        return answer

    monkeypatch.setattr(lakefs_server.Server, "ask", ask)


def writes(lake: Lake) -> dict[str, object]:
    """Each kind of write, as a call."""
    return {
        "commit": lambda: lake.commit("main", {"a": b"new", "gone": None, "big": BIG}, message="w"),
        "merge": lambda: lake.merge("side", "main", message="w", resolved={"a": b"new"}),
        "revert": lambda: lake.revert("main", "wrong", message="w"),
        "delete": lambda: lake.delete_branch("side", expect=lake.resolve("side")),
    }


@pytest.mark.parametrize("kind", ["commit", "merge", "revert", "delete"])
@pytest.mark.parametrize("after", [False, True], ids=["before-a-call", "after-a-call"])
def test_a_writer_that_dies_at_any_call_leaves_the_old_state_or_the_new(double, lake, kind, after):
    put(lake, a=b"0", gone=b"0")
    lake.create_branch("side")
    put(lake, "side", a=b"side", side=b"1")
    lake.tag("wrong", put(lake, a=b"wrong", more=b"1"))
    start = {name: dict(contents(lake, name)) for name in lake.branches()}
    wanted = {
        "commit": {**start, "main": {"a": b"new", "big": BIG, "more": b"1"}},
        "merge": {**start, "main": {"a": b"new", "gone": b"0", "more": b"1", "side": b"1"}},
        "revert": {**start, "main": {"a": b"0", "gone": b"0"}},
        "delete": {"main": start["main"]},
    }
    died = 0
    for call in range(1, 60):
        with pytest.MonkeyPatch.context() as killing:
            writer = LakeFSLake(name_of(lake))
            die_at(killing, call, after=after)
            try:
                writes(writer)[kind]()
            except Killed:
                died += 1
        seen = open_lake(lake.uri)
        state = {name: contents(seen, name) for name in seen.branches()}
        assert state in (start, wanted[kind])
        if state == wanted[kind]:
            break
    assert died >= 5
    assert state == wanted[kind]
    assert seen.verify() == []
    try:  # a rerun finds its work done
        writes(seen)[kind]()
    except NotFoundError:
        assert kind == "delete"
    assert {name: contents(seen, name) for name in seen.branches()} == wanted[kind]


def test_hidden_branches_of_dead_writers_are_not_shown_and_swept_when_old(double, lake, monkeypatch):
    put(lake, a=b"0")
    with monkeypatch.context() as killing:
        die_at(killing, 6, after=True)
        with pytest.raises(Killed):
            put(lake, a=b"1")
    repository = Repository(lakefs_server.connect(), name_of(lake))
    left = [name for name, _ in repository.branches(prefix=DRAFTS, hidden=True)]
    assert len(left) == 1
    assert list(lake.branches()) == ["main"]
    assert sweep_drafts(repository) == []
    assert sweep_drafts(repository, older_than_s=-60) == left
    assert list(repository.branches(prefix=DRAFTS, hidden=True)) == []


def test_a_write_leaves_no_hidden_branch(double, lake):
    put(lake, a=b"0")
    lake.create_branch("side")
    put(lake, "side", a=b"1")
    lake.merge("side", message="m")
    with pytest.raises(NotFoundError):
        lake.commit("main", {"a": Path("/nowhere/at/all")}, message="no such file")
    assert list(double.repository(name_of(lake)).branches) == ["main", "side"]


# -- other tools ----------------------------------------------------------------------------------------------------


def upload(lake: LakeFSLake, branch: str, path: str, content: bytes) -> None:
    """As `lakectl fs upload` does: without a digest."""
    lake._repository.upload(branch, path, lambda: io.BytesIO(content), len(content), {})


def test_objects_that_another_tool_committed_are_read_measured_and_traced(lake):
    put(lake, a=b"1")
    upload(lake, "main", "theirs", BIG)
    foreign = lake._repository.commit("main", "by hand", {"who": "me"})
    stat = lake.stat("main", "theirs")
    assert [found for found in lake.list("main") if found.path == "theirs"] == [stat]
    lake.commit("main", {"copy": stat}, message="copy")
    assert (lake.read("main", "copy"), lake.stat("main", "copy").sha256) == (BIG, stat.sha256)
    assert lake.commit("main", {"theirs": BIG}, message="the same") == lake.resolve("main")
    assert lake.provenance("main", "theirs") == lake.show(foreign)
    assert lake.show(foreign).metadata == {"who": "me"}
    assert lake.verify() == []


def test_a_merge_by_another_tool_counts_as_one(lake):
    put(lake, a=b"1")
    lake.create_branch("side")
    source = put(lake, "side", b=b"1")
    put(lake, c=b"1")
    made = lake._repository.merge("side", "main", "by hand", {})
    assert lake.show(made).parents[1] == source
    assert lake.merge("side", message="again") == made
    assert lake.merge_base("main", "side") == source
    assert contents(lake) == {"a": b"1", "b": b"1", "c": b"1"}


def test_metadata_under_the_keepers_own_names_comes_back_whole(lake):
    facts = {"dfp.token": "mine", ".lakefs.x": "1", "::lakefs::y": "2", "plain": "3"}
    made = lake.commit("main", {"a": b"1"}, message="m", metadata=facts)
    assert lake.show(made).metadata == facts


# -- bytes ----------------------------------------------------------------------------------------------------------


class Zeros(io.RawIOBase):
    """A stream that is longer than memory should hold, and cannot seek."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        size = min(len(buffer), self.left)
        buffer[:size] = bytes(size)
        self.left -= size
        return size


def test_a_big_stream_passes_through_in_pieces_and_says_how_far_it_is(lake):
    seen: list[tuple[str, int]] = []
    lake.progress = lambda path, size: seen.append((path, size))
    tracemalloc.start()
    try:
        lake.commit("main", {"big": Zeros(64 << 20)}, message="big")
        with lake.open("main", "big") as stream:
            stream.seek(-5, io.SEEK_END)
            assert stream.read() == bytes(5)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert lake.stat("main", "big").size == 64 << 20
    assert (seen[-1], len(seen) > 10) == (("big", 64 << 20), True)


def test_all_of_a_big_object_is_read_by_one_request(double, lake):
    content = BIG * 50
    lake.commit("main", {"big": content}, message="big")
    double.calls.clear()
    assert lake.read("main", "big") == content
    assert sum(call.endswith("/objects") for call in double.calls) == 1


def test_a_file_that_changes_between_measuring_and_sending_is_refused(lake, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_bytes(BIG)
    measure = lake._objects.missing

    def missing(*args):
        file.write_bytes(BIG[::-1])
        return measure(*args)

    monkeypatch.setattr(lake._objects, "missing", missing)
    with pytest.raises(InputError, match="changed while it was read"):
        lake.commit("main", {"a": file}, message="m")
    assert contents(lake) == {}


def test_on_a_store_that_engines_reach_addresses_and_warehouse_lie_there(tmp_path, monkeypatch):
    store = Double(tmp_path / "s3", storage="s3")
    point_to(store, monkeypatch, tmp_path)
    lake = open_lake(new_repository(), create=True)
    put(lake, a=b"1")
    assert lake.warehouse == f"s3://tests/{name_of(lake)}/dfp-warehouse"
    assert lake.address("main", "a").startswith(f"s3://tests/{name_of(lake)}/data/")
    assert store.file_of(lake.address("main", "a")).read_bytes() == b"1"
    store.stop()
    settings.cache_clear()


def test_verify_names_what_is_gone_and_what_was_changed(double, lake):
    put(lake, good=b"1", gone=b"2", changed=b"3")
    put(lake, gone=None)
    repository = double.repository(name_of(lake))
    first = repository.commits[repository.resolve("main").parents[0]].tree
    double.file_of(first["gone"].address).unlink()
    double.file_of(first["changed"].address).write_bytes(b"4")
    problems = lake.verify()
    assert len(problems) == 2
    assert any("gone" in problem and "cannot be read" in problem for problem in problems)
    assert any("changed" in problem and "should have sha256" in problem for problem in problems)
