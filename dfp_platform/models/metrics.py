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


RARE = 0.1
"""Share of malware that figures called rare are told for: what meets an app store, not what fills a data set."""

FIGURES = (
    "roc_auc",
    "average_precision",
    "f1",
    "true_positive_rate",
    "false_positive_rate",
    "rare_average_precision",
    "rare_f1",
)
"""What is measured of scored apps, in this order."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Some apps of a test as one model scored them, ready to be measured however often each of them counts.

    Attributes:
        rows: their positions in the test.
        ranking: of these apps.
        labels: float, 1 is malware, in the order of `rows`.
        alarms: float, 1 raises one, in the order of `rows`.
    """

    rows: NDArray[np.int64]
    ranking: Ranking
    labels: NDArray[np.float64]
    alarms: NDArray[np.float64]

    @classmethod
    def of(
        cls, rows: NDArray[np.int64], labels: NDArray[np.int8], scores: NDArray[np.float32], alarms: NDArray[np.bool_]
    ) -> Scored:
        """The apps at `rows` of a test of which labels, scores and alarms are given, each of shape ``(apps,)``."""
        ranking = Ranking.of(labels[rows], scores[rows])
        return cls(rows, ranking, labels[rows].astype(np.float64), alarms[rows].astype(np.float64))

    def figures(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """`FIGURES` of the apps, NaN where they cannot give one; `weights` says how often each app of the test counts.

        Rare figures count malware by the weight that makes it `RARE` of the whole: what a draw of that share would
        give on average, without its chance.
        """
        often = np.ones(len(self.rows)) if weights is None else weights[self.rows]
        malware_weights = often * self.labels
        malware, benign = float(malware_weights.sum()), float(often.sum() - malware_weights.sum())
        found = float((malware_weights * self.alarms).sum())
        false = float((often * self.alarms).sum()) - found
        recall = found / malware if malware else np.nan
        false_rate = false / benign if benign else np.nan
        f1 = 2 * found / (found + false + malware) if malware else np.nan
        rare = RARE / (1 - RARE)
        rare_f1 = 2 * rare * recall / (rare * recall + false_rate + rare) if malware and benign else np.nan
        if not (malware and benign):
            return np.array([np.nan, np.nan, f1, recall, false_rate, np.nan, np.nan])
        groups = self.ranking.counts(often)
        rarely = average_precision(groups[0] * (rare * benign / malware), groups[1])
        told = (roc_auc(*groups), average_precision(*groups), f1, recall, false_rate, rarely, rare_f1)
        return np.array(told, dtype=np.float64)


def resamples_of(apps: int, *, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each app counts in each resample, shape ``(resamples, apps)``: apps drawn with replacement.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    random = np.random.default_rng(seed)
    draws = [np.bincount(random.integers(apps, size=apps), minlength=apps) for _ in range(resamples if apps else 0)]
    return np.array(draws, dtype=np.float64).reshape(len(draws), apps)


def area_under_time(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    """TESSERACT's AUT along the first axis: the mean over neighbouring periods of what lies between their figures.

    Args:
        figures: periods along the first axis; NaN where a period cannot give the figure: it is left out, and its
            neighbours become neighbours.
    Returns:
        The other axes; the figure itself where one period gives it, NaN where none does.
    Source: Pendlebury et al., TESSERACT: Eliminating Experimental Bias in Malware Classification across Space and
        Time, USENIX Security (2019), equation 4.
    """
    known = np.isfinite(figures)
    count, total = known.sum(axis=0), np.where(known, figures, 0.0).sum(axis=0)
    if not len(figures):
        return np.full(figures.shape[1:], np.nan)
    first = np.take_along_axis(figures, known.argmax(axis=0)[None], axis=0)[0]
    last = np.take_along_axis(figures, (len(figures) - 1 - known[::-1].argmax(axis=0))[None], axis=0)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (total - (first + last) / 2) / (count - 1)
    return np.where(count > 1, between, np.where(count == 1, total, np.nan))


def interval_of(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Where 95 % of the finite values lie; None without any."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


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
