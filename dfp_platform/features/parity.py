"""Served equals trained: the online vectors against the training table, bit for bit."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dfp_platform.features.interface import FeatureKeeper, Vectors
from dfp_platform.features.repository import DEVICE, EVENT_TIME, KEY, TABLE, VIEWS, columns_of
from dfp_platform.lake.interface import Lake
from dfp_platform.models.data import feature_columns, feature_matrix
from dfp_platform.schemas import MAIN

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Parity:
    """What the comparison found.

    Attributes:
        checked: apps compared.
        differing: of those, apps that are unknown online or have a value of other bits.
        examples: sha256 of the first few that differ.
        rows_served: apps of the online version.
        rows_trained: apps of the training table, each counted once.
    """

    checked: int
    differing: int
    examples: tuple[str, ...]
    rows_served: int
    rows_trained: int

    @property
    def passed(self) -> bool:
        """Something was compared, nothing differs, and neither side has apps that the other lacks."""
        return self.checked > 0 and self.differing == 0 and self.rows_served == self.rows_trained


def served_equals_trained(
    keeper: FeatureKeeper, lake: Lake, ref: str, version: str, *, sample: int = 1_000, seed: int = 0
) -> Parity:
    """Compare what `version` holds with the float32 values that models are trained on at `ref`, every view of it.

    The trained side is read from the table as `models.data` reads it, not through the keeper. Other feature names, or
    the same in another order, make every app differ.

    Args:
        version: the online version, as it was written: what was pushed beside it is left out.
        sample: apps to compare, drawn without replacement by `seed`; all if the table has fewer.
    Raises:
        NotFoundError: no such version, or no training table at `ref`.
    """
    from dfp_platform.catalog import scan

    rows = _newest(scan(lake, ref, TABLE, row_filter=f"device == '{DEVICE}'"))
    names = feature_columns(rows.column_names)
    drawn = np.random.default_rng(seed).permutation(rows.num_rows)[:sample]
    asked = rows.select([KEY, *names]).take(np.sort(drawn))
    keys = asked[KEY].to_pylist()
    trained = feature_matrix(asked, names)
    with closing(keeper.reader(MAIN, version=version)) as reader:
        rows_served, same = reader.rows, np.full(len(keys), reader.names == names)
        for view in [view for view in VIEWS if same.any() and columns_of(view, names)]:
            same &= _same_rows(reader.read(keys, view=view), trained, view, names)
    differing = [key for key, equal in zip(keys, same, strict=True) if not equal]
    return Parity(len(keys), len(differing), tuple(differing[:EXAMPLES]), rows_served, rows.num_rows)


def _newest(rows: pa.Table) -> pa.Table:
    """Each app's newest row."""
    ordered = rows.sort_by([(EVENT_TIME, "descending")])
    _, first = np.unique(ordered[KEY].to_numpy(zero_copy_only=False), return_index=True)
    return ordered.take(np.sort(first))


def _same_rows(served: Vectors, trained: np.ndarray, view: str, names: tuple[str, ...]) -> np.ndarray:
    columns = columns_of(view, names)
    if served.names != columns:
        return np.zeros(len(trained), dtype=np.bool_)
    wanted = np.ascontiguousarray(trained[:, [names.index(column) for column in columns]])
    bits = np.ascontiguousarray(served.vectors).view(np.uint32) == wanted.view(np.uint32)
    return bits.all(axis=1) & served.found
