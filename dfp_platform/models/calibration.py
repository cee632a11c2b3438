"""Thresholds: the score above which an app raises an alarm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import CalibrationError


def alarm_threshold(errors: NDArray[np.float32], *, false_positive_rate: float) -> float:
    """Reconstruction error above which an app raises an alarm.

    Args:
        errors: shape ``(apps,)``; mean squared error per benign app over standardised features (no unit). Any
            other score that grows with suspicion serves as well.
        false_positive_rate: share of benign apps that may raise an alarm [0..1].

    Raises:
        CalibrationError: fewer apps than ``1 / false_positive_rate``; the quantile would be a guess. Or a score is no
            number.
    Source: linear ("type 7") quantile, Hyndman & Fan, The American Statistician 50 (1996).
    """
    needed = int(np.ceil(round(1 / false_positive_rate, 9)))
    if errors.size < needed:
        raise CalibrationError(
            f"{errors.size} benign apps are too few to calibrate a false positive rate of {false_positive_rate:g}",
            hint=f"give at least {needed} later benign apps, or allow a higher rate",
            apps=int(errors.size),
            needed=needed,
        )
    if not np.all(np.isfinite(errors)):
        raise CalibrationError(
            "a benign app has a score that is no number",
            hint="look at the training: it diverged",
            apps=int(errors.size),
        )
    quantile = np.quantile(errors.astype(np.float64), 1 - false_positive_rate, method="linear")
    return float(np.float32(quantile))  # scores are float32: an exported model compares the very same numbers
