"""Rows of the training table as key, event timestamp and one float32 vector each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.features.repository import EVENT_TIME, KEY, TABLE, VECTOR
from dfp_platform.lake.interface import Lake
from dfp_platform.models.data import feature_columns, feature_matrix

if TYPE_CHECKING:
    import pyarrow as pa


def features_at(lake: Lake, ref: str, table: str = TABLE) -> tuple[str, ...]:
    """The feature columns of `table` at `ref`, in the table's order. Reads metadata only.

    Raises:
        NotFoundError: no such table at `ref`. InputError: it has no feature column, or one that leaks the label.
    """
    from dfp_platform.catalog import open_catalog

    schema = open_catalog(lake, ref).load_table(tuple(table.split("."))).schema()
    return feature_columns([field.name for field in schema.fields])


def read_vectors(lake: Lake, ref: str, *, table: str, device: str, features: Sequence[str]) -> pa.Table:
    """Every app of `device` at `ref`: ``sha256``, ``event_timestamp`` (UTC, microseconds), ``vector`` (float32 list).

    Raises:
        InputError: the device has no rows, an app has no date or stands there twice, or a feature is no number.
    """
    from dfp_platform.catalog import scan

    columns = (KEY, EVENT_TIME, *features)
    rows = scan(lake, ref, tuple(table.split(".")), columns=columns, row_filter=f"device == '{device}'")
    return to_vectors(rows, features, table=table, device=device)


def to_vectors(rows: pa.Table, features: Sequence[str], *, table: str, device: str) -> pa.Table:
    """`rows` with their feature columns folded into one vector column; see `read_vectors` for columns and errors."""
    import pyarrow as pa

    _require_keys(rows, table=table, device=device)
    return pa.table(
        {
            KEY: rows[KEY].cast(pa.string()),
            "event_timestamp": rows[EVENT_TIME].cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
            VECTOR: as_lists(feature_matrix(rows, features)),
        }
    )


def as_lists(matrix: NDArray[np.float32]) -> pa.ListArray:
    """Rows of a matrix as Arrow lists over the same memory."""
    import pyarrow as pa

    count, width = matrix.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.ravel()))


def as_matrix(lists: pa.ChunkedArray, width: int) -> NDArray[np.float32]:
    """Lists of `width` floats as a float32 matrix, shape ``(rows, width)``. Raises InputError for another length."""
    whole = lists.combine_chunks()
    if whole.null_count or np.any(np.diff(whole.offsets.to_numpy()) != width):
        raise InputError(
            f"a feature vector has not the {width} elements that its registry names",
            hint="apply the registry and materialize again from one commit",
            column=VECTOR,
        )
    return whole.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), width)


def _require_keys(rows: pa.Table, *, table: str, device: str) -> None:
    trouble, column = "", KEY
    if not rows.num_rows:
        trouble, column = f"no app of device {device!r}", "device"
    elif rows[EVENT_TIME].null_count:
        trouble, column = f"{rows[EVENT_TIME].null_count} apps without a {EVENT_TIME}", EVENT_TIME
    elif rows[KEY].null_count:
        trouble = f"{rows[KEY].null_count} apps without a {KEY}"
    elif len(rows[KEY].unique()) != rows.num_rows:
        trouble = f"an app of {device!r} more than once"
    if trouble:
        raise InputError(
            f"{table} has {trouble}", hint="mend it upstream and build the table again", file=table, column=column
        )
