"""An alarm that needs no labels: apps of a month that are harder to reproduce than those of the past were.

It is worth something if it comes before the model fails, and does not come where the model holds. Both are measured
here with the labels of the test, which a monitor would not have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.records import Record
from dfp_platform.models.scores import DIGITS, figure

FALSE_ALARMS = 0.01
"""Share of months that would raise an alarm if their apps were like those of the calibration."""

KEPT_F1 = 0.9
"""A model has failed in a month whose F1 is below this share of its F1 on the calibration apps."""

MONTHS_AHEAD = 3
"""An alarm is false if the model fails neither in its month nor in so many months after it."""

_DRAWS = 2_000


class DriftMonth(Record):
    """What the alarm saw in one month, and how the model did there.

    Attributes:
        mean_error: mean reconstruction error of the month's apps.
        limit: above it an alarm is raised; months of few apps have a higher one.
        f1: of the model at its threshold; None without malware.
        failed: whether `f1` is below what was kept; None without `f1`.
    """

    month: str
    apps: int
    mean_error: float
    limit: float
    alarm: bool
    f1: float | None
    failed: bool | None


class DriftAlarm(Record):
    """The alarm of one model over the months of its test.

    Attributes:
        usual_f1: F1 on the calibration apps; None without malware among them.
        months: oldest first.
        first_alarm: month of the first alarm that is not false.
        first_failure: month in which the model first failed.
        lead_months: months from the first true alarm to the first failure; negative: it came after; None: one is
            missing.
        alarms: how many months raised one; `false_alarms` of them were followed by no failure.
        missed_failures: failures without an alarm in their month or in the months before it.
    """

    usual_f1: float | None
    months: tuple[DriftMonth, ...]
    first_alarm: str | None
    first_failure: str | None
    lead_months: int | None
    alarms: int
    false_alarms: int
    missed_failures: int


def drift_alarm(
    past: NDArray[np.float32],
    months: Sequence[tuple[str, NDArray[np.float32], float | None]],
    *,
    usual_f1: float | None,
    seed: int,
) -> DriftAlarm:
    """The alarm over the months of a test.

    Args:
        past: reconstruction errors of the calibration apps; never empty.
        months: name, reconstruction errors of its apps (never empty) and the model's F1 there, oldest first.
        usual_f1: the model's F1 on the calibration apps.
        seed: of the draws that set the limits.
    """
    limits = _Limits(past, seed)
    seen = []
    for name, errors, f1 in months:
        mean, limit = float(np.mean(errors, dtype=np.float64)), limits.of(len(errors))
        failed = None if f1 is None or not usual_f1 else f1 < KEPT_F1 * usual_f1
        seen.append(
            DriftMonth(
                month=name,
                apps=len(errors),
                mean_error=round(mean, DIGITS),
                limit=round(limit, DIGITS),
                alarm=mean > limit,
                f1=figure(f1),
                failed=failed,
            )
        )
    return _judged(tuple(seen), usual_f1)


class _Limits:
    """Means that months of a size stay below if they are draws of the past; the share of exceptions is allowed."""

    def __init__(self, past: NDArray[np.float32], seed: int) -> None:
        self._past, self._seed = past.astype(np.float64), seed
        self._known: dict[int, float] = {}

    def of(self, apps: int) -> float:
        if apps not in self._known:
            random = np.random.default_rng([self._seed, apps])
            means = [self._past[random.integers(len(self._past), size=apps)].mean() for _ in range(_DRAWS)]
            self._known[apps] = float(np.quantile(means, 1 - FALSE_ALARMS))
        return self._known[apps]


def _judged(months: tuple[DriftMonth, ...], usual_f1: float | None) -> DriftAlarm:
    number = {seen.month: int(np.datetime64(seen.month, "M").astype(np.int64)) for seen in months}
    failures = [number[seen.month] for seen in months if seen.failed]
    alarms = [number[seen.month] for seen in months if seen.alarm]
    true = [at for at in alarms if any(at <= failure <= at + MONTHS_AHEAD for failure in failures)]
    missed = [at for at in failures if not any(at - MONTHS_AHEAD <= alarm <= at for alarm in alarms)]
    name = {at: month for month, at in number.items()}
    return DriftAlarm(
        usual_f1=figure(usual_f1),
        months=months,
        first_alarm=name[true[0]] if true else None,
        first_failure=name[failures[0]] if failures else None,
        lead_months=failures[0] - true[0] if true and failures else None,
        alarms=len(alarms),
        false_alarms=len(alarms) - len(true),
        missed_failures=len(missed),
    )
