"""The keeper, and how one is opened: rows of one kind over a store of versions. Keepers differ in those two alone."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from dfp_platform.errors import ConfigurationError, NotFoundError
from dfp_platform.features.interface import Current, FeatureKeeper, Materialized, Progress, Rows
from dfp_platform.features.pointer import checked_version
from dfp_platform.features.reading import Reader
from dfp_platform.features.versions import Base, VersionStore, rolled_back, switched
from dfp_platform.lake.interface import Lake, checked_ref_name
from dfp_platform.models.data import feature_schema_hash
from dfp_platform.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from dfp_platform.features.row_sources import RowSource


class Keeper:
    """`FeatureKeeper` over any rows and any store of versions."""

    def __init__(self, source: RowSource, store: VersionStore) -> None:
        self.source = source
        self.store = store

    def historical(self, lake: Lake, ref: str, entity_rows: pa.Table | None = None) -> pa.Table:
        """See `FeatureKeeper.historical`."""
        return self.source.historical(lake, ref, entity_rows)

    def version_for(self, lake: Lake, ref: str) -> str:
        """See `FeatureKeeper.version_for`."""
        return self.source.version_for(lake, ref)

    def materialize(
        self,
        lake: Lake,
        ref: str,
        *,
        version: str | None = None,
        base: str | None = None,
        progress: Progress | None = None,
    ) -> Materialized:
        """See `FeatureKeeper.materialize`."""
        commit = lake.resolve(ref)
        content = self.source.version_for(lake, commit)
        named = checked_version(version or content)
        if whole := self.store.find(named):
            return whole
        tell = progress or _silent
        tell("rows read", 0, 0)
        names, rows = self.source.rows(lake, commit)
        tell("rows read", len(rows.keys), len(rows.keys))
        return self._write(named, commit, names, rows, self._found(base), tell)

    def backfill(
        self, lake: Lake, ref: str, branch: str, *, start: datetime, end: datetime, progress: Progress | None = None
    ) -> Materialized:
        """See `FeatureKeeper.backfill`."""
        commit, now = lake.resolve(ref), self.current(branch)
        base = self._found(now.version) if now else None
        told = [base.version if base else "", self.source.version_for(lake, commit), start.isoformat(), end.isoformat()]
        named = "w1-" + hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
        if whole := self.store.find(named):
            return whole
        names, rows = self.source.rows(lake, commit)
        inside = _between(rows, start, end)
        held = self._all(base) if base and base.schema_hash == feature_schema_hash(names) else None
        taken = _newest(held, inside)
        if base and held and _told(index_of(held)) == _told(index_of(taken)):
            return base  # nothing of the window is newer or other
        return self._write(named, commit, names, taken, base, progress or _silent)

    def reader(self, branch: str, *, version: str | None = None) -> Reader:
        """See `FeatureKeeper.reader`."""
        return Reader(self.store.reader(checked_ref_name(branch), version and checked_version(version)))

    def push(self, schema_hash: str, rows: Rows) -> int:
        """See `FeatureKeeper.push`."""
        return self.store.push(schema_hash, rows)

    def current(self, branch: str) -> Current | None:
        """See `FeatureKeeper.current`."""
        return self.store.pointer(checked_ref_name(branch))

    def switch(self, branch: str, version: str, commit: str, *, publication: bool = False) -> Current:
        """See `FeatureKeeper.switch`."""
        named = checked_version(version)
        self._require(named)
        now = self.store.point(
            checked_ref_name(branch), lambda before: switched(before, named, commit, publication=publication)
        )
        assert now is not None  # a switch leaves a pointer
        return now

    def rollback(self, branch: str) -> Current:
        """See `FeatureKeeper.rollback`."""
        before = self.current(branch)
        if before is None or before.previous is None:
            raise NotFoundError(
                f"{branch} served nothing before", hint="switch to a version by name: `dfp features versions`"
            )
        self._require(before.previous.version)
        now = self.store.point(branch, rolled_back)
        assert now is not None  # there was one
        return now

    def versions(self) -> Sequence[Materialized]:
        """See `FeatureKeeper.versions`."""
        return self.store.versions()

    def branches(self) -> Mapping[str, Current]:
        """See `FeatureKeeper.branches`."""
        return self.store.pointers()

    def prune(self, *, before: datetime, keep: Collection[str] = ()) -> list[str]:
        """See `FeatureKeeper.prune`."""
        used = {name for now in self.branches().values() for name in now.named}
        gone = self.store.remove(before=before, keep=frozenset({*keep, *used}))
        self._drop_caught_up([found for name in sorted(used) if (found := self.store.find(name))])
        return gone

    def close(self) -> None:
        """See `FeatureKeeper.close`."""
        self.store.close()

    def _write(
        self,
        named: str,
        commit: str,
        names: tuple[str, ...],
        rows: Rows,
        base: Materialized | None,
        tell: Progress,
    ) -> Materialized:
        index = index_of(rows)
        about = Materialized(named, len(rows.keys), names, feature_schema_hash(names), commit)
        started = self._started_from(base, about, index)
        fresh = rows if started is None else _without(rows, started.kept)
        done, total = 0, len(fresh.keys)

        def wrote(count: int) -> None:
            nonlocal done
            done += count
            tell("rows written", done, total)

        written = datetime.now(UTC).isoformat()
        about = replace(about, written=written, changed=total)
        try:
            return self.store.write(about, fresh, index, base=started, wrote=wrote)
        except NotFoundError:
            if started is None:
                raise
            return self._write(named, commit, names, rows, None, tell)  # the base lost values meanwhile

    def _started_from(self, base: Materialized | None, about: Materialized, index: pa.Table) -> Base | None:
        """What of `base` is the same in the version to be: equal key, event time and bits. The lake's table is read
        whole, so rows that came late, changed or went are seen, however the lake got there.
        """
        before = self.store.index(base) if base and base.schema_hash == about.schema_hash else None
        if base is None or before is None:
            return None
        there, wanted = _told(before), _told(index)
        kept = [key for key, told in wanted.items() if there.get(key) == told]
        same = set(kept)
        return Base(base, kept, [key for key in there if key not in same])

    def _found(self, version: str | None) -> Materialized | None:
        return self.store.find(checked_version(version)) if version else None

    def _require(self, version: str) -> None:
        if self.store.find(version) is None:
            there = ", ".join(found.version for found in self.versions()) or "none"
            raise NotFoundError(
                f"no online version {version!r}", hint=f"materialize it first; there is: {there}", version=version
            )

    def _all(self, version: Materialized) -> Rows | None:
        index = self.store.index(version)
        if index is None:
            return None
        keys = index["key"].to_pylist()
        values = self.store.values(version, keys)
        matrix = np.frombuffer(b"".join(vector for _, vector in values), "<f4").reshape(len(keys), -1)
        return Rows(keys, index["event_us"].to_numpy(), matrix)

    def _drop_caught_up(self, served: Sequence[Materialized]) -> None:
        """Forget what was pushed where every version that is served, or was before, is as new."""
        for schema_hash, pushed in self.store.pushed().items():
            times = [_times(self.store.index(each)) for each in served if each.schema_hash == schema_hash]
            if not times:
                continue
            caught_up = {key: at for key, at in pushed.items() if all(there.get(key, at - 1) >= at for there in times)}
            self.store.drop_pushed(schema_hash, caught_up)


def index_of(rows: Rows) -> pa.Table:
    """Key, event time (``event_us``) and a digest of the vector's bits, of each row."""
    import pyarrow as pa

    digests = [hashlib.blake2b(row, digest_size=16).digest() for row in np.ascontiguousarray(rows.matrix)]
    times = pa.array(rows.event_times, pa.int64())
    return pa.table({"key": pa.array(rows.keys, pa.string()), "event_us": times, "digest": pa.array(digests)})


