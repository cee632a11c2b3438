"""Online versions: one SQLite file each in Feast's own layout, immutable, read by nobody until `pointer.switch`."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.features.pointer import appearing, current, version_file, version_path
from dfp_platform.features.registry import REGISTRY, store_from
from dfp_platform.features.repository import HASH_TAG, KEY, NAMES_TAG, SERVICE, TABLE, VECTOR, VIEWS
from dfp_platform.features.vectors import as_matrix, features_at
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore, FeatureView

BATCH_ROWS = 2_000
"""Rows held as Feast's messages at a time: 4 MB at 480 features."""

READ_ONLY = 0o444
"""A version is immutable: a stray `FeatureStore.materialize` on an opened store fails instead of changing it."""

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_ABOUT = "dfp_version"


@dataclass(frozen=True, slots=True)
class Materialized:
    """One online version as it was written.

    Attributes:
        version: its name, the argument of `switch`.
        rows: apps in it.
        schema_hash: identity of the ordered feature names.
        commit: the lake commit it was read from.
        bytes: size of its file.
    """

    version: str
    rows: int
    schema_hash: str
    commit: str
    bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Served feature vectors, in the order they were asked for.

    Attributes:
        vectors: float32, shape ``(keys, features)``; NaN throughout where the app is unknown.
        found: bool, shape ``(keys,)``; whether the app is known.
        names: what each element is.
        version: the online version read.
        commit: the lake commit in whose name it is served, or that it was made of while it is not switched on.
    """

    vectors: NDArray[np.float32]
    found: NDArray[np.bool_]
    names: tuple[str, ...]
    version: str
    commit: str


def version_for(lake: Lake, ref: str) -> str:
    """A version name that tells the content: equal training rows and registry at two refs give the same name.

    Raises:
        NotFoundError: the training table or the registry is not at `ref`.
    """
    from dfp_platform.catalog import content_of

    commit = lake.resolve(ref)
    told = [content_of(lake, commit, "tables/" + TABLE.replace(".", "/")), lake.stat(commit, REGISTRY).sha256]
    return "v1-" + hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def materialize(lake: Lake, ref: str, *, online: Path, version: str | None = None) -> Materialized:
    """Write the newest vector of every app at `ref` to an online version of its own. Nobody reads it yet.

    The values are read through Feast's offline store and stored by its own SQLite writer, so that any Feast reads them.
    Only the way from Arrow to its messages is ours: 30,000 apps of 480 features in 6 s on two busy cores, where
    `FeatureStore.materialize` took 12 s and 0.8 GB more, as it holds every message at once.
    The file appears whole or not at all; a version of that name is replaced.

    Args:
        online: the folder of online versions.
        version: its name, as a ref is named; `version_for` the content unless given.
    Raises:
        NotFoundError: the registry or the training table is not at `ref`.
        InputError: registry and table do not name the same features; the table's rows cannot be features.
    """
    commit = lake.resolve(ref)
    named = version or version_for(lake, commit)
    registry = lake.read(commit, REGISTRY)
    with appearing(version_path(online, named), mode=READ_ONLY) as part:
        store = store_from(registry, lake_uri=lake.uri, ref=commit, online=part)
        names = _names(store)
        _require_same(names, features_at(lake, commit))
        rows = sum(_write_view(store, store.get_feature_view(view), len(names)) for view in VIEWS.values())
        written = Materialized(named, rows, store.get_feature_service(SERVICE).tags[HASH_TAG], commit, 0)
        _close(store)
        _describe(part, written, registry)
        size = part.stat().st_size
    return Materialized(**{**asdict(written), "bytes": size})


def read_online(online: Path, keys: Sequence[str], *, version: str | None = None) -> Vectors:
    """The vectors of `keys` (sha256 digests) as served now; for many calls keep an `open_online` reader.

    Raises:
        NotFoundError: nothing is served yet, or no such version.
    """
    with closing(open_online(online, version=version)) as reader:
        return reader.read(keys)


def open_online(online: Path, *, version: str | None = None) -> OnlineVectors:
    """A reader of the version being served, or of `version`. It goes on reading that one after a `switch`.

    Raises:
        NotFoundError: nothing is served yet, or no such version.
    """
    served = current(online)
    file = version_file(online, version)
    about = _about(file)
    switched_on = served is not None and served.version == file.stem
    commit = served.commit if served is not None and switched_on else about["commit"]
    return OnlineVectors(file, registry=about["registry"], rows=about["rows"], commit=commit)


class OnlineVectors:
    """Reads one online version through Feast (`FeatureStore.get_online_features`). Close it, or use `closing`.

    Attributes:
        names: what each element of a vector is.
        rows: apps in the version.
    """

    def __init__(self, file: Path, *, registry: bytes, rows: int, commit: str) -> None:
        self.store = store_from(registry, lake_uri="", ref=commit, online=file)
        self.names = _names(self.store)
        self.version = file.stem
        self.rows = rows
        self.commit = commit

    def read(self, keys: Sequence[str], *, view: str = VIEWS["real_device"]) -> Vectors:
        """The vectors of `keys`, in their order; apps that the version does not know are marked, not refused."""
        vectors = np.full((len(keys), len(self.names)), np.nan, dtype=np.float32)
        found = np.zeros(len(keys), dtype=np.bool_)
        for position, vector in enumerate(self._values(keys, view)):
            if vector is not None:
                vectors[position], found[position] = vector, True
        return Vectors(vectors, found, self.names, self.version, self.commit)

    def _values(self, keys: Sequence[str], view: str) -> Sequence[Any]:
        if not keys:
            return []
        asked = [{KEY: key} for key in keys]
        answer = self.store.get_online_features(features=[f"{view}:{VECTOR}"], entity_rows=asked)
        return answer.to_dict()[VECTOR]

    def close(self) -> None:
        """Let the file go."""
        _close(self.store)


def _write_view(store: FeatureStore, view: FeatureView, width: int) -> int:
    """Store the newest vector of every app of one view. Returns the apps."""
    config, online, source = store.config, store.provider.online_store, view.batch_source
    assert source is not None  # every view of the repository has one
    _hurry(store)
    online.update(config, [], [view], [], [], partial=True)
    rows = store.provider.offline_store.pull_latest_from_table_or_query(
        config=config,
        data_source=source,
        join_key_columns=[KEY],
        feature_name_columns=[VECTOR],
        timestamp_field=source.timestamp_field,
        created_timestamp_column=None,
        start_date=_FIRST,
        end_date=_LAST,
    ).to_arrow()
    for start in range(0, rows.num_rows, BATCH_ROWS):
        online.online_write_batch(config, view, list(_messages(rows.slice(start, BATCH_ROWS), width)), None)
    return rows.num_rows


def _hurry(store: FeatureStore) -> None:
    """No journal and no waiting for the disk: the file is nobody's until it is whole, and is synced once before."""
    online: Any = store.provider.online_store
    online._get_conn(store.config).executescript("pragma journal_mode = off; pragma synchronous = off")


