"""Online versions in Redis: each in a space of keys of its own, found once it is whole; a pointer a branch."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import DfpError, NotFoundError, StaleHeadError
from dfp_platform.features.interface import Current, Materialized, Rows
from dfp_platform.features.pointer import checked_version, pointer_bytes, pointer_from
from dfp_platform.features.redis_client import WRITE_WITHIN, Command, RedisClient
from dfp_platform.features.redis_layouts import LAYOUTS, packed, unpacked
from dfp_platform.features.redis_scripts import DROP, FORGET, POINT, PUSH
from dfp_platform.features.versions import BATCH_ROWS, Base, Value, VersionReader, WrittenRows, batches, vector_bytes

if TYPE_CHECKING:
    import pyarrow as pa

_PUSHED_AT_ONCE = 200
"""Apps in one script: others wait while it runs."""

_TRIES = 20


class RedisVersions:
    """`VersionStore` in one Redis. One Redis database is for one lake; the two layouts can lie side by side.

    All that tells what there is lies under one hash tag, hence on one node of a cluster; the values lie on all.
    """

    def __init__(self, url: str, *, layout: str) -> None:
        self.url = url
        self.layout = LAYOUTS[layout]
        self._writing = RedisClient(url, patience=WRITE_WITHIN)
        self._asking = RedisClient(url)
        tag = f"{{dfp:{layout}}}"
        self.pointer_key, self.version_key = f"{tag}:pointers", f"{tag}:versions"
        self._spaces, self._schemas, self._tag = f"{tag}:spaces", f"{tag}:schemas", tag

    def find(self, version: str) -> Materialized | None:
        """See `VersionStore.find`."""
        (told,) = self._asking.run([("HGET", self.version_key, checked_version(version))])
        return None if told is None else materialized_from(told)

    def versions(self) -> list[Materialized]:
        """See `VersionStore.versions`."""
        (told,) = self._asking.run([("HVALS", self.version_key)])
        return sorted(map(materialized_from, told), key=lambda each: each.written)

    def write(
        self, about: Materialized, rows: Rows, index: pa.Table, *, base: Base | None, wrote: WrittenRows
    ) -> Materialized:
        """See `VersionStore.write`. The keys are written down before their values, so that leftovers can be found."""
        space = f"{about.version}.{secrets.token_hex(6)}"
        try:
            self._index(space, index)
            if base is not None:
                self._take_over(space, base)
            for batch in batches(rows):
                told = zip(batch.keys, batch.event_times.tolist(), vector_bytes(batch.matrix), strict=True)
                self._written(space, [self.layout.put(space, *each) for each in told])
                wrote(len(batch.keys))
            whole = replace(about, space=space, bytes=about.rows * 4 * len(about.names))
            (first,) = self._writing.run([("HSETNX", self.version_key, about.version, _bytes(whole))])
        except BaseException:
            with suppress(DfpError):  # what stays is found by `remove`
                self._clear(space)
            raise
        if first:
            return whole
        found = self.find(about.version)
        if found is not None and found.space == space:  # the answer was lost, and asked for again
            return whole
        self._clear(space)  # somebody else was faster with the same content
        return found or whole

    def index(self, version: Materialized) -> pa.Table | None:
        """See `VersionStore.index`."""
        import pyarrow as pa

        parts = list(self._indexed(version.space))
        return pa.concat_tables(parts) if parts else None

    def values(self, version: Materialized, keys: Sequence[str]) -> list[Value]:
        """See `VersionStore.values`."""
        found: list[Value] = []
        for start in range(0, len(keys), BATCH_ROWS):
            part = keys[start : start + BATCH_ROWS]
            found += [value for value in self.get(self._writing, version, part) if value is not None]
        return found

    def get(self, client: RedisClient, version: Materialized, keys: Sequence[str]) -> list[Value | None]:
        """Values of `keys` in a version, in their order."""
        replies = client.run(self.layout.get(version.space, keys, cluster=client.cluster))
        return self.layout.values(replies, len(version.names), cluster=client.cluster)

    def pointers(self) -> Mapping[str, Current]:
        """See `VersionStore.pointers`."""
        (told,) = self._asking.run([("HGETALL", self.pointer_key)])
        pairs = told.items() if isinstance(told, dict) else zip(told[::2], told[1::2], strict=True)
        return {branch.decode(): self._pointer(branch.decode(), said) for branch, said in sorted(pairs)}

    def pointer(self, branch: str) -> Current | None:
        """See `VersionStore.pointer`."""
        (told,) = self._asking.run([("HGET", self.pointer_key, branch)])
        return None if told is None else self._pointer(branch, told)

    def point(self, branch: str, decide: Callable[[Current | None], Current | None]) -> Current | None:
        """See `VersionStore.point`."""
        for _ in range(_TRIES):
            (told,) = self._asking.run([("HGET", self.pointer_key, branch)])
            before = None if told is None else self._pointer(branch, told)
            after = decide(before)
            if after is None:
                return before
            asked = [branch, told or b"", after.version, pointer_bytes(after)]
            done = self._writing.script(POINT, [self.pointer_key, self.version_key], asked)
            if done == 1:
                return after
            if done == -1:
                raise NotFoundError(
                    f"no online version {after.version!r}", hint="materialize it first", version=after.version
                )
        raise StaleHeadError(f"the pointer of {branch} keeps moving", hint="do it again", branch=branch)

    def reader(self, branch: str, version: str | None) -> VersionReader:
        """See `VersionStore.reader`."""
        from dfp_platform.features.redis_reading import RedisReader

        return RedisReader(self, branch, version)

    def push(self, schema_hash: str, rows: Rows) -> int:
        """See `VersionStore.push`."""
        told = zip(rows.keys, rows.event_times.tolist(), vector_bytes(rows.matrix), strict=True)
        pairs = [(key, packed(at, vector)) for key, at, vector in told]
        changed = 0
        for start in range(0, len(pairs), _PUSHED_AT_ONCE):
            flat = [part for pair in pairs[start : start + _PUSHED_AT_ONCE] for part in pair]
            changed += self._writing.script(PUSH, [self.pushed_key(schema_hash), self._schemas], [schema_hash, *flat])
        return changed

    def pushed_key(self, schema_hash: str) -> str:
        """The hash of what was pushed for these features."""
        return f"{self._tag}:pushed:{schema_hash}"

    def pushed(self) -> Mapping[str, Mapping[str, int]]:
        """See `VersionStore.pushed`."""
        (schemas,) = self._asking.run([("SMEMBERS", self._schemas)])
        return {each.decode(): dict(self._pushed_times(each.decode())) for each in schemas}

    def drop_pushed(self, schema_hash: str, seen: Mapping[str, int]) -> None:
        """See `VersionStore.drop_pushed`."""
        pairs = list(seen.items())
        for start in range(0, len(pairs), BATCH_ROWS):
            flat = [part for pair in pairs[start : start + BATCH_ROWS] for part in pair]
            self._writing.script(DROP, [self.pushed_key(schema_hash)], flat)

    def remove(self, *, before: datetime, keep: frozenset[str]) -> list[str]:
        """See `VersionStore.remove`."""
        old = [each for each in self.versions() if datetime.fromisoformat(each.written) < before]
        gone = [
            each.version
            for each in old
            if each.version not in keep
            and self._writing.script(FORGET, [self.pointer_key, self.version_key], [each.version])
        ]
        used = {each.space for each in self.versions()}
        (told,) = self._asking.run([("HGETALL", self._spaces)])
        pairs = told.items() if isinstance(told, dict) else zip(told[::2], told[1::2], strict=True)
        for space, beat in pairs:
            if space.decode() not in used and float(beat) < before.timestamp():
                self._clear(space.decode())
        return sorted(gone)

    def close(self) -> None:
        """See `VersionStore.close`."""
        self._writing.close()
        self._asking.close()

    def _index(self, space: str, index: pa.Table) -> None:
        import pyarrow as pa

        for start in range(0, max(1, index.num_rows), BATCH_ROWS):
            with pa.BufferOutputStream() as told:
                with pa.ipc.new_stream(told, index.schema) as stream:
                    stream.write_table(index.slice(start, BATCH_ROWS))
                part = told.getvalue().to_pybytes()
            self._written(space, [("RPUSH", f"{self._tag}:index:{space}", part)])

    def _indexed(self, space: str) -> Iterator[pa.Table]:
        """The index of a space in parts; a part that was sent twice is told once."""
        import pyarrow.ipc

        (parts,) = self._writing.run([("LRANGE", f"{self._tag}:index:{space}", 0, -1)])
        for part in dict.fromkeys(parts):
            yield pyarrow.ipc.open_stream(part).read_all()

    def _written(self, space: str, commands: Sequence[Command]) -> list[Any]:
        """Write, and say that somebody is at it."""
        return self._writing.run([("HSET", self._spaces, space, time.time()), *commands])[1:]

    def _take_over(self, space: str, base: Base) -> None:
        """Values that stay the same: copied inside the server, or through here where keys lie on several nodes."""
        for start in range(0, len(base.kept), BATCH_ROWS):
            part = base.kept[start : start + BATCH_ROWS]
            if self._writing.cluster:
                values = [value for value in self.get(self._writing, base.version, part) if value is not None]
                done = len(values)
                told = zip(part, values, strict=True) if done == len(part) else ()
                self._written(space, [self.layout.put(space, key, *value) for key, value in told])
            else:
                pairs = [(self.layout.key(base.version.space, key), self.layout.key(space, key)) for key in part]
                done = sum(self._written(space, [("COPY", old, new, "REPLACE") for old, new in pairs]))
            if done != len(part):
                raise NotFoundError(
                    f"the online version {base.version.version!r} lost values while it was started from",
                    hint="materialize without --incremental",
                    version=base.version.version,
                )

    def _clear(self, space: str) -> None:
        """Remove all keys of a space. What says that it is there goes last."""
        for part in self._indexed(space):
            self._writing.run([("UNLINK", self.layout.key(space, key)) for key in part["key"].to_pylist()])
        self._writing.run([("DEL", f"{self._tag}:index:{space}"), ("HDEL", self._spaces, space)])

    def _pushed_times(self, schema_hash: str) -> Iterator[tuple[str, int]]:
        with self._writing.told_in_our_words():
            for key, told in self._writing.client.hscan_iter(self.pushed_key(schema_hash), count=500):
                yield key.decode(), unpacked(told)[0]

    def _pointer(self, branch: str, told: bytes) -> Current:
        return pointer_from(told, f"{self._asking.address} {self.pointer_key} {branch}")


def materialized_from(told: bytes) -> Materialized:
    """A version as it stands in Redis."""
    said: dict[str, Any] = json.loads(told)
    said["names"] = tuple(said["names"])
    return Materialized(**said)


def _bytes(version: Materialized) -> bytes:
    return json.dumps(asdict(version)).encode()
