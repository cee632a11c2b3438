"""Feast's online store over the keeper's versions: any feature of any view, out of the one vector that is stored.

Feast loads `VersionedOnlineStore`, its config and `VersionedProvider` by name. A push goes beside the versions; a stock
materialization becomes a version that is switched on once it is whole.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from feast import Entity, FeatureView, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.passthrough_provider import PassthroughProvider
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import FloatList, Value
from feast.repo_config import FeastConfigBaseModel

from dfp_platform.errors import InputError
from dfp_platform.features.interface import FeatureKeeper, OnlineReader, Rows
from dfp_platform.features.keeper import open_keeper
from dfp_platform.features.repository import ALL, HASH_TAG, NAMES_TAG, PUSH, VECTOR, positions
from dfp_platform.lake import open_lake
from dfp_platform.settings import Settings, settings

Written = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
Read = tuple[datetime | None, dict[str, Value] | None]

_FRESH = timedelta(days=1)
"""A materialization up to a moment not longer ago than this means: everything there is."""


class VersionedOnlineStoreConfig(FeastConfigBaseModel):
    """Whose features are served, and from where; the settings of this machine say where unless `home` or a Redis does.

    Attributes:
        branch: whose served version is read, at each read anew; the configured branch if empty.
        version: one version for good instead.
        home: state folder whose ``online`` holds versions.
        redis_url: a Redis instead; ``${DFP_REDIS_URL}`` keeps a password out of the file.
    """

    type: Literal["dfp_platform.features.feast_online.VersionedOnlineStore"] = (
        "dfp_platform.features.feast_online.VersionedOnlineStore"
    )
    branch: str = ""
    version: str | None = None
    home: str = ""
    redis_url: str = ""


class VersionedOnlineStore(OnlineStore):
    """Reads what a branch serves; one round trip a view."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keeper: FeatureKeeper | None = None
        self._reader: OnlineReader | None = None

    def keeper(self, config: RepoConfig) -> FeatureKeeper:
        """The keeper behind this store."""
        with self._lock:
            if self._keeper is None:
                self._keeper = open_keeper(_where(_told(config)))
            return self._keeper

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Read]:
        """Values of features of a view, and their event time; nothing where the app is unknown.

        Raises:
            NotFoundError: nothing is served. UnreachableError: the store does not answer.
        """
        names = requested_features or [field.name for field in table.features]
        served = self._read_from(config).read([key.entity_values[0].string_val for key in entity_keys])
        places = {name: list(positions(table.name, name, served.names)) for name in names}
        return [
            (datetime.fromtimestamp(at / 1e6, UTC), {name: _value(name, row[places[name]]) for name in names})
            if found
            else (None, None)
            for row, found, at in zip(served.vectors, served.found, served.event_times.tolist(), strict=True)
        ]

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Written], progress: Callable[[int], Any] | None
    ) -> None:
        """What `FeatureStore.push` hands over: served at once where it is newer by event time.

        Raises:
            InputError: not the view of everything, or an app without all its features.
        """
        if table.name != ALL:
            raise InputError(
                f"{table.name} is not written to: its features are elements of {ALL}",
                hint=f"push all features of an app through {PUSH}",
            )
        names: list[str] = json.loads(table.tags[NAMES_TAG])
        keys = [key.entity_values[0].string_val for key, *_ in data]
        times = np.array([_micros(at) for _, _, at, _ in data], dtype=np.int64)
        matrix = np.array([_vector(values, names, key) for key, (_, values, _, _) in zip(keys, data, strict=True)])
        self.keeper(config).push(table.tags[HASH_TAG], Rows(keys, times, matrix.astype(np.float32)))
        if progress:
            progress(len(data))

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Nothing to lay out: a version brings its own layout."""

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Let connections go. Versions stay: other branches may serve them."""
        with self._lock:
            for opened in (self._reader, self._keeper):
                if opened is not None:
                    opened.close()
            self._reader = self._keeper = None

    def _read_from(self, config: RepoConfig) -> OnlineReader:
        keeper, told = self.keeper(config), _told(config)
        with self._lock:
            if self._reader is None:
                self._reader = keeper.reader(told.branch or settings().branch, version=told.version)
            return self._reader


class VersionedProvider(PassthroughProvider):
    """Feast's usual provider, except that a materialization is a version, never half visible."""

    def materialize_single_feature_view(
        self,
        config: RepoConfig,
        feature_view: Any,
        start_date: datetime,
        end_date: datetime,
        registry: Any,
        project: str,
        tqdm_builder: Callable[[int], Any],
        disable_event_timestamp: bool = False,
    ) -> None:
        """A version of the ref's features, switched on at its end. All views are elements of it.

        Up to now (`feast materialize-incremental`) it is all that stands at the ref, late rows included; only what
        differs from what is served is written. A window of the past is taken into what is served (`backfill`).
        """
        store: Any = self.online_store
        at: Any = config.offline_store
        keeper = store.keeper(config)
        branch = _told(config).branch or settings().branch
        lake = open_lake(getattr(at, "lake", "") or settings().lake_uri)  # Spark's store names neither
        commit = lake.resolve(getattr(at, "ref", "") or settings().branch)
        now = keeper.current(branch)
        if end_date >= datetime.now(UTC) - _FRESH:
            written = keeper.materialize(lake, commit, base=now.version if now else None)
        else:
            written = keeper.backfill(lake, commit, branch, start=start_date, end=end_date + timedelta(microseconds=1))
        with tqdm_builder(written.rows) as progress:
            progress.update(written.rows)
        keeper.switch(branch, written.version, commit)


def _told(config: RepoConfig) -> VersionedOnlineStoreConfig:
    told = config.online_store
    if not isinstance(told, VersionedOnlineStoreConfig):
        raise TypeError(f"the online store is configured as {type(told).__name__}, not as the keeper's")
    return told


def _where(told: VersionedOnlineStoreConfig) -> Settings:
    chosen = {"home": Path(told.home)} if told.home else {}
    if told.redis_url:
        chosen |= {"redis_url": told.redis_url}
    return Settings.model_validate({**settings().model_dump(), **chosen})


def _value(name: str, elements: np.ndarray) -> Value:
    if name == VECTOR:
        return Value(float_list_val=FloatList(val=elements.tolist()))
    return Value(float_val=float(elements[0]))


def _vector(values: dict[str, Value], names: Sequence[str], key: str) -> list[float]:
    """All features of one app: its vector if it has one, else its scalars."""
    if VECTOR in values and len(values[VECTOR].float_list_val.val) == len(names):
        return list(values[VECTOR].float_list_val.val)
    missing = [name for name in names if name not in values or values[name].WhichOneof("val") is None]
    if missing:
        raise InputError(
            f"what is pushed for {key[:12]} lacks {missing[0]!r}"
            + (f" and {len(missing) - 1} more" * (len(missing) > 1)),
            hint=f"push {VECTOR}, or every column of {ALL}; an unknown value is NaN",
            column=missing[0],
        )
    return [_number(values[name]) for name in names]


def _number(value: Value) -> float:
    return float(getattr(value, value.WhichOneof("val") or "float_val"))


def _micros(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
