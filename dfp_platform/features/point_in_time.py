"""What was known at a moment: to each asked app and moment the newest version not younger than it, within its ttl."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.features.repository import VECTOR
from dfp_platform.features.rows import FEW_KEYS, FeatureRows, in_utc, read_versions, span
from dfp_platform.features.vectors import as_lists
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    import pyarrow as pa

    from dfp_platform.features.source import LakeSource

CHUNK_ROWS = 65_536
"""Rows of one chunk of answered vectors: 127 MB at 486 features."""

NOTHING = -1
"""Position that stands for: no version was known."""


@dataclass(frozen=True, slots=True)
class AskedView:
    """Features of one view, as they are asked for.

    Attributes:
        source: where the view's rows are.
        features: ``vector`` or column names.
        names: what they are called in the answer.
        key: the column of the entity rows that names the app.
        ttl: how long a version is good for; None: for ever.
    """

    source: LakeSource
    features: tuple[str, ...]
    names: tuple[str, ...]
    key: str
    ttl: timedelta | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that have to be read, in the source's order."""
        wanted = set(self.source.features if VECTOR in self.features else self.features)
        return tuple(name for name in self.source.features if name in wanted)


def point_in_time(lake: Lake, ref: str, entity_rows: pa.Table, *, time: str, asked: Sequence[AskedView]) -> pa.Table:
    """The entity rows, in their order, and beside each what was known of its app at its moment.

    Views whose rows lie in one table are read once. Null stands where nothing was known: the app is unknown, its first
    version is younger, the newest has expired, or key or moment are null. NaN is an unknown value of a known app.

    Args:
        time: the column of the entity rows that holds the moments.
    Raises:
        What `rows.read_rows` raises.
    """
    moments = in_utc(entity_rows[time])
    answered: dict[int, list[tuple[str, Any]]] = {}
    for group in _by_table(asked):
        one = asked[group[0]]
        keys = entity_rows[one.key].cast("string").combine_chunks()
        rows = _read(lake, ref, [asked[place] for place in group], keys, moments)
        found = newest(rows, keys, moments)
        for place in group:
            view = asked[place]
            good = unexpired(found, rows, moments, view.ttl)
            answered[place] = [
                (name, told(rows, good, view.source.features if feature == VECTOR else feature))
                for name, feature in zip(view.names, view.features, strict=True)
            ]
    for place in range(len(asked)):
        for name, column in answered[place]:
            entity_rows = entity_rows.append_column(name, column)
    return entity_rows


def newest(rows: FeatureRows, keys: pa.Array, moments: pa.Array) -> NDArray[np.int64]:
    """For each key and moment the position of the newest row of that key not younger than the moment, or `NOTHING`.

    Args:
        rows: one for a key and an event time, as `rows.read_versions` gives them.
        keys: strings; null finds nothing.
        moments: microseconds of UTC; null finds nothing.
    """
    import polars as pl
    import pyarrow as pa

    times, asked_times = rows.times.cast(pa.int64()), moments.cast(pa.int64())
    known = pl.DataFrame({"key": pl.Series(rows.keys), "time": pl.Series(times), "row": np.arange(len(rows))})
    asked = pl.DataFrame({"key": pl.Series(keys), "time": pl.Series(asked_times), "at": np.arange(len(keys))})
    joined = (
        asked.drop_nulls()
        .sort("time")
        .join_asof(known.sort("time"), on="time", by="key", strategy="backward", check_sortedness=False)
    )
    found = np.full(len(keys), NOTHING, dtype=np.int64)
    found[joined["at"].to_numpy()] = joined["row"].fill_null(NOTHING).to_numpy()
    return found


def unexpired(
    found: NDArray[np.int64], rows: FeatureRows, moments: pa.Array, ttl: timedelta | None
) -> NDArray[np.int64]:
    """`found` without rows that were older than `ttl` at their moment; that old to the microsecond is still good."""
    if not ttl or not len(rows):
        return found
    import pyarrow as pa

    times = rows.times.cast(pa.int64()).to_numpy()
    asked = moments.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    old = asked - times[np.maximum(found, 0)] > ttl // timedelta(microseconds=1)
    return np.where(old, NOTHING, found)


def told_each(rows: FeatureRows, source: LakeSource, features: Sequence[str]) -> list[pa.ChunkedArray]:
    """The features of every row, each ``vector`` or a column of the source."""
    every = np.arange(len(rows))
    return [told(rows, every, source.features if feature == VECTOR else feature) for feature in features]


def told(rows: FeatureRows, found: NDArray[np.int64], feature: str | Sequence[str]) -> pa.ChunkedArray:
    """The values of one column, or the vectors of several, at positions of `rows`; null where nothing was found."""
    import pyarrow as pa

    if isinstance(feature, str):
        values = rows.of([feature]).matrix[:, 0] if len(rows) else np.zeros(1, np.float32)
        nothing = found == NOTHING
        return pa.chunked_array([pa.array(values[np.maximum(found, 0)], mask=nothing if nothing.any() else None)])
    matrix = rows.of(feature).matrix
    return pa.chunked_array(list(_vectors(matrix, found)), pa.list_(pa.float32()))


def _vectors(matrix: NDArray[np.float32], found: NDArray[np.int64]) -> Iterator[pa.ListArray]:
    for start in range(0, len(found), CHUNK_ROWS):
        rows = found[start : start + CHUNK_ROWS]
        yield as_lists(matrix.take(rows[rows != NOTHING], axis=0), there=rows != NOTHING)


def _read(lake: Lake, ref: str, asked: Sequence[AskedView], keys: pa.Array, moments: pa.Array) -> FeatureRows:
    source = asked[0].source
    wanted = dict.fromkeys(name for view in asked for name in view.columns)
    first, last = span(moments)
    ttls = [view.ttl for view in asked]
    since = first - max(ttl for ttl in ttls if ttl) if all(ttls) and first is not None else None
    distinct = keys.drop_null().unique()
    few = distinct.to_pylist() if len(distinct) <= FEW_KEYS else None
    return read_versions(lake, ref, source, columns=tuple(wanted), since=since, until=last, keys=few)


def _by_table(asked: Sequence[AskedView]) -> list[list[int]]:
    """Positions of the views that can be read and joined together."""
    groups: dict[Any, list[int]] = {}
    for place, view in enumerate(asked):
        source = view.source
        same = (source.table, source.device, source.event_time, source.created_timestamp_column, view.key)
        groups.setdefault(same, []).append(place)
    return list(groups.values())
