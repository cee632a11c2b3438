"""From raw counts to comparable numbers: fitted here, applied inside the network, so that it travels along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import CalibrationError


@dataclass(frozen=True, slots=True, eq=False)
class Standardisation:
    """``z = clip((log(1 + max(x, 0)) - mean) / scale, ±limit)``, per feature; an unknown value is an average one, 0.

    Counts span seven orders of magnitude, so their logarithm is taken; a flag stays a flag under it. The limit holds
    what training never saw at a finite distance, where float32 still compares across runtimes.

    A column that no fitted row knows (an older archive lacks a system call that a newer one counts) tells nothing yet:
    its scale is infinite, so whatever later apps hold there is 0 too. It begins to count when rows that know it are
    fitted; those that do not are average ones then.

    Attributes:
        mean: float32, shape ``(features,)``, of log counts.
        scale: float32, shape ``(features,)``, standard deviation of log counts, never below the floor; infinite where
            nothing is known.
        limit: bound of ``|z|``.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    limit: float

    @classmethod
    def fit(cls, matrix: NDArray[np.float32], *, floor: float, limit: float) -> Standardisation:
        """The standardisation of these rows (benign training rows: others would tell the label).

        Args:
            matrix: raw values, shape ``(apps, features)``.
            floor: smallest scale; without it a flag that one benign app in a thousand sets would drown all others.
            limit: bound of ``|z|``.

        Raises:
            CalibrationError: fewer than two rows.
        """
        if len(matrix) < 2:
            raise CalibrationError(
                f"{len(matrix)} benign app(s) in the training slice are too few to standardise by",
                hint="take a larger source",
                apps=len(matrix),
            )
        logs = np.ma.masked_invalid(np.log1p(np.maximum(matrix, 0)))
        mean = logs.mean(axis=0, dtype=np.float64).filled(0)
        scale = np.maximum(logs.std(axis=0, dtype=np.float64).filled(np.inf), floor)
        return cls(mean.astype(np.float32), scale.astype(np.float32), limit)
