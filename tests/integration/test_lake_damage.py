"""The embedded lake after damage: files gone or changed, power cuts, a disk that fails."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from dfp_platform.errors import (
    CorruptLakeError,
    NotFoundError,
    StaleHeadError,
    UnknownOutcomeError,
)
from dfp_platform.lake import Lake, durable, open_lake
from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.git_store import GitStore
from dfp_platform.lake.packing import pack
from dfp_platform.schemas import CommitId

BIG = b"big" * 10_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def files_under(place: Path) -> list[Path]:
    return [file for file in place.rglob("*") if file.is_file()]


def test_verify_names_a_big_object_that_is_gone_and_reading_it_says_so(lake: Lake) -> None:
    lake.commit("main", {"raw/a.bin": BIG}, message="big")
    Path(lake.address("main", "raw/a.bin")).unlink()
    assert [("raw/a.bin" in line, "missing" in line) for line in lake.verify()] == [(True, True)]
    with pytest.raises(CorruptLakeError, match=r"raw/a\.bin"):
        lake.read("main", "raw/a.bin")
    lake.commit("main", {"again.bin": BIG}, message="its bytes come back")
    assert lake.verify() == []


def test_verify_names_a_big_object_whose_bytes_changed(lake: Lake) -> None:
    lake.commit("main", {"raw/a.bin": BIG}, message="big")
    file = Path(lake.address("main", "raw/a.bin"))
    file.chmod(0o644)
    file.write_bytes(b"bag" + BIG[3:])
    damage = lake.verify()
    assert len(damage) == 1
    assert hashlib.sha256(BIG).hexdigest() in damage[0]
    assert "raw/a.bin" in damage[0]


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_verify_names_damage_in_every_kind_of_git_object(lake: Lake, damage: str) -> None:
    lake.commit("main", {"a/b": b"small"}, message="first")
    lake.commit("main", {"a/c": b"small too"}, message="second")
    for file in files_under(Path(lake.uri) / "refs.git/objects"):
        kept = file.read_bytes()
        file.chmod(0o644)
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(kept[:-4] + b"\0\0\0\0")
        if file.parent.name + file.name != "4b825dc642cb6eb9a060e54bf8d69288fbee4904":  # the empty tree is built in
            assert lake.verify() != [], file
        file.write_bytes(kept)
    assert lake.verify() == []


def lose_power(lake: Lake, *, seed: int) -> None:
    """What a power cut may do: loose objects that were not synced are gone, empty or garbled."""
    dice = random.Random(seed)
    for file in sorted(Path(lake.uri).glob("refs.git/objects/[0-9a-f][0-9a-f]/*")):
        file.chmod(0o644)
        mishap = dice.choice(["none", "gone", "empty", "garbled"])
        if mishap == "gone":
            file.unlink()
        elif mishap != "none":
            file.write_bytes(b"" if mishap == "empty" else b"\0" * len(file.read_bytes()))
    Path(lake.uri, "journal/boot").write_text("before the power cut")


@pytest.mark.parametrize("seed", range(5))
def test_every_commit_that_returned_survives_a_power_cut(lake: Lake, seed: int) -> None:
    written = {}
    for n in range(10):
        written |= {f"a/{n}": b"%d" % n, "big.bin": BIG + b"%d" % n, "last": b"%d" % n}
        lake.commit("main", {path: written[path] for path in (f"a/{n}", "big.bin", "last")}, message=f"{n}")
        if n == 4:
            with lake.transaction("main", message="tx") as branch:
                lake.commit(branch, {"tx": b"1"}, message="in tx")
            written["tx"] = b"1"
        if n == seed:
            pack(GitStore(LakeFolder(Path(lake.uri))))
    for cut in range(2):
        lose_power(lake, seed=seed + cut)
        lake = open_lake(lake.uri)
        assert lake.verify() == []
        assert {found.path: lake.read("main", found.path) for found in lake.list("main")} == written
        lake.commit("main", {"a/0": b"0", "last": b"again %d" % cut}, message="again")
        written["last"] = b"again %d" % cut


def test_a_blob_that_a_power_cut_garbled_does_not_spoil_the_next_commit_of_equal_content(lake: Lake) -> None:
    head = lake.commit("main", {"a": b"1"}, message="kept")
    with pytest.raises(StaleHeadError):
        lake.commit("main", {"b": b"never referred to"}, message="lost", expect=CommitId("0" * 40))
    with pytest.raises(NotFoundError):
        lake.commit("main", {"b": b"never referred to", "c": Path(lake.uri, "nowhere")}, message="lost")
    for file in Path(lake.uri).glob("refs.git/objects/[0-9a-f][0-9a-f]/*"):
        file.chmod(0o644)
        file.write_bytes(b"")
    Path(lake.uri, "journal/boot").write_text("before the power cut")
    lake = open_lake(lake.uri)
    assert lake.resolve("main") == head
    lake.commit("main", {"b": b"never referred to"}, message="now it is")
    assert open_lake(lake.uri).read("main", "b") == b"never referred to"
    assert lake.verify() == []


def test_a_journal_grows_with_commits_and_is_emptied_by_packing(lake: Lake) -> None:
    journal = Path(lake.uri) / "journal"
    lake.commit("main", {"a": b"1"}, message="m")
    grown = (journal / "current").stat().st_size
    assert grown > 0
    lake.create_branch("side")
    assert (journal / "current").stat().st_size == grown
    pack(GitStore(LakeFolder(Path(lake.uri))))
    assert (journal / "current").stat().st_size == 0
    assert sorted(file.name for file in journal.iterdir()) == ["boot", "current"]


def test_a_disk_that_fails_after_the_ref_moved_is_an_unknown_outcome(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(place: Path) -> None:
        raise OSError(5, "Input/output error", str(place))

    head = lake.resolve("main")
    monkeypatch.setattr(durable, "sync_folder", broken)
    with pytest.raises(UnknownOutcomeError):
        lake.commit("main", {"a": b"1"}, message="m")
    monkeypatch.setattr(durable, "sync_file", broken)
    with pytest.raises(OSError, match="Input/output"):
        lake.create_branch("side")
    monkeypatch.undo()
    assert lake.show("main").parents == (head,)
    assert list(lake.branches()) == ["main"]
