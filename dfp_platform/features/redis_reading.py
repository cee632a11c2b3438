"""Reads of versions in Redis: pointer, values and what was pushed in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import NotFoundError
from dfp_platform.features.interface import Materialized
from dfp_platform.features.pointer import pointer_from
from dfp_platform.features.redis_client import Command, RedisClient
from dfp_platform.features.redis_layouts import unpacked
from dfp_platform.features.versions import Fetched

if TYPE_CHECKING:
    from dfp_platform.features.redis_versions import RedisVersions


@dataclass(frozen=True, slots=True)
class _Seen:
    """The version that a pointer of these bytes names; a pinned reader has the version's own bytes instead."""

    told: bytes
    version: Materialized
    commit: str


class RedisReader:
    """`VersionReader` in Redis. A read asks for what was seen last, and whether it still holds; if not, again."""

    def __init__(self, store: RedisVersions, branch: str, version: str | None) -> None:
        self._store = store
        self._branch = branch
        self._pinned = version
        self._client = RedisClient(store.url)
        self._seen: _Seen | None = None

    def about(self) -> tuple[Materialized, str]:
        """See `VersionReader.about`."""
        seen = self._look(self._client.run([self._which()])[0])
        return seen.version, seen.commit

    def fetch(self, keys: Sequence[str]) -> Fetched:
        """See `VersionReader.fetch`."""
        seen = self._seen
        told: bytes | None = None
        if seen is not None:
            told, *replies, pushed = self._client.run([self._which(), *self._asked(seen.version, keys)])
            if told == seen.told:
                fetched = self._fetched(seen, keys, replies, pushed)
                if any(value is not None for value in fetched.stored) or not self._laid_anew(seen.version):
                    return fetched
                self._seen = None
        else:
            (told,) = self._client.run([self._which()])
        seen = self._look(told)  # what was switched on during this read; it may be read even if it is no more
        *replies, pushed = self._client.run(self._asked(seen.version, keys))
        return self._fetched(seen, keys, replies, pushed)

    def close(self) -> None:
        """See `VersionReader.close`."""
        self._client.close()

    def _laid_anew(self, version: Materialized) -> bool:
        """Whether the version lies elsewhere by now: a Redis that lost everything was filled again."""
        found = self._store.find(version.version)
        return found is None or found.space != version.space

    def _which(self) -> Command:
        """What tells whether the last look still holds."""
        if self._pinned is not None:
            return ("HGET", self._store.version_key, self._pinned)
        return ("HGET", self._store.pointer_key, self._branch)

    def _asked(self, version: Materialized, keys: Sequence[str]) -> list[Command]:
        asked = keys or ["-"]  # HMGET of nothing is refused
        values = self._store.layout.get(version.space, asked, cluster=self._client.cluster)
        return [*values, ("HMGET", self._store.pushed_key(version.schema_hash), *asked)]

    def _fetched(self, seen: _Seen, keys: Sequence[str], replies: Sequence[Any], pushed: Sequence[Any]) -> Fetched:
        stored = self._store.layout.values(replies, len(seen.version.names), cluster=self._client.cluster)
        overlay = [None if told is None or self._pinned else unpacked(told) for told in pushed]
        return Fetched(seen.version, seen.commit, stored[: len(keys)], overlay[: len(keys)])

    def _look(self, told: bytes | None) -> _Seen:
        """What is to be read now. Raises NotFoundError: nothing."""
        seen = self._seen
        if seen is None or seen.told != told:
            self._seen = seen = self._resolved(told)
        return seen

    def _resolved(self, told: bytes | None) -> _Seen:
        from dfp_platform.features.redis_versions import materialized_from

        if told is None:
            raise self._nothing()
        if self._pinned is not None:
            version, now = materialized_from(told), self._store.pointer(self._branch)
            switched_on = now is not None and now.version == version.version
            return _Seen(told, version, now.commit if now and switched_on else version.commit)
        now = pointer_from(told, f"{self._client.address} {self._store.pointer_key} {self._branch}")
        found = self._store.find(now.version)
        if found is None:
            raise NotFoundError(
                f"{self._branch} serves {now.version!r}, which is not there",
                hint="publish again, or `dfp features materialize`",
                version=now.version,
            )
        return _Seen(told, found, now.commit)

    def _nothing(self) -> NotFoundError:
        if self._pinned is None:
            return NotFoundError(
                f"nothing is served on {self._branch} yet", hint="publish a run, or `dfp features materialize`"
            )
        there = ", ".join(each.version for each in self._store.versions()) or "none"
        return NotFoundError(
            f"no online version {self._pinned!r}", hint=f"materialize it first; there is: {there}", version=self._pinned
        )
