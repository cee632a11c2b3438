"""Rows of a table of the lake as features: only the columns, apps and times that are asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.features.repository import KEY
from dfp_platform.lake.interface import Lake
from dfp_platform.models.data import feature_matrix
from dfp_platform.schemas import FEATURE_PREFIXES

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

    from dfp_platform.features.source import LakeSource

FEW_KEYS = 1_000
"""Apps that are named to the table when it is read; more are looked up in all of its rows."""


_EPOCH, _MICRO = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Versions of apps: what was known of an app from a moment on. In no order.

    Attributes:
        keys: sha256 digests.
        times: event times, microseconds of UTC.
        created: when a row was written, microseconds of UTC; None if the source does not say.
        columns: what the elements of a vector are.
        matrix: float32, C-contiguous, shape ``(rows, columns)``; NaN where a value is unknown.
    """

    keys: pa.Array
    times: pa.Array
    created: pa.Array | None
    columns: tuple[str, ...]
    matrix: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: NDArray[Any]) -> FeatureRows:
        """The rows at these positions, in their order."""
        created = None if self.created is None else self.created.take(rows)
        return FeatureRows(self.keys.take(rows), self.times.take(rows), created, self.columns, self.matrix[rows])

    def of(self, columns: Sequence[str]) -> FeatureRows:
        """The same rows with these columns only, in their order; the same memory if they are all."""
        if tuple(columns) == self.columns:
            return self
        place = {name: position for position, name in enumerate(self.columns)}
        matrix = np.ascontiguousarray(self.matrix[:, [place[name] for name in columns]])
        return FeatureRows(self.keys, self.times, self.created, tuple(columns), matrix)


def read_rows(
    lake: Lake,
    ref: str,
    source: LakeSource,
    *,
    columns: Sequence[str],
    since: datetime | None = None,
    until: datetime | None = None,
    keys: Collection[str] | None = None,
) -> FeatureRows:
    """The rows of a source at `ref`; what is not asked for is not read. Rows without key or event time are none.

    Args:
        columns: feature columns of the source.
        since: event times from this moment on, `until` up to that one, both included; without a zone they are UTC.
        keys: only these apps; `FEW_KEYS` at most are told to the table, others may come along.
    Raises:
        NotFoundError: no such ref or table. InputError: no such column, or one that is no finite number.
    """
    from dfp_platform.catalog import scan

    since, until = _utc(since), _utc(until)
    told = [KEY, source.event_time, *([source.created_timestamp_column] if source.created_timestamp_column else [])]
    kept = _filter(source, _schema(lake, ref, source), since, until, keys)
    read = scan(lake, ref, source.table, columns=[*dict.fromkeys([*told, *columns])], row_filter=kept)
    return _in_window(read, source, tuple(columns), since, until)


def read_versions(lake: Lake, ref: str, source: LakeSource, *, columns: Sequence[str], **asked: Any) -> FeatureRows:
    """`read_rows`, one row for an app and an event time, by app and time.

    Of several the one created last stays. If that does not decide, it is the one whose values, feature by feature in
    the table's order, are greater (unknown is greatest): so the answer is the same however the table's files lie, and
    whichever columns are asked for.
    """
    rows = read_rows(lake, ref, source, columns=columns, **asked)
    if len(_tied(rows)):
        rows = read_rows(lake, ref, source, columns=_every_feature(lake, ref, source), **asked)
    return rows.take(settled(rows)).of(columns)


def settled(rows: FeatureRows) -> NDArray[np.int64]:
    """Positions of the one row for each app and event time, by app and time; see `read_versions` for which."""
    rank = np.zeros(len(rows), dtype=np.int64)
    tied = _tied(rows)
    if len(tied):
        by_values = np.lexsort(rows.matrix[tied].T[::-1])
        rank[tied[by_values]] = np.arange(len(tied))
    import polars as pl

    frame = _frame(rows).with_columns(rank=pl.Series(rank)).sort("key", "time", "created", "rank", nulls_last=False)
    return frame.unique(["key", "time"], keep="last", maintain_order=True)["row"].to_numpy()


