"""Writers of one lake on lakeFS that race: nothing is lost, and who pinned a head is told."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from dfp_platform.errors import AlreadyExistsError, MergeConflictError, NotFoundError, StaleHeadError
from dfp_platform.lake import open_lake
from dfp_platform.lake.lakefs import LakeFSLake
from dfp_platform.settings import settings
from tests.contract.lakes import BIG, contents, paths, put
from tests.lakefs_double import Double, Fault
from tests.lakefs_double.fixtures import double, lake
from tests.lakefs_double.places import new_repository, point_to
from tests.lakefs_double.state import Branch
from tests.lakefs_double.writers import name_of, when, write_as_another_process

pytestmark = pytest.mark.slow  # make conformance-lakefs

WRITER = """
import sys
from dfp_platform.lake import open_lake
lake, worker, commits = open_lake(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for n in range(commits):
    lake.commit("main", {f"{worker}/{n}": b"%d" % n, "shared": f"{worker} {n}".encode()}, message=f"{worker} {n}")
"""


__all__ = ["double", "lake"]


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


# The server looks for the other kind before it makes a ref, not while it does: both can be made.


@pytest.mark.parametrize("call", ["GET .*/tags/name", "POST .*/branches$"])
def test_a_branch_gives_way_to_a_tag_that_another_made_meanwhile(double, lake, call):
    head = put(lake, a=b"1")
    when(double, call, lambda: double.repository(name_of(lake)).tags.update(name=head))
    with pytest.raises(AlreadyExistsError, match="is a tag already"):
        lake.create_branch("name")
    assert ("name" in lake.branches(), lake.tags()) == (False, {"name": head})


@pytest.mark.parametrize("call", ["GET .*/branches/name", "POST .*/tags$"])
def test_a_tag_gives_way_to_a_branch_that_another_made_meanwhile(double, lake, call):
    head = put(lake, a=b"1")
    when(double, call, lambda: double.repository(name_of(lake)).branches.update(name=Branch(head)))
    with pytest.raises(AlreadyExistsError, match="is a branch already"):
        lake.tag("name", "main")
    assert (lake.branches()["name"], lake.tags()) == (head, {})


def test_a_name_that_the_other_gives_back_is_had_at_the_next_try(double, lake):
    head = put(lake, a=b"1")
    tags = double.repository(name_of(lake)).tags
    when(double, "POST .*/branches$", lambda: tags.update(name=head))
    when(double, "DELETE .*/branches/name", tags.clear)
    lake.create_branch("name")
    assert (lake.branches()["name"], lake.tags()) == (head, {})


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
            put(lake, child=b"1")
            put(LakeFSLake(name_of(lake)), grandchild=b"1")
            os._exit(7)
        finally:
            os._exit(1)
    put(lake, parent=b"1")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert paths(lake) == ["before", "child", "grandchild", "parent"]


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
