"""Features as they were: point-in-time reads through Feast's offline store at a ref of the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfp_platform.errors import InputError
from dfp_platform.features.registry import open_store
from dfp_platform.features.repository import KEY, SERVICE, VIEWS
from dfp_platform.lake.interface import Lake

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def historical(lake: Lake, ref: str, entity_rows: pa.Table | None = None) -> pa.Table:
    """The newest vector of each asked app not younger than the asked moment, read through Feast at `ref`.

    Args:
        entity_rows: columns ``sha256`` and ``event_timestamp`` (a date or timestamp; without a zone it is UTC), further
            columns come back as they are; every app at its own time unless given.
    Returns:
        The entity rows, in no order, and ``vector`` (list of float32), null where no vector was there yet.
    Raises:
        NotFoundError: the registry or the training table is not at `ref`. InputError: a column is missing.
    """
    commit = lake.resolve(ref)
    store = open_store(lake, commit)
    asked = _everything(lake, commit) if entity_rows is None else entity_rows
    job = store.get_historical_features(entity_df=_frame(asked), features=store.get_feature_service(SERVICE))
    return job.to_arrow()


def _everything(lake: Lake, commit: str) -> pa.Table:
    from dfp_platform.catalog import scan
    from dfp_platform.features.repository import EVENT_TIME, TABLE

    device = next(iter(VIEWS))
    rows = scan(lake, commit, TABLE, columns=(KEY, EVENT_TIME), row_filter=f"device == '{device}'")
    return rows.rename_columns(["event_timestamp" if name == EVENT_TIME else name for name in rows.column_names])


def _frame(rows: pa.Table) -> pd.DataFrame:
    import pyarrow as pa

    missing = [name for name in (KEY, "event_timestamp") if name not in rows.column_names]
    if missing:
        raise InputError(
            f"the entity rows lack the column {missing[0]!r}",
            hint=f"give {KEY} and event_timestamp for every row",
            column=missing[0],
        )
    position = rows.column_names.index("event_timestamp")
    kind = rows["event_timestamp"].type
    zone = kind.tz if pa.types.is_timestamp(kind) else None
    times = rows["event_timestamp"].cast(pa.timestamp("us", tz=zone)).cast(pa.timestamp("us", tz="UTC"))
    return rows.set_column(position, "event_timestamp", times).to_pandas()
