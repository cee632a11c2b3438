"""Figures of scored apps with their intervals: of a slice of the test, over time, by family.

Everything is measured for several trainings that differ by their seed alone. A figure is the mean over them; its
interval covers both the seed and the apps that happened to be in the test: it is taken over resamples of the test
apps, an equal number for each seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.metrics import FIGURES, Scored, area_under_time, interval_of, resamples_of
from dfp_platform.models.records import Record

DIGITS = 6
"""Beyond them lies the order of summation."""

Interval = tuple[float, float]


class SliceScores(Record):
    """How well a model does on some apps. A figure that the apps cannot give (no malware, no benign app) is ``None``.

    Attributes:
        name: what the apps have in common, ``2019-11`` or ``unseen packages``.
        apps: how many; `malware` of them are malware.
        roc_auc: area under the ROC curve, free of the threshold.
        average_precision: area under the precision-recall curve; its floor is the share of malware.
        f1: harmonic mean of precision and recall at the calibrated threshold.
        true_positive_rate: share of the malware that raises an alarm, at the threshold that was fixed beforehand for a
            false positive rate on later benign apps of the past.
        false_positive_rate: share of the benign apps that raise one; calibrated for, but apps drift.
        rare_average_precision: as `average_precision`, if 10 % of the apps were malware.
        rare_f1: as `f1`, if 10 % of the apps were malware.
        alarm_rate: share of all apps that raise one.
        median_score: drift shows here even where labels are unknown.
        median_error: of the reconstruction; None for a model that has none.
    """

    name: str
    apps: int
    malware: int
    roc_auc: float | None
    roc_auc_interval: Interval | None = None
    average_precision: float | None
    average_precision_interval: Interval | None = None
    f1: float | None
    f1_interval: Interval | None = None
    true_positive_rate: float | None
    true_positive_rate_interval: Interval | None = None
    false_positive_rate: float | None
    false_positive_rate_interval: Interval | None = None
    rare_average_precision: float | None
    rare_average_precision_interval: Interval | None = None
    rare_f1: float | None
    rare_f1_interval: Interval | None = None
    alarm_rate: float | None
    median_score: float | None
    median_error: float | None = None


class Area(Record):
    """TESSERACT's area under time of one figure: its mean over neighbouring periods, see `metrics.area_under_time`.

    Attributes:
        value: mean over seeds; None where no period gives the figure.
        interval: 95 %, over seeds and resamples of the test.
        by_seed: the value of each seed.
    """

    value: float | None
    interval: Interval | None
    by_seed: tuple[float | None, ...]


class AreasUnderTime(Record):
    """How a model keeps over the periods of the test. Periods that cannot give a figure are left out of its area.

    Attributes:
        period: what the time is cut into.
        periods: how many have apps; `judged` of them have malware and benign apps.
    """

    period: Literal["month", "quarter"]
    periods: int
    judged: int
    roc_auc: Area
    average_precision: Area
    f1: Area
    true_positive_rate: Area
    rare_average_precision: Area
    rare_f1: Area


class FamilyRecall(Record):
    """How many apps of one malware family raise an alarm.

    Attributes:
        found: by the published model; `recall` is ``found / apps``.
        recall_of_seeds: mean over the seeds.
    """

    family: str
    apps: int
    found: int
    recall: float
    recall_of_seeds: float


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What one training's model says of the test; arrays of shape ``(apps,)``.

    Attributes:
        errors: of the reconstruction; None for a model that has none.
    """

    scores: NDArray[np.float32]
    alarms: NDArray[np.bool_]
    errors: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Measures slices of one test for several trainings; all slices see the same resamples.

    Attributes:
        labels: of the test apps, 1 is malware.
        told: by each training, the published one first.
        draws: per training, how often each app counts in each resample, see `metrics.resamples_of`.
    """

    labels: NDArray[np.int8]
    told: tuple[Told, ...]
    draws: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, labels: NDArray[np.int8], told: Sequence[Told], *, resamples: int, seed: int) -> Judge:
        """A judge that draws about `resamples` resamples in all, an equal number for each training."""
        each = -(-resamples // max(len(told), 1))
        draws = [resamples_of(len(labels), resamples=each, seed=seed + place) for place in range(len(told))]
        return cls(labels, tuple(told), tuple(draws))

    def measured(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """`metrics.FIGURES` of the apps at `rows`, shape ``(trainings, 1 + resamples, figures)``: first as they are."""
        cube = []
        for told, draws in zip(self.told, self.draws, strict=True):
            scored = Scored.of(rows, self.labels, told.scores, told.alarms)
            cube.append([scored.figures(), *(scored.figures(draw) for draw in draws)])
        return np.array(cube, dtype=np.float64)

    def slice(self, name: str, rows: NDArray[np.int64]) -> SliceScores:
        """The figures of the apps at `rows`, with intervals where resamples are drawn."""
        return self.scores(name, rows, self.measured(rows))

    def scores(self, name: str, rows: NDArray[np.int64], measured: NDArray[np.float64]) -> SliceScores:
        """The record of what was `measured` of the apps at `rows`."""
        figures: dict[str, Any] = {}
        for place, figure in enumerate(FIGURES):
            figures[figure] = _mean(measured[:, 0, place])
            figures[f"{figure}_interval"] = _rounded_pair(interval_of(measured[:, 1:, place]))
        return SliceScores(
            name=name,
            apps=len(rows),
            malware=int(self.labels[rows].sum()),
            alarm_rate=self._over_seeds(rows, lambda told: told.alarms, np.mean),
            median_score=self._over_seeds(rows, lambda told: told.scores, np.median),
            median_error=self._over_seeds(rows, lambda told: told.errors, np.median),
            **figures,
        )

    def over_time(
        self, period: Literal["month", "quarter"], rows: Sequence[tuple[str, NDArray[np.int64]]]
    ) -> tuple[tuple[SliceScores, ...], AreasUnderTime]:
        """The figures of each period, oldest first, and the areas under them."""
        cubes = [self.measured(of) for _, of in rows]
        scores = tuple(self.scores(name, of, cube) for (name, of), cube in zip(rows, cubes, strict=True))
        shape = (0, len(self.told), 1, len(FIGURES))
        areas = area_under_time(np.array(cubes) if cubes else np.empty(shape))
        told = {figure: _area(areas[..., place]) for place, figure in enumerate(FIGURES)}
        del told["false_positive_rate"]  # not a figure of merit: less is better, and it is calibrated for
        judged = sum(each.roc_auc is not None for each in scores)
        return scores, AreasUnderTime(period=period, periods=len(rows), judged=judged, **told)

    def families(self, families: NDArray[Any]) -> tuple[FamilyRecall, ...]:
        """Recall of every named family of malware, the largest first; benign apps that bear a family are left out."""
        malware = self.labels == 1
        return tuple(
            sorted(
                (self._family(family, malware & (families == family)) for family in {*families[malware]} - {""}),
                key=lambda entry: (-entry.apps, entry.family),
            )
        )

    def _family(self, family: str, members: NDArray[np.bool_]) -> FamilyRecall:
        shares = [float(told.alarms[members].mean()) for told in self.told]
        return FamilyRecall(
            family=family,
            apps=int(members.sum()),
            found=int(self.told[0].alarms[members].sum()),
            recall=round(shares[0], DIGITS),
            recall_of_seeds=round(float(np.mean(shares)), DIGITS),
        )

    def _over_seeds(self, rows: NDArray[np.int64], array: Any, reduce: Any) -> float | None:
        arrays = [array(told) for told in self.told]
        if not len(rows) or any(each is None for each in arrays):
            return None
        return _mean(np.array([reduce(each[rows]) for each in arrays], dtype=np.float64))


def figure(value: float | None) -> float | None:
    """A figure as records keep it; None where it is no number."""
    return None if value is None or not np.isfinite(value) else round(float(value), DIGITS)


def _area(values: NDArray[np.float64]) -> Area:
    return Area(
        value=_mean(values[:, 0]),
        interval=_rounded_pair(interval_of(values[:, 1:])),
        by_seed=tuple(figure(value) for value in values[:, 0]),
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return figure(float(known.mean())) if known.size else None


def _rounded_pair(pair: Interval | None) -> Interval | None:
    return None if pair is None else (round(pair[0], DIGITS), round(pair[1], DIGITS))
