"""Bytes as Feast stores them: entity keys (version 3), hash fields in Redis, a float list as a `Value`, event times.

Written down here so that reading needs no Feast (seconds to import) and writing no message a row; the tests hold each
against Feast's own code.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache

from dfp_platform.features.repository import ALL, KEY, PROJECT, VECTOR

TABLE = f"{PROJECT}_{ALL}"
"""Feast's name of the table of the view whose vector is stored, in SQLite."""

_STRING = 2
_KEY_HEAD = struct.pack("<III", 1, _STRING, len(KEY)) + KEY.encode() + struct.pack("<I", _STRING)
_FLOAT_LIST, _PACKED = b"\x82\x01", b"\x0a"


def entity_key(key: str) -> bytes:
    """One app's key as Feast serialises it."""
    said = key.encode()
    return _KEY_HEAD + struct.pack("<I", len(said)) + said


@lru_cache(maxsize=16)
def value_head(width: int) -> bytes:
    """What stands before the float32 elements in Feast's `Value` of a list of `width` floats."""
    packed = _PACKED + _varint(4 * width) if width else b""
    return _FLOAT_LIST + _varint(len(packed) + 4 * width) + packed


@cache
def feast_fields() -> tuple[bytes, bytes]:
    """Names of the fields of a Redis hash that hold the vector and the event time."""
    import mmh3

    return struct.pack("<I", mmh3.hash(f"{ALL}:{VECTOR}", signed=False)), f"_ts:{ALL}".encode()


@lru_cache(maxsize=100_000)
def timestamp(event_us: int) -> bytes:
    """An event time (microseconds since 1970 UTC) as a serialised protobuf Timestamp."""
    from google.protobuf.timestamp_pb2 import Timestamp

    seconds, rest = divmod(event_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000).SerializeToString()


@lru_cache(maxsize=100_000)
def event_us(stamp: bytes) -> int:
    """Microseconds since 1970 UTC of a serialised protobuf Timestamp; apps share few, so they are remembered."""
    from google.protobuf.timestamp_pb2 import Timestamp

    told = Timestamp.FromString(stamp)
    return told.seconds * 1_000_000 + told.nanos // 1_000


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
