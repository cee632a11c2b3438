"""What a keeper reads rows with: Feast's offline store over the lake, or the lake's table alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.features.interface import Rows
from dfp_platform.features.repository import ALL, DEVICE, EVENT_TIME, KEY, NAMES_TAG, SERVICE, TABLE, VECTOR
from dfp_platform.features.vectors import as_matrix, features_at
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class RowSource(Protocol):
    """Reads features at a ref of the lake."""

    def version_for(self, lake: Lake, ref: str) -> str:
        """A name that tells the content at `ref`. Raises NotFoundError."""
        ...

    def rows(self, lake: Lake, commit: str) -> tuple[tuple[str, ...], Rows]:
        """The names of the features, and the newest row of every app. Raises NotFoundError, InputError."""
        ...

    def historical(self, lake: Lake, ref: str, entity_rows: pa.Table | None) -> pa.Table:
        """The newest vector of each asked app not younger than the asked moment."""
        ...


class FeastRows:
    """Rows as Feast's offline store gives them for the registry that stands at the ref."""

    def version_for(self, lake: Lake, ref: str) -> str:
        """Equal training rows and registry at two refs give the same name. Raises NotFoundError."""
        from dfp_platform.features.registry import REGISTRY

        commit = lake.resolve(ref)
        return _named("v1", [_table(lake, commit), lake.stat(commit, REGISTRY).sha256])

    def rows(self, lake: Lake, commit: str) -> tuple[tuple[str, ...], Rows]:
        """Through Feast. Raises InputError: registry and table do not name the same features."""
        from dfp_platform.features.registry import open_store

        store = open_store(lake, commit)
        names = tuple(json.loads(store.get_feature_service(SERVICE).tags[NAMES_TAG]))
        _require_same(names, features_at(lake, commit))
        return names, _as_rows(_pulled(store), len(names))

    def historical(self, lake: Lake, ref: str, entity_rows: pa.Table | None) -> pa.Table:
        """Through Feast's point-in-time join."""
        from dfp_platform.features.history import historical

        return historical(lake, ref, entity_rows)


@dataclass(frozen=True, slots=True)
class PlainSource:
    """What `features.rows` needs of a source, without Feast's class."""

    features: tuple[str, ...]
    table: str = TABLE
    device: str = DEVICE
    event_time: str = EVENT_TIME
    created_timestamp_column: str = ""


class PlainRows:
    """Rows of the training table, read without Feast and without its registry."""

    def version_for(self, lake: Lake, ref: str) -> str:
        """Equal training rows at two refs give the same name. Raises NotFoundError."""
        return _named("p1", [_table(lake, lake.resolve(ref))])

    def rows(self, lake: Lake, commit: str) -> tuple[tuple[str, ...], Rows]:
        """The newest version of each app."""
        from dfp_platform.features.rows import newest_each, read_versions

        names = features_at(lake, commit)
        source: Any = PlainSource(names)
        found = newest_each(read_versions(lake, commit, source, columns=names))
        return names, Rows(found.keys.to_pylist(), _micros(found.times), found.matrix)

    def historical(self, lake: Lake, ref: str, entity_rows: pa.Table | None) -> pa.Table:
        """By the same join, without Feast around it."""
        from dfp_platform.features.entity_rows import MOMENT, as_entity_rows
        from dfp_platform.features.point_in_time import AskedView, point_in_time

        commit = lake.resolve(ref)
        source: Any = PlainSource(features_at(lake, commit))
        asked = [AskedView(source, (VECTOR,), (VECTOR,), KEY)]
        rows = as_entity_rows(lake, commit, entity_rows, asked)
        return point_in_time(lake, commit, rows, time=MOMENT, asked=asked)


def _pulled(store: FeatureStore) -> pa.Table:
    view = store.get_feature_view(ALL)
    source = view.batch_source
    assert source is not None  # every view of the repository has one
    return store.provider.offline_store.pull_latest_from_table_or_query(
        config=store.config,
        data_source=source,
        join_key_columns=[KEY],
        feature_name_columns=[VECTOR],
        timestamp_field=source.timestamp_field,
        created_timestamp_column=None,
        start_date=_FIRST,
        end_date=_LAST,
    ).to_arrow()


def _as_rows(table: pa.Table, width: int) -> Rows:
    times = _micros(table["event_timestamp"])
    return Rows(table[KEY].to_pylist(), times, as_matrix(table[VECTOR], width))


def _micros(times: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    import pyarrow as pa

    return times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy().astype(np.int64)


def _table(lake: Lake, commit: str) -> str:
    from dfp_platform.catalog import content_of

    return content_of(lake, commit, "tables/" + TABLE.replace(".", "/"))


def _named(kind: str, told: list[str]) -> str:
    return f"{kind}-" + hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _require_same(registered: Sequence[str], there: Sequence[str]) -> None:
    if list(registered) != list(there):
        odd = sorted(set(registered) ^ set(there)) or [a for a, b in zip(registered, there, strict=True) if a != b]
        raise InputError(
            f"registry and training table name different features, first {odd[0]!r}",
            hint="apply the registry again at this ref (asset features/registry)",
            file=TABLE,
            column=odd[0],
        )
