"""Scores of models on the time-ordered test: all of it, over time, by what training has seen, by family."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.models.data import TrainingData
from dfp_platform.models.metrics import Ranking, average_precision, bootstrap, curves, roc_auc
from dfp_platform.models.parts import Parts
from dfp_platform.models.records import Record
from dfp_platform.models.weights import Scorer

CURVE_POINTS = 200
RESAMPLES = 500
_FIGURE_DIGITS = 6

Interval = tuple[float, float]
Curve = tuple[tuple[float, float], ...]


class SliceScores(Record):
    """How well a model does on some apps. A figure that the apps cannot give (no malware, no benign app) is ``None``.

    Attributes:
        name: what the apps have in common, ``2019-11`` or ``unseen packages``.
        apps: how many; `malware` of them are malware.
        roc_auc: area under the ROC curve, free of the threshold.
        roc_auc_interval: its 95 % bootstrap interval, where one was drawn.
        average_precision: area under the precision-recall curve; its floor is the share of malware.
        average_precision_interval: as above.
        f1: harmonic mean of precision and recall at the calibrated threshold.
        true_positive_rate: share of the malware that raises an alarm.
        false_positive_rate: share of the benign apps that raise one; calibrated for, but apps drift.
        alarm_rate: share of all apps that raise one.
        median_score: drift shows here even where labels are unknown.
    """

    name: str
    apps: int
    malware: int
    roc_auc: float | None
    roc_auc_interval: Interval | None = None
    average_precision: float | None
    average_precision_interval: Interval | None = None
    f1: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None
    alarm_rate: float | None
    median_score: float | None


class FamilyRecall(Record):
    """How many apps of one malware family raise an alarm. `recall` is ``found / apps``."""

    family: str
    apps: int
    found: int
    recall: float


class ModelEvaluation(Record):
    """One model on the test.

    Attributes:
        model: the model's name.
        threshold: the calibrated threshold the alarms are counted at.
        overall: all test apps, with intervals.
        unseen_packages: test apps whose package occurs nowhere in the past, with intervals.
        seen_packages: the other test apps; they flatter.
        months: one entry a calendar month, oldest first.
        quarters: one entry a quarter.
        families: malware families by size, then name.
        roc: points (false positive rate, recall), at most 200.
        precision_recall: points (recall, precision), at most 200.
    """

    model: str
    threshold: float
    overall: SliceScores
    unseen_packages: SliceScores
    seen_packages: SliceScores
    months: tuple[SliceScores, ...]
    quarters: tuple[SliceScores, ...]
    families: tuple[FamilyRecall, ...]
    roc: Curve
    precision_recall: Curve


class Evaluation(Record):
    """All models on the same test apps of one device.

    Attributes:
        device: ``real_device`` or ``emulator``.
        synthetic: whether the apps were generated: the figures then say nothing about real malware.
        test_from: first day of the test, ISO; ``None`` if no date is known.
        resamples: bootstrap resamples behind each interval.
        seed: of the resamples.
        models: one entry a model, by name.
    """

    device: str
    synthetic: bool
    test_from: str | None
    resamples: int
    seed: int
    models: tuple[ModelEvaluation, ...]


def evaluate(models: Mapping[str, Scorer], data: Parts, *, seed: int, resamples: int = RESAMPLES) -> Evaluation:
    """Every model on the test slice of `data`; equal inputs give equal records.

    Args:
        models: name → loaded model (see `weights.load_model`).
        data: apps of one device; the packages of training and calibration tell seen from unseen.
        seed: of the bootstrap resamples.
        resamples: how many.

    Raises:
        InputError: there is no test app, or it lacks a column that a model was trained on.
    """
    test = data.test
    if not len(test):
        raise InputError("no app is left for the test", hint="take a larger source, or cut the time earlier")
    past = {*data.training.packages, *data.calibration.packages}
    seen = np.array([package in past for package in test.packages], dtype=np.bool_)
    known = test.dates[~np.isnat(test.dates)]
    return Evaluation(
        device=data.device,
        synthetic=any(model.card.synthetic for model in models.values()),
        test_from=str(known.min()) if known.size else None,
        resamples=resamples,
        seed=seed,
        models=tuple(
            _evaluate_model(name, model, test, seen=seen, seed=seed, resamples=resamples)
            for name, model in sorted(models.items())
        ),
    )


def _evaluate_model(
    name: str, model: Scorer, test: TrainingData, *, seen: NDArray[np.bool_], seed: int, resamples: int
) -> ModelEvaluation:
    scores = model.score(test.columns(model.card.features))
    alarms = model.label(scores).astype(bool)

    def of(title: str, rows: NDArray[np.bool_], *, intervals: bool = False) -> SliceScores:
        return score_slice(
            title, test.labels[rows], scores[rows], alarms[rows], seed=seed, resamples=resamples if intervals else 0
        )

    months = test.dates.astype("datetime64[M]")
    every = np.ones(len(test), dtype=bool)
    roc, precision_recall = curves(Ranking.of(test.labels, scores), points=CURVE_POINTS)
    return ModelEvaluation(
        model=name,
        threshold=model.card.threshold,
        overall=of("all", every, intervals=True),
        unseen_packages=of("unseen packages", ~seen, intervals=True),
        seen_packages=of("seen packages", seen),
        months=tuple(of(str(month), months == month) for month in _known(months)),
        quarters=tuple(
            of(_quarter_name(quarter), _quarters(months) == quarter) for quarter in _known(_quarters(months))
        ),
        families=family_recalls(test.families, test.labels, alarms),
        roc=_rounded(roc),
        precision_recall=_rounded(precision_recall),
    )


def score_slice(
    name: str,
    labels: NDArray[np.int8],
    scores: NDArray[np.float32],
    alarms: NDArray[np.bool_],
    *,
    seed: int = 0,
    resamples: int = 0,
) -> SliceScores:
    """Figures of one slice; arrays of shape ``(apps,)``, possibly empty or of one label only.

    Args:
        name: the slice's name.
        labels: 1 is malware.
        scores: more is more suspicious.
        alarms: whether the score is above the threshold.
        seed: of the resamples.
        resamples: bootstrap resamples for the intervals; 0 draws none.
    """
    ranking = Ranking.of(labels, scores)
    counts = ranking.counts()
    area_interval, precision_interval = (
        bootstrap(ranking, resamples=resamples, seed=seed) if resamples else (None, None)
    )
    malware = labels == 1
    found, false = int(alarms[malware].sum()), int(alarms[~malware].sum())
    missed = int(malware.sum()) - found
    return SliceScores(
        name=name,
        apps=len(labels),
        malware=int(malware.sum()),
        roc_auc=_figure(roc_auc(*counts)),
        roc_auc_interval=_interval(area_interval),
        average_precision=_figure(average_precision(*counts)),
        average_precision_interval=_interval(precision_interval),
        f1=_share(2 * found, 2 * found + false + missed) if malware.any() else None,
        true_positive_rate=_share(found, int(malware.sum())),
        false_positive_rate=_share(false, int((~malware).sum())),
        alarm_rate=_share(int(alarms.sum()), len(alarms)),
        median_score=_figure(float(np.median(scores))) if len(scores) else None,
    )


def family_recalls(families: NDArray, labels: NDArray[np.int8], alarms: NDArray[np.bool_]) -> tuple[FamilyRecall, ...]:
    """Recall of every named family of malware, the largest first (benign rows that bear a family are left out)."""
    malware = labels == 1
    recalls = []
    for family in sorted(set(families[malware]) - {""}):
        members = alarms[malware & (families == family)]
        found = int(members.sum())
        share = round(found / len(members), _FIGURE_DIGITS)
        recalls.append(FamilyRecall(family=family, apps=len(members), found=found, recall=share))
    return tuple(sorted(recalls, key=lambda entry: (-entry.apps, entry.family)))


def _known(periods: NDArray) -> NDArray:
    return np.unique(periods[~np.isnat(periods)])


def _quarters(months: NDArray) -> NDArray:
    """First month of each month's quarter."""
    return months - (months.astype(np.int64) % 3).astype("timedelta64[M]")


def _quarter_name(first_month: np.datetime64) -> str:
    year, month = str(first_month).split("-")
    return f"{year}-Q{(int(month) + 2) // 3}"


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, _FIGURE_DIGITS) if whole else None


def _figure(value: float | None) -> float | None:
    """Six digits: beyond them lies the order of summation."""
    return None if value is None else round(value, _FIGURE_DIGITS)


def _interval(pair: Interval | None) -> Interval | None:
    return None if pair is None else (round(pair[0], _FIGURE_DIGITS), round(pair[1], _FIGURE_DIGITS))


def _rounded(points: list[tuple[float, float]]) -> Curve:
    return tuple((round(x, _FIGURE_DIGITS), round(y, _FIGURE_DIGITS)) for x, y in points)
