"""The label-budget curve: what a person's labels buy, month after month, where the doubtful apps are labelled first.

Source: Pendlebury et al., TESSERACT (2019), section 5: delaying time decay by active learning (uncertainty sampling).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.models.configs import Configuration
from dfp_platform.models.data import TrainingData
from dfp_platform.models.evaluation import periods
from dfp_platform.models.metrics import FIGURES, Scored, area_under_time
from dfp_platform.models.parts import Parts, SplitData
from dfp_platform.models.records import Record
from dfp_platform.models.scores import figure
from dfp_platform.models.training import train
from dfp_platform.models.weights import Scorer, load_model

BUDGETS = (0.0, 0.01, 0.05, 0.1, 0.25, 1.0)
"""Shares of a quarter's apps that are labelled before the next quarter."""

_F1, _AVERAGE_PRECISION = FIGURES.index("f1"), FIGURES.index("average_precision")


class QuarterScores(Record):
    """One quarter, scored by what had been learnt before it."""

    quarter: str
    apps: int
    f1: float | None
    average_precision: float | None


class Budget(Record):
    """What a budget buys.

    Attributes:
        share: of each quarter's apps that are labelled, the most doubtful first, and learnt before the next.
        labels: apps that were labelled in all.
        trainings: how often the model was trained again.
        f1: area under time, see `metrics.area_under_time`; likewise `average_precision`.
        quarters: oldest first.
    """

    share: float
    labels: int
    trainings: int
    f1: float | None
    average_precision: float | None
    quarters: tuple[QuarterScores, ...]


class LabelBudget(Record):
    """The curve of one model. `budgets` rise; the first is the model as it was published."""

    model: str
    device: str
    synthetic: bool
    budgets: tuple[Budget, ...]


class LabelBudgets(Record):
    """The curves of several models."""

    curves: tuple[LabelBudget, ...]


def label_budget(
    published: Scorer,
    apps: Parts,
    *,
    budgets: Sequence[float] = BUDGETS,
    progress: Callable[[str], None] = lambda sentence: None,
) -> LabelBudget:
    """The curve of a model that sees labels.

    Args:
        published: the model of the first quarter.
        apps: of its device, apart by time; calibration, and by it the threshold, stays that of the past.
        budgets: shares [0..1] of each quarter's apps that are labelled.
        progress: called with a sentence before each budget.

    Raises:
        InputError: the model learns nothing from labels, was not split by time, or no test app has a date.
    """
    card = published.card
    if card.kind not in ("detector", "xgboost"):
        raise InputError(f"{card.name} learns nothing from labels", hint="choose a detector or xgboost")
    if card.configuration.split.by != "time":
        raise InputError(f"{card.name} was split by hash and has seen later apps", hint="train it with split=time")
    quarters = periods(apps.test.dates, quarters=True)
    if not quarters:
        raise InputError("no app of the test has a date", hint="take a larger source")
    told = []
    for share in budgets:
        progress(f"{card.name}: {share:.0%} of {len(quarters)} quarters' apps are labelled")
        told.append(_spent(published, apps, quarters, share))
    return LabelBudget(model=card.name, device=card.device, synthetic=card.synthetic, budgets=tuple(told))


def _spent(published: Scorer, apps: Parts, quarters: Sequence[tuple[str, NDArray[np.int64]]], share: float) -> Budget:
    model, training, seen, trainings, labels = published, apps.training, [], 0, 0
    measured = []
    for place, (name, rows) in enumerate(quarters):
        quarter = apps.test.take(rows)
        scores = model.score(quarter.columns(model.card.features))
        alarms = model.label(scores).astype(bool)
        figures = Scored.of(np.arange(len(quarter)), quarter.labels, scores, alarms).figures()
        measured.append(figures)
        seen.append(
            QuarterScores(
                quarter=name,
                apps=len(quarter),
                f1=figure(figures[_F1]),
                average_precision=figure(figures[_AVERAGE_PRECISION]),
            )
        )
        chosen = doubtful(scores, model.card.threshold, share)
        if len(chosen) and place < len(quarters) - 1:
            training, labels, trainings = joined(training, quarter.take(chosen)), labels + len(chosen), trainings + 1
            model = _trained(SplitData(training, apps.calibration, apps.test), published.card.configuration)
    areas = area_under_time(np.array(measured))
    return Budget(
        share=share,
        labels=labels,
        trainings=trainings,
        f1=figure(areas[_F1]),
        average_precision=figure(areas[_AVERAGE_PRECISION]),
        quarters=tuple(seen),
    )


def doubtful(scores: NDArray[np.float32], threshold: float, share: float) -> NDArray[np.int64]:
    """Rows of the share of apps whose scores are nearest to the threshold, in their order; at least one app, if any."""
    wanted = min(len(scores), max(1, round(share * len(scores)))) if share else 0
    nearest = np.argsort(np.abs(scores.astype(np.float64) - threshold), kind="stable")[:wanted]
    return np.sort(nearest)


def joined(first: TrainingData, second: TrainingData) -> TrainingData:
    """The apps of both, `second` after `first`; of one device and with the same features."""
    arrays = ("matrix", "labels", "ids", "packages", "families", "dates", "time_rank", "future")
    both = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in arrays}
    return TrainingData(device=first.device, features=first.features, **both)


def _trained(apps: Parts, configuration: Configuration) -> Scorer:
    return load_model(train(apps, configuration, progress=False).files)
