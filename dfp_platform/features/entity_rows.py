"""Entity rows: the apps and moments that history is asked for, however they are given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import InputError
from dfp_platform.features.repository import KEY
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from dfp_platform.features.point_in_time import AskedView

MOMENT = "event_timestamp"
"""What Feast calls the column of moments."""


def as_entity_rows(
    lake: Lake,
    ref: str,
    given: pd.DataFrame | pa.Table | str | None,
    asked: Sequence[AskedView],
    *,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
) -> pa.Table:
    """Entity rows as an Arrow table whose moments are in UTC; see `LakeOfflineStore.get_historical_features`.

    Raises:
        InputError: no column of moments or of keys, a moment that is none, or a query that is wrong.
    """
    import pyarrow as pa

    from dfp_platform.catalog import query

    if given is None:
        return _every_version(lake, ref, asked, start_date, end_date)
    if isinstance(given, str):
        rows = query(lake, ref, given)
    else:
        rows = given if isinstance(given, pa.Table) else pa.Table.from_pandas(given, preserve_index=False)
    missing = [view.key for view in asked if view.key not in rows.column_names]
    if missing:
        raise _lacking(missing[0])
    name = time_column(rows)
    return rows.set_column(rows.column_names.index(name), name, _moments(rows[name], name))


def time_column(rows: pa.Table) -> str:
    """The column of moments: ``event_timestamp``, or the only timestamp that there is. Raises InputError."""
    import pyarrow as pa

    if MOMENT in rows.column_names:
        return MOMENT
    times = [field.name for field in rows.schema if pa.types.is_timestamp(field.type)]
    if len(times) != 1:
        raise _lacking(MOMENT)
    return times[0]


def _lacking(column: str) -> InputError:
    return InputError(
        f"the entity rows lack the column {column!r}",
        hint=f"give {KEY} and {MOMENT} for every row",
        column=column,
    )


def _moments(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Dates, timestamps, or texts of either, in UTC."""
    import pyarrow as pa

    from dfp_platform.features.rows import in_utc

    kind = column.type
    try:
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return _read(column)
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind)):
            raise ValueError(f"it is of type {kind}")
        return in_utc(column)
    except ValueError as error:
        raise InputError(
            f"the column {name!r} of the entity rows holds no moments: {error}",
            hint="give dates or timestamps; without a zone they are UTC",
            column=name,
        ) from error


def _read(texts: pa.ChunkedArray) -> pa.Array:
    import pandas as pd
    import pyarrow as pa

    return pa.array(pd.to_datetime(texts.to_pandas(), utc=True, format="ISO8601"), pa.timestamp("us", tz="UTC"))


def _every_version(
    lake: Lake, ref: str, asked: Sequence[AskedView], start: datetime | None, end: datetime | None
) -> pa.Table:
    """Each app at each of its event times in the window, whichever view has it; by app and time."""
    import pyarrow as pa

    from dfp_platform.features.rows import read_rows

    found: list[Any] = []
    for source in {(view.source.table, view.source.device): view.source for view in asked}.values():
        rows = read_rows(lake, ref, source, columns=(), since=start, until=end)
        found.append(pa.table({KEY: rows.keys, MOMENT: rows.times}))
    every = pa.concat_tables(found).group_by([KEY, MOMENT]).aggregate([])
    return every.sort_by([(KEY, "ascending"), (MOMENT, "ascending")])
