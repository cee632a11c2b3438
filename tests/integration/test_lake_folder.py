"""The embedded lake as a folder: moved, damaged, seen by git, without its index, at size."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import shutil
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path

import pytest

from dfp_platform.errors import (
    ConfigurationError,
    InvalidNameError,
    NotFoundError,
)
from dfp_platform.lake import Lake, folder, open_lake, relocate

BIG = b"big" * 10_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def files_under(place: Path) -> list[Path]:
    return [file for file in place.rglob("*") if file.is_file()]


# -- opening --------------------------------------------------------------------------------------------------------


def test_a_path_with_no_lake_is_not_found_and_says_what_to_do(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NotFoundError, match="create"):
            open_lake(place)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_files_does_not_become_a_lake(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigurationError):
        open_lake(tmp_path, create=True)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_becomes_a_lake_and_opening_it_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    head = open_lake(tmp_path / "empty", create=True).resolve("main")
    assert open_lake(f"file://{tmp_path}/empty", create=True).resolve("main") == head


def test_an_unknown_scheme_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="ftp://"):
        open_lake("ftp://somewhere/lake")


def test_a_lake_of_a_newer_format_is_not_touched(lake: Lake) -> None:
    form = Path(lake.uri) / "lake.json"
    form.write_text(form.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ConfigurationError, match="upgrade"):
        open_lake(lake.uri)


def test_a_damaged_format_file_is_named(lake: Lake) -> None:
    (Path(lake.uri) / "lake.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"lake\.json"):
        open_lake(lake.uri)


def test_a_moved_lake_says_so_until_it_is_relocated(lake: Lake, tmp_path: Path) -> None:
    lake.commit("main", {"a": b"1", "big.bin": BIG}, message="before the move")
    (tmp_path / "lake").rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="relocate") as caught:
        open_lake(tmp_path / "elsewhere")
    assert caught.value.fields["location"] == lake.uri
    assert relocate(tmp_path / "elsewhere") == lake.uri
    assert relocate(tmp_path / "elsewhere") is None
    moved = open_lake(tmp_path / "elsewhere")
    assert moved.read("main", "big.bin") == BIG
    assert moved.address("main", "big.bin").startswith(str(tmp_path / "elsewhere"))
    assert folder.LakeFolder(tmp_path / "elsewhere").former_locations() == [lake.uri]


def test_a_lake_opened_through_a_symbolic_link_is_the_same_lake(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(lake.uri)
    assert open_lake(tmp_path / "link").uri == lake.uri


def test_a_network_file_system_is_warned_of(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_file_system", lambda place: "nfs4")
    with pytest.warns(UserWarning, match="network file system"):
        open_lake(lake.uri)


def test_the_file_system_of_the_deepest_mount_counts() -> None:
    table = "/dev/a / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\n/dev/b /data/local\\040disk xfs rw 0 0\n"
    assert folder.file_system_in(table, Path("/home/me")) == "ext4"
    assert folder.file_system_in(table, Path("/data/lake")) == "nfs4"
    assert folder.file_system_in(table, Path("/data/local disk/lake")) == "xfs"
    assert folder.file_system_in("", Path("/data")) == ""


def test_a_lake_travels_to_another_process_by_its_place(lake: Lake) -> None:
    lake.commit("main", {"a": b"1"}, message="m")
    assert pickle.loads(pickle.dumps(lake)).read("main", "a") == b"1"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted by /proc")
def test_a_lake_that_nobody_holds_any_more_closes_its_files_at_once(lake: Lake) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def use() -> None:
        again = open_lake(lake.uri)
        again.commit("main", {"a": b"%d" % open_files()}, message="m")
        again.provenance("main", "a")
        assert again.stat("main", "a").size > 0

    use()
    gc.disable()
    try:
        before = open_files()
        for _ in range(10):
            use()
        assert open_files() <= before + 1
    finally:
        gc.enable()


# -- what lies where ------------------------------------------------------------------------------------------------


def test_equal_big_content_is_stored_once_under_every_suffix_and_cannot_be_written(lake: Lake) -> None:
    lake.commit("main", {"a.parquet": BIG, "b.parquet": BIG, "c.csv": BIG, "d": BIG}, message="one content")
    addresses = [Path(lake.address("main", path)) for path in ("a.parquet", "b.parquet", "c.csv", "d")]
    assert [address.suffix for address in addresses] == [".parquet", ".parquet", ".csv", ""]
    assert len({address.stat().st_ino for address in addresses}) == 1
    assert all(address.stat().st_mode & 0o222 == 0 for address in addresses)
    assert addresses[0].name.startswith(hashlib.sha256(BIG).hexdigest())


def test_big_files_never_pass_through_git_and_small_ones_need_no_file(lake: Lake) -> None:
    lake.commit("main", {"small": b"1", "big": os.urandom(1_000_000)}, message="both")
    assert len(files_under(Path(lake.uri) / "objects")) == 1
    assert sum(file.stat().st_size for file in files_under(Path(lake.uri) / "refs.git/objects")) < 10_000


def test_a_failed_commit_leaves_no_half_written_file(lake: Lake, tmp_path: Path) -> None:
    class Breaking:
        def __init__(self) -> None:
            self.left = 3

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            if self.left == 0:
                raise OSError("the cable was pulled")
            return b"x" * 100_000

    with pytest.raises(OSError, match="cable"):
        lake.commit("main", {"a": Breaking()}, message="never")
    assert files_under(Path(lake.uri) / "objects") == []


def test_a_big_commit_tells_its_progress(lake: Lake) -> None:
    told: list[tuple[str, int]] = []
    lake.progress = lambda path, done: told.append((path, done))
    lake.commit("main", {"a.bin": bytes(3_000_000)}, message="big")
    assert {path for path, _ in told} == {"a.bin"}
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert told[-1][1] == 3_000_000


def test_a_path_of_more_than_900_letters_is_refused(lake: Lake) -> None:
    lake.commit("main", {"x" * 900: b"1"}, message="just")
    with pytest.raises(InvalidNameError):
        lake.commit("main", {"x" * 901: b"1"}, message="too long")


@pytest.mark.skipif(shutil.which("git") is None, reason="the git program is optional; the lake itself never calls it")
def test_the_git_program_reads_and_repacks_the_history(lake: Lake) -> None:
    def git(*arguments: str) -> str:
        command = ["git", f"--git-dir={lake.uri}/refs.git", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == "" or arguments[0] in ("gc", "fsck"), done.stderr
        return done.stdout

    for n in range(20):
        lake.commit("main", {"a/b": b"%d" % n, f".git/{n}": b"x"}, message=f"number {n}", metadata={"run": f"r{n}"})
    lake.tag("v1", "main")
    assert git("log", "-1", "--format=%s|%(trailers:key=Dfp-Metadata,valueonly)", "main").strip() == (
        'number 19|{"run": "r19"}'
    )
    assert git("rev-parse", "v1").strip() == lake.resolve("v1")
    git("fsck", "--strict")
    git("gc", "--quiet")
    lake.create_branch("after")
    lake.commit("after", {"a/b": b"after"}, message="after git's own packing")
    lake.delete_branch("after")
    assert open_lake(lake.uri).read("main", "a/b") == b"19"
    assert lake.tags() == {"v1": lake.resolve("main")}
    assert lake.verify() == []


# -- the index ------------------------------------------------------------------------------------------------------


def write_some_history(lake: Lake) -> dict[str, str]:
    for n in range(10):
        lake.commit("main", {f"a{n % 3}": b"%d" % n}, message=f"{n}")
        with lake.transaction("main", message=f"tx {n}") as branch:
            lake.commit(branch, {f"b{n % 4}": b"%d" % n}, message=f"in tx {n}")
    return {found.path: lake.provenance("main", found.path).message for found in lake.list("main")}


def test_provenance_is_the_same_after_the_index_was_lost_damaged_or_left_behind(lake: Lake) -> None:
    expected = write_some_history(lake)
    assert expected == {
        "a0": "9",
        "a1": "7",
        "a2": "8",
        "b0": "in tx 8",
        "b1": "in tx 9",
        "b2": "in tx 6",
        "b3": "in tx 7",
    }
    index = Path(lake.uri) / "index.db"

    def lost() -> None:
        for file in index.parent.glob("index.db*"):
            file.unlink()

    def damaged() -> None:
        lost()
        index.write_bytes(b"this is not a database" * 1000)

    def behind() -> None:
        with sqlite3.connect(index) as database:
            database.execute("DELETE FROM writes WHERE seq > 5")
            database.execute("DELETE FROM parents WHERE child > 5")
            database.execute("DELETE FROM commits WHERE seq > 5")
        database.close()

    for mishap in (lost, damaged, behind):
        mishap()
        again = open_lake(lake.uri)
        assert {path: again.provenance("main", path).message for path in expected} == expected
        assert [commit.message for commit in again.log()][:2] == ["tx 9", "in tx 9"]


def test_a_lake_whose_index_cannot_be_written_still_answers(lake: Lake) -> None:
    expected = write_some_history(lake)
    for file in Path(lake.uri).glob("index.db*"):
        file.unlink()
    (Path(lake.uri) / "index.db").mkdir()
    again = open_lake(lake.uri)
    assert {path: again.provenance("main", path).message for path in expected} == expected
    again.commit("main", {"c": b"1"}, message="and takes commits")
    assert again.provenance("main", "c").message == "and takes commits"


def test_a_small_object_of_another_branch_is_found_by_its_stat_beside_a_damaged_file(lake: Lake) -> None:
    lake.create_branch("side")
    lake.commit("side", {"a": b"small"}, message="m")
    stat, file = lake.stat("side", "a"), Path(lake.address("side", "a"))
    file.chmod(0o644)
    file.write_bytes(b"smell")
    for index in Path(lake.uri).glob("index.db*"):
        index.unlink()
    again = open_lake(lake.uri)
    again.commit("main", {"b": stat}, message="over")
    assert again.read("main", "b") == b"small"


def test_a_writer_is_not_held_up_by_one_who_keeps_the_index(lake: Lake) -> None:
    lake.commit("main", {"a": b"1"}, message="first")
    with sqlite3.connect(Path(lake.uri) / "index.db", isolation_level=None) as hog:
        hog.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        lake.commit("main", {"a": b"2"}, message="second")
        assert time.monotonic() - start < 5.0
        hog.execute("ROLLBACK")
    hog.close()
    assert lake.provenance("main", "a").message == "second"


# -- size -----------------------------------------------------------------------------------------------------------


def test_a_commit_among_ten_thousand_objects_costs_little_more_than_in_an_empty_lake(lake: Lake) -> None:
    def median_ms(path: str) -> float:
        taken = []
        for n in range(15):
            start = time.perf_counter()
            lake.commit("main", {path: b"%d" % n}, message="one")
            taken.append((time.perf_counter() - start) * 1e3)
        return statistics.median(taken)

    alone = median_ms("tables/marts/t0")
    first = lake.commit("main", dict.fromkeys((f"tables/marts/t{n}" for n in range(10_000)), b"0"), message="all")
    crowded = median_ms("tables/marts/t0")
    assert crowded < 4 * alone + 20.0
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        assert [found.path for found in lake.diff(first, "main")] == ["tables/marts/t0"]
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.5
    assert sum(1 for _ in lake.list("main")) == 10_000
