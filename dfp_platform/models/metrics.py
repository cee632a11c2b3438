"""Rank metrics of one score against labels, fast enough to be resampled: everything comes from one sort.

A ranking is reduced to groups of tied scores, from the most suspicious down, with malware and benign counts per group.
A bootstrap resample then only changes the counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Apps from the most suspicious down, ties together.

    Attributes:
        order: positions of the apps, most suspicious first.
        starts: where in `order` each group of tied scores begins.
        labels: label of each app, in `order`.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    labels: NDArray[np.float64]

    @classmethod
    def of(cls, labels: NDArray[np.int8], scores: NDArray[np.float32]) -> Ranking:
        """The ranking by `scores`, shape ``(apps,)``; `labels` of the same shape, 1 is malware."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else np.empty(0, np.int64)
        return cls(order, starts, labels[order].astype(np.float64))

    def counts(self, weights: NDArray[np.float64] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Malware and benign apps per group, most suspicious first; `weights` says how often each app counts."""
        if not len(self.order):
            return np.empty(0), np.empty(0)
        ranked = np.ones(len(self.order)) if weights is None else weights[self.order]
        malware = np.add.reduceat(ranked * self.labels, self.starts)
        return malware, np.add.reduceat(ranked, self.starts) - malware


def roc_auc(malware: NDArray[np.float64], benign: NDArray[np.float64]) -> float | None:
    """Chance that a malware app ranks above a benign one, ties half; from counts per group. ``None`` without both."""
    if not malware.sum() or not benign.sum():
        return None
    below = benign.sum() - np.cumsum(benign)
    return float((malware * (below + benign / 2)).sum() / (malware.sum() * benign.sum()))


def average_precision(malware: NDArray[np.float64], benign: NDArray[np.float64]) -> float | None:
    """Mean precision over found malware, from counts per group. ``None`` without malware or without benign apps."""
    if not malware.sum() or not benign.sum():
        return None
    found, raised = np.cumsum(malware), np.cumsum(malware + benign)
    precision = np.divide(found, raised, out=np.zeros_like(found), where=raised > 0)
    return float((malware * precision).sum() / malware.sum())


def bootstrap(
    ranking: Ranking, *, resamples: int, seed: int
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """95 % percentile intervals of ROC-AUC and average precision over apps drawn with replacement.

    Resamples that happen to hold one label only are left out; ``None`` if the apps themselves do.
    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    apps = len(ranking.order)
    malware, benign = ranking.counts()
    if roc_auc(malware, benign) is None:
        return None, None
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(resamples):
        weights = np.bincount(random.integers(apps, size=apps), minlength=apps).astype(np.float64)
        counts = ranking.counts(weights)
        area, precision = roc_auc(*counts), average_precision(*counts)
        if area is not None and precision is not None:
            pairs.append((area, precision))
    if not pairs:
        return None, None
    low, high = np.percentile(np.array(pairs), [2.5, 97.5], axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def curves(ranking: Ranking, *, points: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """ROC points (false positive rate, recall) and precision-recall points (recall, precision), at most `points` each.

    Thinned evenly over the groups; ends are kept. Empty without both labels.
    """
    malware, benign = ranking.counts()
    if roc_auc(malware, benign) is None:
        return [], []
    found, alarmed = np.cumsum(malware), np.cumsum(benign)
    recall, false_positive_rate = found / found[-1], alarmed / alarmed[-1]
    precision = found / (found + alarmed)
    kept = np.unique(np.linspace(0, len(found) - 1, min(points - 1, len(found))).round().astype(int))
    roc = [(0.0, 0.0), *zip(false_positive_rate[kept].tolist(), recall[kept].tolist(), strict=True)]
    return roc, list(zip(recall[kept].tolist(), precision[kept].tolist(), strict=True))
