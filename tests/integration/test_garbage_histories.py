"""Garbage collection under random histories and beside writers: never a file that any ref needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.maintenance import compact, expire_snapshots
from dfp_platform.catalog.verification import table_damages
from dfp_platform.errors import DfpError, NotFoundError
from dfp_platform.lake import Lake, open_lake, packing
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.git_store import GitStore
from dfp_platform.lake.packing import pack
from dfp_platform.lake.retention import kept_commits
from dfp_platform.lake.sweeping import EmbeddedSweeper
from tests.garbage import age, days_ago, numbers, rows, swept

REFS = st.sampled_from(["main", "one", "two", "tag-one", "tag-two"])
BRANCHES = st.sampled_from(["main", "one", "two"])
VALUES = st.integers(0, 3)


class Garbage(RuleBasedStateMachine):
    """The model: what each ref holds. Few values, so that content comes back after it was garbage."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        with days_ago():
            self.lake: Lake = open_lake(self.folder / "lake", create=True)
        self.held: dict[str, tuple[int | None, int | None]] = {"main": (None, None)}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def a_table(self) -> None:
        self.write_table("main", 0)

    @rule(branch=BRANCHES, value=VALUES)
    def write_object(self, branch: str, value: int) -> None:
        if branch in self.held:
            with days_ago():
                self.lake.commit(branch, {"raw/a.bin": b"%d" % value * 9000, "b": b"%d" % value}, message="object")
            self.held[branch] = (value, self.held[branch][1])

    @rule(branch=BRANCHES, value=VALUES)
    def write_table(self, branch: str, value: int) -> None:
        if branch in self.held:
            with days_ago():
                overwrite(open_catalog(self.lake, branch), "marts.apps", rows(value))
            self.held[branch] = (self.held[branch][0], value)

    @rule(branch=BRANCHES)
    def maintain(self, branch: str) -> None:
        """Two appends and a delete that leave the rows what they were, a compaction, an expiry."""
        if branch in self.held and self.held[branch][1] is not None:
            catalog = open_catalog(self.lake, branch)
            with days_ago():
                for number in (8, 9):
                    catalog.load_table("marts.apps").append(rows(number))
                compact(catalog, "marts.apps")
                catalog.load_table("marts.apps").delete("number > 7")
                expire_snapshots(catalog, "marts.apps", older_than_days=0)

    @rule(name=st.sampled_from(["one", "two"]), source=REFS)
    def branch(self, name: str, source: str) -> None:
        if name not in self.held and source in self.held:
            self.lake.create_branch(name, source)
            self.held[name] = self.held[source]

    @rule(name=st.sampled_from(["tag-one", "tag-two"]), source=BRANCHES)
    def tag(self, name: str, source: str) -> None:
        if name not in self.held and source in self.held:
            self.lake.tag(name, source)
            self.held[name] = self.held[source]

    @rule(name=st.sampled_from(["one", "two", "tag-one", "tag-two"]))
    def forget(self, name: str) -> None:
        if self.held.pop(name, None):
            self.lake.delete_tag(name) if name.startswith("tag") else self.lake.delete_branch(name)

    @rule(source=REFS, into=BRANCHES)
    def merge(self, source: str, into: str) -> None:
        if source in self.held and into in self.held:
            try:
                with days_ago():
                    self.lake.merge(source, into, message="merge")
            except DfpError:
                return
            value = self.lake.read(into, "b") if self.lake.exists(into, "b") else None
            self.held[into] = (None if value is None else int(value), numbers(self.lake, into)[0])

    @rule()
    def pack(self) -> None:
        pack(GitStore(LakeFolder(Path(self.lake.uri))))

    @rule(history=st.sampled_from([None, 0.0, 1.0]))
    def collect(self, history: float | None) -> None:
        age(self.lake)
        swept(self.lake, **({} if history is None else {"history_days": history}))
        assert [*self.lake.verify(), *table_damages(self.lake)] == []
        for commit in kept_commits(self.lake):
            if open_catalog(self.lake, commit).table_exists("marts.apps"):
                table = open_catalog(self.lake, commit).load_table("marts.apps")
                for snapshot in table.metadata.snapshots:  # by pyiceberg alone, which shares no code with the sweep
                    table.scan(snapshot_id=snapshot.snapshot_id).to_arrow()
        for ref, (value, number) in self.held.items():
            assert numbers(self.lake, ref) == [number]
            if value is not None:
                assert self.lake.read(ref, "raw/a.bin") == b"%d" % value * 9000
                assert self.lake.read(ref, "b") == b"%d" % value


TestGarbage = Garbage.TestCase
TestGarbage.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
)

WRITER = """
import random, sys, time
import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.errors import StaleHeadError
from dfp_platform.lake import open_lake
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.git_store import GitStore
from dfp_platform.lake.packing import pack
from dfp_platform.lake.retention import kept_commits
from pathlib import Path

lake, name, seconds = open_lake(sys.argv[1]), sys.argv[2], float(sys.argv[3])
chance = random.Random(name)
print("ready", flush=True)
end, done, appended = time.monotonic() + seconds, 0, 0
while time.monotonic() < end:
    value = chance.randrange(4)
    branch = f"{name}-{done}"
    lake.create_branch(branch)
    lake.commit(branch, {f"{name}/big.bin": b"%d" % value * 9000, f"{name}/small": b"%d" % value}, message="both")
    table = f"marts.{name}"
    overwrite(open_catalog(lake, branch), table, pa.table({"number": [value]}))
    if chance.random() < 0.7:
        lake.merge(branch, "main", message=branch)
        assert lake.read("main", f"{name}/big.bin") == b"%d" % value * 9000
    lake.delete_branch(branch)
    try:
        open_catalog(lake).load_table("marts.shared").append(pa.table({"number": [done]}))
        appended += 1
    except CommitFailedException:
        pass  # another was quicker, or without grace its files were taken: then it says so, and nothing is committed
    if done % 5 == 4:
        pack(GitStore(LakeFolder(Path(lake.uri))))
    done += 1
print(done, appended, flush=True)
"""