def _told(index: pa.Table) -> dict[str, tuple[int, bytes]]:
    columns = (index[name].to_pylist() for name in ("key", "event_us", "digest"))
    return {key: (at, digest) for key, at, digest in zip(*columns, strict=True)}


def _times(index: pa.Table | None) -> dict[str, int]:
    return {} if index is None else dict(zip(index["key"].to_pylist(), index["event_us"].to_pylist(), strict=True))


def _taken(rows: Rows, places: np.ndarray) -> Rows:
    return Rows([rows.keys[place] for place in places], rows.event_times[places], rows.matrix[places])


def _without(rows: Rows, keys: Collection[str]) -> Rows:
    there = set(keys)
    return _taken(rows, np.array([place for place, key in enumerate(rows.keys) if key not in there], dtype=np.intp))


def _between(rows: Rows, start: datetime, end: datetime) -> Rows:
    first, last = (round(moment.timestamp() * 1e6) for moment in (start, end))
    return _taken(rows, np.flatnonzero((rows.event_times >= first) & (rows.event_times < last)))


def _newest(held: Rows | None, fresh: Rows) -> Rows:
    """Both, and where a key is in both the newer one; at equal times the fresh one."""
    if held is None:
        return fresh
    times = dict(zip(held.keys, held.event_times, strict=True))
    newer = [place for place, key in enumerate(fresh.keys) if fresh.event_times[place] >= times.get(key, -(1 << 62))]
    chosen = _taken(fresh, np.array(newer, dtype=np.intp))
    rest = _without(held, chosen.keys)
    return Rows(
        [*rest.keys, *chosen.keys],
        np.concatenate([rest.event_times, chosen.event_times]),
        np.concatenate([rest.matrix, chosen.matrix]),
    )


def _silent(_what: str, _done: int, _total: int) -> None:
    """Nobody looks on."""


def open_keeper(at: Settings) -> FeatureKeeper:
    """The keeper that the settings choose: `feature_store` reads rows, Redis if `redis_url` is set, else SQLite.

    Nothing is connected before the first call.

    Raises:
        ConfigurationError: the plain keeper without a Redis, or an address that is none.
    """
    from dfp_platform.features.row_sources import FeastRows, PlainRows
    from dfp_platform.features.sqlite_versions import SqliteVersions

    if at.redis_url is not None:
        from dfp_platform.features.redis_versions import RedisVersions

        store = RedisVersions(at.redis_url.get_secret_value(), layout=at.feature_store)
        return Keeper(PlainRows() if at.feature_store == "plain" else FeastRows(), store)
    if at.feature_store == "plain":
        raise ConfigurationError(
            "the plain feature store serves from Redis, and none is named",
            hint="set DFP_REDIS_URL, or DFP_FEATURE_STORE=feast to serve from SQLite files",
            setting="redis_url",
        )
    return Keeper(FeastRows(), SqliteVersions(at.home / "online"))
