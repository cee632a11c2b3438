"""Whether a score may be read as a probability: how often apps of a score turn out to be malware."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.records import Record
from dfp_platform.models.scores import DIGITS, figure

BINS = 10


class ReliabilityBin(Record):
    """Apps of neighbouring scores: their mean score, and how many of them are malware."""

    apps: int
    mean_score: float
    malware_share: float


class Reliability(Record):
    """The calibration curve of a model on the test.

    Attributes:
        probability: whether the score is meant as a probability of malware; that of an autoencoder is not.
        bins: equally many apps each (ties stay together), by rising score.
        expected_calibration_error: mean distance of score and malware share over the bins, weighted by their apps.
        brier: mean squared distance of score and label; 0 is perfect, 0.25 is saying 0.5 of everything.
    Source: Guo et al., On Calibration of Modern Neural Networks (2017); Brier, Verification of Forecasts (1950).
    """

    probability: bool
    bins: tuple[ReliabilityBin, ...]
    expected_calibration_error: float | None
    brier: float | None


def reliability(labels: NDArray[np.int8], scores: NDArray[np.float32], *, probability: bool) -> Reliability:
    """The calibration curve of scores within 0 and 1; arrays of shape ``(apps,)``."""
    bins, wide = [], scores.astype(np.float64)
    edges = np.unique(np.quantile(wide, np.linspace(0, 1, BINS + 1))) if len(wide) else np.empty(0)
    places = np.clip(np.searchsorted(edges, wide, side="left") - 1, 0, max(len(edges) - 2, 0))
    for place in np.unique(places):
        inside = places == place
        share, mean = float(labels[inside].mean()), float(wide[inside].mean())
        bins.append(
            ReliabilityBin(apps=int(inside.sum()), mean_score=round(mean, DIGITS), malware_share=round(share, DIGITS))
        )
    distance = sum(each.apps * abs(each.mean_score - each.malware_share) for each in bins)
    return Reliability(
        probability=probability,
        bins=tuple(bins),
        expected_calibration_error=figure(distance / len(wide)) if len(wide) else None,
        brier=figure(float(np.mean((wide - labels) ** 2))) if len(wide) else None,
    )
