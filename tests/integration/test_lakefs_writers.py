"""Writers of a lake on lakeFS that die at any call; other tools beside them; many bytes."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest

from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.lake import Lake, lakefs_server, open_lake
from dfp_platform.lake.lakefs import LakeFSLake
from dfp_platform.lake.lakefs_drafts import DRAFTS, sweep_drafts
from dfp_platform.lake.lakefs_repository import Repository
from dfp_platform.settings import settings
from tests.contract.lakes import BIG, contents, put
from tests.lakefs_double import Double
from tests.lakefs_double.fixtures import double, lake
from tests.lakefs_double.places import new_repository, point_to
from tests.lakefs_double.writers import name_of

pytestmark = pytest.mark.slow  # make conformance-lakefs


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the writer runs after it, no clean-up either."""


__all__ = ["double", "lake"]


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
    with pytest.raises(NotFoundError, match="the bytes of gone at"):
        lake.read(lake.show("main").parents[0], "gone")
    problems = lake.verify()
    assert len(problems) == 2
    assert any("gone" in problem and "cannot be read" in problem for problem in problems)
    assert any("changed" in problem and "should have sha256" in problem for problem in problems)