def race(lake: Lake, *, seconds: float) -> tuple[int, int, int]:
    """Two writers and collections without any grace beside them; rounds of writing, appends, and collections."""
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    catalog.create_table("marts.shared", rows().schema)
    command = [sys.executable, "-W", "ignore", "-c", WRITER, lake.uri]
    writers = [
        subprocess.Popen([*command, name, str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    collections = 0
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        while any(writer.poll() is None for writer in writers):
            swept(lake, grace_hours=0, **({"history_days": 0} if collections % 2 else {}))
            collections += 1
            time.sleep(0.05)
        said = []
        for writer in writers:
            out, errors = writer.communicate(timeout=30)
            assert writer.returncode == 0, errors
            said.append([int(word) for word in out.split()])
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    return sum(done for done, _ in said), sum(appended for _, appended in said), collections


def test_collections_without_grace_beside_writers_take_nothing_that_is_needed(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    rounds, appended, collections = race(lake, seconds=4)
    assert rounds > 4
    assert collections > 1
    assert [*open_lake(lake.uri).verify(), *table_damages(lake)] == []
    assert len(numbers(lake, "main", "marts.shared")) == appended


def test_a_commit_of_this_very_second_keeps_its_files_or_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither was so: too young to be forgotten for certain, it lost what only it held."""
    monkeypatch.setattr(time, "time", lambda: 1_900_000_000.5)
    lake = open_lake(tmp_path / "lake", create=True)
    for value in range(5):
        lake.commit("main", {"big.bin": b"%d" % value * 9_000}, message=f"{value}")
    swept(lake, grace_hours=0, history_days=0)
    assert open_lake(lake.uri).verify() == []
    monkeypatch.setattr(time, "time", lambda: 1_900_000_002.0)
    assert swept(lake, grace_hours=0, history_days=0).found["objects"].files == 3
    assert open_lake(lake.uri).verify() == []


def test_a_file_that_seems_written_just_before_a_collection_began_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel stamps files some milliseconds early; its writer may have come after the collection."""
    now = 1_900_000_000.0
    with days_ago():
        lake = open_lake(tmp_path / "lake", create=True)
        lake.create_branch("gone")
        lake.commit("gone", {"big.bin": b"1" * 9_000}, message="only there")
        file = Path(lake.address("gone", "big.bin"))
        lake.delete_branch("gone")
    monkeypatch.setattr(time, "time", lambda: now)
    for earlier, stays in ((0.02, True), (0.5, False)):
        os.utime(file, (now - earlier, now - earlier))
        swept(lake, grace_hours=0)
        assert file.exists() == stays


def test_a_collection_waits_for_a_pack_that_has_listed_what_is_loose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with days_ago():
        lake = open_lake(tmp_path / "lake", create=True)
        lake.create_branch("gone")
        lake.commit("gone", {"a": b"only there"}, message="only there")
        lake.delete_branch("gone")
    age(lake)
    collection = threading.Thread(target=lambda: swept(open_lake(lake.uri), grace_hours=0))
    begun, remove_loose, write_pack = threading.Event(), EmbeddedSweeper._remove_loose, packing._write_pack

    def removing(*given: Any) -> None:
        begun.set()
        remove_loose(*given)

    def collecting_first(folder: Path, loose: dict[bytes, Path]) -> set[Path]:
        collection.start()
        assert begun.wait(timeout=60)
        collection.join(timeout=0.2)  # it would be through by now
        return write_pack(folder, loose)

    monkeypatch.setattr(EmbeddedSweeper, "_remove_loose", removing)
    monkeypatch.setattr(packing, "_write_pack", collecting_first)
    assert pack(GitStore(LakeFolder(Path(lake.uri)))) > 0
    collection.join()
    assert open_lake(lake.uri).verify() == []


def test_a_commit_whose_rows_were_collected_fails_and_says_so(tmp_path: Path) -> None:
    from pyiceberg.exceptions import CommitFailedException

    lake = open_lake(tmp_path / "lake", create=True)
    catalog = open_catalog(lake)
    overwrite(catalog, "marts.apps", rows(1))
    transaction = catalog.load_table("marts.apps").transaction()
    transaction.append(rows(2))
    time.sleep(0.3)
    swept(lake, grace_hours=0)
    with pytest.raises(CommitFailedException, match="is gone, write the rows again"):
        transaction.commit_transaction()
    assert numbers(lake, "main") == [1]


def test_an_object_named_by_its_stat_after_it_was_collected_is_not_found(tmp_path: Path) -> None:
    with days_ago():
        lake = open_lake(tmp_path / "lake", create=True)
        lake.create_branch("gone")
        lake.commit("gone", {"small": b"text", "big": b"big" * 9000}, message="objects")
    stats = [lake.stat("gone", path) for path in ("small", "big")]
    lake.delete_branch("gone")
    age(lake)
    swept(lake)
    for stat in stats:
        with pytest.raises(NotFoundError, match="holds no object"):
            lake.commit("main", {stat.path: stat}, message="again")
