"""Served equals trained: the online vectors against the training table, bit for bit."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfp_platform.features.online import open_online
from dfp_platform.features.repository import KEY, TABLE, VIEWS
from dfp_platform.lake.interface import Lake
from dfp_platform.models.data import feature_columns, feature_matrix

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Parity:
    """What the comparison found.

    Attributes:
        checked: apps compared.
        differing: of those, apps that are unknown online or have a value of other bits.
        examples: sha256 of the first few that differ.
        rows_served: apps of the online version.
        rows_trained: apps of the training table.
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
    lake: Lake, ref: str, online: Path, version: str | None = None, *, sample: int = 1_000, seed: int = 0
) -> Parity:
    """Compare what `version` serves with the float32 values that models are trained on at `ref`.

    The trained side is read from the table as `models.data` reads it, not through Feast. Other feature names, or the
    same in another order, make every app differ.

    Args:
        version: the online version; the one being served unless given.
        sample: apps to compare, drawn without replacement by `seed`; all if the table has fewer.
    Raises:
        NotFoundError: no such version, or no training table at `ref`.
    """
    from dfp_platform.catalog import scan

    device, view = next(iter(VIEWS.items()))
    rows = scan(lake, ref, TABLE, row_filter=f"device == '{device}'")
    names = feature_columns(rows.column_names)
    drawn = np.random.default_rng(seed).permutation(rows.num_rows)[:sample]
    asked = rows.select([KEY, *names]).take(np.sort(drawn))
    keys = asked[KEY].to_pylist()
    with closing(open_online(online, version=version)) as reader:
        served, rows_served = reader.read(keys, view=view), reader.rows
    trained = feature_matrix(asked, names)
    same = served.names == names and _same_rows(served.vectors, trained) & served.found
    differing = [key for key, equal in zip(keys, np.broadcast_to(same, len(keys)), strict=True) if not equal]
    return Parity(len(keys), len(differing), tuple(differing[:EXAMPLES]), rows_served, rows.num_rows)


def _same_rows(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left.view(np.uint32) == right.view(np.uint32)).all(axis=1)
