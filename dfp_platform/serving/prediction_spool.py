"""Predictions on their way: files of this machine, appended to by one process, taken over when it is gone.

A file is a row of records, each ``length, crc32, head length`` (little-endian u32), a head of JSON and bytes. A record
that was not written to its end is the last one, and is left out. The process that writes a file holds a lock on it,
which the kernel drops when the process dies.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from dfp_platform.serving.predictions import Answerer, Answers, Origin, is_file_name

SUFFIX = ".segment"
_FRAME = struct.Struct("<III")


class Segment:
    """A file that is being written. It is there, under its name, only with its lock held."""

    def __init__(self, spool: Path, name: str, *, begun: float) -> None:
        self.name, self.begun, self.rows = name, begun, 0
        self._told: dict[int, tuple[int, Answerer]] = {}  # the answerer too, so that its address stays its own
        young = spool / f".{name}.young"
        self._file = os.open(young, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.rename(young, spool / f"{name}{SUFFIX}")
        self._end = 0

    def append(self, answers: Answers, microseconds: int) -> None:
        """Put the answers to one request at the end: whole, or not at all. Raises OSError: there is no room."""
        by, count = answers.by, len(answers.sha256)
        told = self._told.get(id(by))
        parts = [] if told else [_framed(_facts(by, len(self._told)), b"")]
        number = told[0] if told else len(self._told)
        origins = [answers.origins] if isinstance(answers.origins, Origin) else answers.origins
        head = {
            "by": number,
            "rows": count,
            "time": microseconds,
            "request": answers.request,
            "sha256": list(answers.sha256),
            "latency": answers.latency_ms,
            "origins": [[origin[0], origin[1]] for origin in origins],
        }
        body = (
            _bytes(answers.scores, np.float32),
            _bytes(answers.errors, np.float32),
            _bytes(answers.labels, np.int8),
            _bytes(answers.vectors, np.float32),
        )
        self._write(b"".join((*parts, _framed(orjson.dumps(head), b"".join(body)))))
        self._told.setdefault(id(by), (number, by))
        self.rows += count

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError("the disk is full")
        except OSError:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)
            raise
        self._end += written

    def close(self) -> None:
        """Write no more: whoever comes first brings the file into the lake."""
        os.close(self._file)


def segments_in(spool: Path) -> list[Path]:
    """The files of a spool, oldest first; those that living processes write are among them."""
    return sorted(file for file in spool.glob(f"*{SUFFIX}") if is_file_name(file.stem))


def size_of(file: Path) -> int:
    """Bytes of a file; 0 if somebody has taken it away."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def claimed(file: Path) -> Iterator[BinaryIO | None]:
    """A file of the spool that nobody else writes or takes meanwhile; None: somebody does, or it is gone."""
    try:
        stream = file.open("rb")
    except FileNotFoundError:
        yield None
        return
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        try:
            yield stream if file.exists() else None  # who held it before may have brought it away
        finally:
            fcntl.flock(stream, fcntl.LOCK_UN)


def records(stream: BinaryIO) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The records of a file from its beginning, head and bytes, up to the first that is not whole."""
    stream.seek(0)
    while len(frame := stream.read(_FRAME.size)) == _FRAME.size:
        length, crc, head = _FRAME.unpack(frame)
        payload = stream.read(length)
        if len(payload) != length or zlib.crc32(payload) != crc:
            return
        yield orjson.loads(payload[:head]), payload[head:]


def rows_in(stream: BinaryIO) -> int:
    """How many predictions a file holds."""
    return sum(head.get("rows", 0) for head, _ in records(stream))


def _facts(by: Answerer, number: int) -> bytes:
    told = {name: value for name, value in vars(by).items() if name != "schema"}
    return orjson.dumps({"answerer": number, **told, "schema": by.schema})


def _framed(head: bytes, body: bytes) -> bytes:
    payload = head + body
    return _FRAME.pack(len(payload), zlib.crc32(payload), len(head)) + payload


def _bytes(values: Any, kind: type[np.generic]) -> bytes:
    return np.ascontiguousarray(values, dtype=kind).tobytes()
