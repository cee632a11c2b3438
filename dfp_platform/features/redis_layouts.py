"""How a version's values lie in Redis: as Feast's own online store lays them, or one string an app."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Protocol

from dfp_platform.features.layout import entity_key, event_us, feast_fields, timestamp, value_head
from dfp_platform.features.redis_client import Command
from dfp_platform.features.versions import Value

_AT = struct.Struct("<q")


class Layout(Protocol):
    """Where values of a space lie. A space is one writing of one version; it stands in every key."""

    def key(self, space: str, key: str) -> bytes:
        """The Redis key of one app."""
        ...

    def put(self, space: str, key: str, at: int, vector: bytes) -> Command:
        """The command that writes one app."""
        ...

    def get(self, space: str, keys: Sequence[str], *, cluster: bool) -> list[Command]:
        """The commands that read apps."""
        ...

    def values(self, replies: Sequence[Any], width: int, *, cluster: bool) -> list[Value | None]:
        """What those commands answered."""
        ...


class FeastLayout:
    """A hash an app, as `RedisOnlineStore` of Feast reads it; the space is its project."""

    def key(self, space: str, key: str) -> bytes:
        """See `Layout.key`."""
        return entity_key(key) + space.encode()

    def put(self, space: str, key: str, at: int, vector: bytes) -> Command:
        """See `Layout.put`."""
        field, stamp = feast_fields()
        return ("HSET", self.key(space, key), field, value_head(len(vector) // 4) + vector, stamp, timestamp(at))

    def get(self, space: str, keys: Sequence[str], *, cluster: bool) -> list[Command]:
        """See `Layout.get`."""
        field, stamp = feast_fields()
        end = space.encode()
        return [("HMGET", entity_key(key) + end, field, stamp) for key in keys]

    def values(self, replies: Sequence[Any], width: int, *, cluster: bool) -> list[Value | None]:
        """See `Layout.values`."""
        head = len(value_head(width))
        return [None if value is None else (event_us(stamp), value[head:]) for value, stamp in replies]


class PlainLayout:
    """A string an app: its event time (int64, microseconds), then its float32 elements, all little-endian."""

    def key(self, space: str, key: str) -> bytes:
        """See `Layout.key`."""
        return f"dfp:{space}:{key}".encode()

    def put(self, space: str, key: str, at: int, vector: bytes) -> Command:
        """See `Layout.put`."""
        return ("SET", self.key(space, key), packed(at, vector))

    def get(self, space: str, keys: Sequence[str], *, cluster: bool) -> list[Command]:
        """See `Layout.get`. In a cluster keys lie on several nodes, and MGET is refused."""
        named = [self.key(space, key) for key in keys]
        if cluster:
            return [("GET", key) for key in named]
        return [("MGET", *named)] if named else []

    def values(self, replies: Sequence[Any], width: int, *, cluster: bool) -> list[Value | None]:
        """See `Layout.values`."""
        told = replies if cluster else [value for reply in replies for value in reply]
        return [None if value is None else unpacked(value) for value in told]


LAYOUTS: dict[str, Layout] = {"feast": FeastLayout(), "plain": PlainLayout()}
"""By the name of the setting `feature_store`."""


def packed(at: int, vector: bytes) -> bytes:
    """An event time and a vector as one string."""
    return _AT.pack(at) + vector


def unpacked(told: bytes) -> Value:
    """What `packed` was given."""
    return _AT.unpack_from(told)[0], told[8:]
