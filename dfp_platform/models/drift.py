"""How far features have moved from what a model was trained on, feature by feature, without labels.

The measure is the population stability index (PSI), ``sum((p - q) * ln(p / q))`` over bins of the training's values:
Siddiqi, Credit Risk Scorecards (2006), ch. 9; it is Jeffreys' divergence. Bins are the training's deciles (fewer where
values repeat, as counts and flags do); what is not known is a bin of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import CalibrationError, InputError

MAJOR_SHIFT = 0.25
"""PSI above which a shift is called major (Siddiqi, as above)."""

CHANCE = 0.01
"""Chance that a feature of few rows is called drifted although none has: over all features together."""

DRIFTED_SHARE = 0.1
"""Share of a model's features that may have drifted before its inputs as a whole are called drifted."""

MOST_ROWS = 20_000
"""Rows that are compared at most, taken evenly: more change a PSI of this size in the third digit."""

_DECILES = np.linspace(0.0, 0.9, 10)
_PRIOR = 0.5
"""Rows added to each bin, so that an empty one gives a finite index (Jeffreys' prior)."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureDrift:
    """Drift of each feature; all arrays have one entry a feature.

    Attributes:
        features: their names.
        rows: rows that were looked at.
        reference_rows: rows of the training that they were held against.
        psi: the index, 0 and more.
        limit: what the index may be: `MAJOR_SHIFT`, or more where rows are so few that chance reaches it.
        missing: share of rows without a value, 0 to 1.
        reference_missing: the same of the training.
    """

    features: tuple[str, ...]
    rows: int
    reference_rows: int
    psi: NDArray[np.float64]
    limit: NDArray[np.float64]
    missing: NDArray[np.float64]
    reference_missing: NDArray[np.float64]

    @property
    def drifted(self) -> NDArray[np.bool_]:
        """Whether each feature is beyond its limit."""
        return self.psi > self.limit

    @property
    def share(self) -> float:
        """Share of the features that have drifted, 0 to 1."""
        return float(self.drifted.mean())

    def worst(self, count: int) -> list[int]:
        """Positions of the features farthest beyond their limits, the worst first; equal ones in their order."""
        return [int(place) for place in np.argsort(-(self.psi / self.limit), kind="stable")[:count]]

    def named(self, count: int) -> dict[str, float]:
        """The drifted features with their index, the worst first, at most `count`."""
        return {self.features[at]: round(float(self.psi[at]), 3) for at in self.worst(count) if self.drifted[at]}


def feature_drift(reference: NDArray[np.float32], rows: NDArray[np.float32], features: Sequence[str]) -> FeatureDrift:
    """How far `rows` lie from a reference, both of shape ``(rows, features)``, NaN where a value is not known.

    Raises:
        CalibrationError: one of them has no row. InputError: they have other columns than `features`.
    """
    if not len(reference) or not len(rows):
        raise CalibrationError("drift needs rows on both sides", hint="wait for more rows")
    if reference.shape[1] != len(features) or rows.shape[1] != len(features):
        raise InputError(
            f"{reference.shape[1]} and {rows.shape[1]} columns are not the {len(features)} features",
            hint="give both sides in the order of the features",
        )
    reference, rows = evenly(reference), evenly(rows)
    old, new = np.sort(reference, axis=0), np.sort(rows, axis=0)  # unknown values last
    psi, bins = np.empty(len(features)), np.empty(len(features))
    for at in range(len(features)):
        psi[at], bins[at] = _psi(old[:, at], new[:, at])
    return FeatureDrift(
        features=tuple(features),
        rows=len(rows),
        reference_rows=len(reference),
        psi=psi,
        limit=psi_limit(bins, len(rows), len(reference)),
        missing=np.isnan(rows).mean(axis=0),
        reference_missing=np.isnan(reference).mean(axis=0),
    )


def psi_limit(bins: NDArray[np.float64], rows: int, reference_rows: int) -> NDArray[np.float64]:
    """What the index of each feature may be.

    Without drift it is about ``(1/rows + 1/reference_rows)`` times a chi-squared variable of ``bins - 1`` degrees:
    Yurdakul, Statistical properties of the population stability index (2018), ch. 3. `CHANCE` is shared by all features
    (Bonferroni).
    """
    from scipy.special import chdtri

    by_chance = (1 / rows + 1 / reference_rows) * chdtri(np.maximum(bins - 1, 1), CHANCE / len(bins))
    return np.maximum(MAJOR_SHIFT, by_chance)


def largest_rise(reference: NDArray[np.float32], values: NDArray[np.float32]) -> float:
    """By how much a figure has risen from one sample to another, 0 to 1; 0 where it has fallen throughout.

    Of all ways to cut the figure in two it is the most by which the share of values beyond the cut has grown.

    Raises:
        CalibrationError: one of them is empty.
    Source: the one-sided two-sample statistic D+ of Smirnov; Annals of Mathematical Statistics 19 (1948).
    """
    if not len(reference) or not len(values):
        raise CalibrationError("two samples are needed to compare them", hint="wait for more rows")
    before, now = (cumulative_shares(sample, reference) for sample in (reference, values))
    return max(0.0, float((before - now).max()))


def cumulative_shares(values: NDArray[np.float32], cuts: NDArray[np.float32]) -> NDArray[np.float64]:
    """The share of the values that is not above each cut, 0 to 1."""
    return np.searchsorted(np.sort(values), cuts, side="right") / len(values)


def evenly(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most `MOST_ROWS` of the rows, evenly over all of them; always the same ones."""
    if len(rows) <= MOST_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]


def _psi(old: NDArray[np.float32], new: NDArray[np.float32]) -> tuple[float, int]:
    """The index of one feature, of two sorted columns, and over how many bins it went."""
    known = old[: np.count_nonzero(~np.isnan(old))]
    edges = np.unique(known[(_DECILES * (len(known) - 1)).astype(np.int64)]) if len(known) else known
    counts = np.array([_counts(old, edges), _counts(new, edges)], dtype=np.float64)
    counts = counts[:, counts.any(axis=0)] + _PRIOR
    p, q = counts / counts.sum(axis=1, keepdims=True)
    return float(np.sum((p - q) * np.log(p / q))), counts.shape[1]


def _counts(column: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows of a sorted column up to each edge, beyond the last one, and without a value."""
    known = np.count_nonzero(~np.isnan(column))
    below = np.searchsorted(column[:known], edges, side="right")
    return np.diff(np.array([0, *below.tolist(), int(known), len(column)]))