def newest_each(rows: FeatureRows) -> FeatureRows:
    """Of rows by app and time, one for an app and an event time, the newest of each app."""
    last = _frame(rows).unique("key", keep="last", maintain_order=True)["row"].to_numpy()
    return rows if len(last) == len(rows) else rows.take(last)


def _tied(rows: FeatureRows) -> NDArray[np.int64]:
    frame = _frame(rows)
    return frame.filter(frame.select("key", "time", "created").is_duplicated())["row"].to_numpy()


def _frame(rows: FeatureRows) -> Any:
    import polars as pl

    created = pl.Series([None] * len(rows), dtype=pl.Int64) if rows.created is None else _series(rows.created)
    return pl.DataFrame(
        {"key": pl.Series(rows.keys), "time": _series(rows.times), "created": created, "row": np.arange(len(rows))}
    )


def _series(times: pa.Array) -> Any:
    import polars as pl
    import pyarrow as pa

    return pl.Series(times.cast(pa.int64()))


def in_utc(times: pa.ChunkedArray) -> pa.Array:
    """Dates or timestamps as microseconds of UTC; without a zone they are UTC already."""
    import pyarrow as pa

    zone = times.type.tz if pa.types.is_timestamp(times.type) else None
    moments = times.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.timestamp("us", tz="UTC"))
    return _whole(moments)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole: Any = column.combine_chunks()
    return whole


def _in_window(
    read: pa.Table, source: LakeSource, columns: tuple[str, ...], since: datetime | None, until: datetime | None
) -> FeatureRows:
    import pyarrow as pa

    times = in_utc(read[source.event_time])
    moments = times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    there = np.asarray(times.is_valid()) & np.asarray(read[KEY].is_valid())
    there &= (moments >= _micros(since) if since else True) & (moments <= _micros(until) if until else True)
    if not there.all():
        read, times = read.filter(pa.array(there)), times.filter(pa.array(there))
    created = source.created_timestamp_column
    return FeatureRows(
        _whole(read[KEY].cast(pa.string())),
        times,
        in_utc(read[created]) if created else None,
        columns,
        feature_matrix(read, columns),
    )


def _filter(
    source: LakeSource, schema: Schema, since: datetime | None, until: datetime | None, keys: Collection[str] | None
) -> Any:
    """What the table leaves unread, as exactly as the type of its time column can say."""
    from pyiceberg import expressions

    said: Any = expressions  # its models take terms and values by position, which their types do not say
    name = source.event_time
    kept = said.EqualTo("device", source.device)
    if since is not None:
        kept = said.And(kept, said.GreaterThanOrEqual(name, _literal(since, schema.find_type(name))))
    if until is not None:
        kept = said.And(kept, said.LessThanOrEqual(name, _literal(until, schema.find_type(name))))
    if keys is not None and len(keys) <= FEW_KEYS:
        kept = said.And(kept, said.In(KEY, sorted(keys)))
    return kept


def _literal(moment: datetime, kind: IcebergType) -> str:
    from pyiceberg.types import DateType, TimestamptzType

    if isinstance(kind, DateType):
        return moment.date().isoformat()
    return (moment if isinstance(kind, TimestamptzType) else moment.replace(tzinfo=None)).isoformat()


def span(moments: pa.Array) -> tuple[datetime, datetime] | tuple[None, None]:
    """The first and the last of moments in UTC; None where there is none."""
    import pyarrow as pa

    there = moments.drop_null().cast(pa.int64()).to_numpy()
    return (_EPOCH + int(there.min()) * _MICRO, _EPOCH + int(there.max()) * _MICRO) if len(there) else (None, None)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICRO


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _every_feature(lake: Lake, ref: str, source: LakeSource) -> tuple[str, ...]:
    names = [field.name for field in _schema(lake, ref, source).fields]
    return tuple(name for name in names if name in source.features or name.startswith(FEATURE_PREFIXES))


def _schema(lake: Lake, ref: str, source: LakeSource) -> Schema:
    from dfp_platform.catalog import open_catalog

    return open_catalog(lake, ref).load_table(source.table).schema()
