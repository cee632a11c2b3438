"""Feature columns of the table, and their values as lists of float32 in Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.features.repository import TABLE, VECTOR
from dfp_platform.lake.interface import Lake
from dfp_platform.models.data import feature_columns

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


def as_lists(matrix: NDArray[np.float32], *, there: NDArray[np.bool_] | None = None) -> pa.ListArray:
    """Rows of a matrix as Arrow lists over the same memory.

    Args:
        there: which lists there are, as many as the matrix has rows; the others are null. All unless given.
    """
    import pyarrow as pa

    lengths = np.ones(len(matrix), np.int32) if there is None else there.astype(np.int32)
    offsets = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32) * np.int32(matrix.shape[1])])
    missing = None if there is None or there.all() else pa.array(~there)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()), mask=missing)


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