def _messages(rows: pa.Table, width: int) -> Iterator[tuple[Any, dict[str, Any], datetime, None]]:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import FloatList, Value

    keys, times = rows[KEY].to_pylist(), rows["event_timestamp"].to_pylist()
    for key, time, vector in zip(keys, times, as_matrix(rows[VECTOR], width), strict=True):
        entity = EntityKey(join_keys=[KEY], entity_values=[Value(string_val=key)])
        yield entity, {VECTOR: Value(float_list_val=FloatList(val=vector.tolist()))}, time, None


def _describe(file: Path, written: Materialized, registry: bytes) -> None:
    """Put what the version is into its file, the registry included: the file can be read by itself."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"create table {_ABOUT} (name text primary key, value blob)")
        told = {**asdict(written), "registry": registry}
        told.pop("bytes")
        database.executemany(f"insert into {_ABOUT} values (?, ?)", told.items())


def _about(file: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        return dict(database.execute(f"select name, value from {_ABOUT}"))


def _names(store: FeatureStore) -> tuple[str, ...]:
    return tuple(json.loads(store.get_feature_service(SERVICE).tags[NAMES_TAG]))


def _require_same(registered: Sequence[str], there: Sequence[str]) -> None:
    if list(registered) != list(there):
        odd = sorted(set(registered) ^ set(there)) or [a for a, b in zip(registered, there, strict=True) if a != b]
        raise InputError(
            f"registry and training table name different features, first {odd[0]!r}",
            hint="apply the registry again at this ref (asset features/registry)",
            file=TABLE,
            column=odd[0],
        )


def _close(store: FeatureStore) -> None:
    """Close Feast's SQLite connection; it keeps it open for the life of the process otherwise."""
    online: Any = store.provider.online_store
    if online._conn is not None:
        online._conn.close()
        online._conn = None
