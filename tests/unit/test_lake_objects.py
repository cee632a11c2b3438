"""How objects lie in files and blobs."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from dfp_platform.errors import CorruptLakeError
from dfp_platform.lake.objects import INLINE_LIMIT, MAGIC, ObjectFiles, Pointer, suffix_of

BIG = b"x" * (INLINE_LIMIT + 1)


@pytest.fixture
def files(tmp_path: Path) -> ObjectFiles:
    return ObjectFiles(tmp_path)


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("raw/part-0.parquet", ".parquet"),
        ("a/b.csv.gz", ".csv.gz"),
        ("a/b.tar.zst", ".tar.zst"),
        ("a/b.gz", ".gz"),
        ("tables/marts/fct", ""),
        ("a.b/c", ""),
        (".hidden", ""),
        ("model-v1.2.onnx", ".onnx"),
        ("a.", ""),
        ("a.with-dash", ""),
        ("a." + "x" * 17, ""),
    ],
)
def test_a_suffix_is_what_engines_know_a_format_by(path: str, suffix: str) -> None:
    assert suffix_of(path) == suffix


def test_a_blob_is_a_pointer_exactly_if_it_was_made_one(files: ObjectFiles) -> None:
    for content in (b"", b"small", MAGIC[:-1], b"x" * INLINE_LIMIT):
        assert files.stage(content, "a") == content
        assert Pointer.decode(content) is None
    for content in (BIG, MAGIC, MAGIC + b"sha256 0\nsize 1\n"):
        pointer = Pointer.decode(files.stage(content, "a"))
        assert pointer is not None
        assert pointer.size == len(content)
        assert files.file_of(pointer, "a").read_bytes() == content


def test_a_stream_that_gives_a_few_bytes_at_a_time_is_read_to_its_end(files: ObjectFiles) -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 1, 7) if size != -1 else -1)

    assert files.stage(Trickle(b"small"), "a") == b"small"
    assert files.stage(Trickle(BIG), "a") == files.stage(BIG, "b")


def test_content_that_is_no_content_is_refused_by_type(files: ObjectFiles) -> None:
    for wrong in ("text", 5, ["list"]):
        with pytest.raises(TypeError, match="a/b"):
            files.stage(wrong, "a/b")  # type: ignore[arg-type]


def test_a_file_cut_short_by_a_power_loss_is_replaced_when_its_bytes_come_again(files: ObjectFiles) -> None:
    pointer = Pointer.decode(files.stage(BIG, "a.bin"))
    assert pointer is not None
    file = files.file_of(pointer, "a.bin")
    file.chmod(0o644)
    file.write_bytes(b"")
    assert not files.holds(pointer, "a.bin")
    with pytest.raises(CorruptLakeError, match="has 0"):
        files.file_of(pointer, "a.bin")
    files.stage(BIG, "a.bin")
    assert files.file_of(pointer, "a.bin").read_bytes() == BIG


def test_bytes_that_are_nowhere_are_corruption_with_their_digest_named(files: ObjectFiles) -> None:
    with pytest.raises(CorruptLakeError, match="f" * 64):
        files.file_of(Pointer("f" * 64, 9), "a.bin")


def test_content_used_again_counts_as_fresh(files: ObjectFiles) -> None:
    pointer = Pointer.decode(files.stage(BIG, "a.bin"))
    assert pointer is not None
    file = files.file_of(pointer, "a.bin")
    os.utime(file, (0, 0))
    files.stage(BIG, "a.bin")
    assert time.time() - file.stat().st_mtime < 60


def test_what_dead_writers_left_is_swept_after_a_day_and_not_before(files: ObjectFiles, tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    old, young = tmp_path / "incoming/old", tmp_path / "incoming/young"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    files.sweep_incoming()
    assert not old.exists()
    assert young.exists()
