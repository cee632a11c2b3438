"""Models judged on apps newer than all they were trained on: over time, over seeds, and by what training has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dfp_platform.errors import CorruptLakeError, InputError
from dfp_platform.models.data import TrainingData
from dfp_platform.models.drift_alarm import DriftAlarm, drift_alarm
from dfp_platform.models.duplicates import Duplicates, duplicates
from dfp_platform.models.metrics import Ranking, Scored, curves
from dfp_platform.models.parts import Parts
from dfp_platform.models.records import Record
from dfp_platform.models.rejection import Criterion, Rejection, rejection
from dfp_platform.models.reliability import Reliability, reliability
from dfp_platform.models.scores import DIGITS, AreasUnderTime, FamilyRecall, Judge, SliceScores, Told
from dfp_platform.models.weights import Scorer

CURVE_POINTS = 200
RESAMPLES = 500

Curve = tuple[tuple[float, float], ...]


class ModelEvaluation(Record):
    """One model on the test. Figures and intervals are over all its seeds, see `scores`.

    Attributes:
        model: the model's name; `kind` is that of its network.
        threshold: the published model's calibrated threshold; trainings of other seeds have their own.
        seeds: of the trainings that were judged, the published one first.
        failed_seeds: seeds whose training failed.
        identity: of everything that decides this record; an equal one need not be computed again.
        overall: all test apps.
        unseen_packages: test apps whose package occurs nowhere in the past; `seen_packages` are the others.
        unseen_vectors: test apps whose feature vector occurs nowhere in the past; `seen_vectors` are the others.
        distinct: neither package nor vector is known, and each occurs once: the test without any duplicate.
        months: one entry a calendar month, oldest first; `quarters` likewise.
        over_months: areas under the figures of the months; `over_quarters` likewise.
        families: malware families by size, then name.
        roc: points (false positive rate, recall) of the published model, at most 200.
        precision_recall: points (recall, precision) of the published model, at most 200.
        reliability: calibration curve of the published model.
        drift_alarm: from the published model's reconstruction error; None for a model that has none.
        rejection: what the published model gains where it may leave apps to a person.
    """

    model: str
    kind: str
    threshold: float
    seeds: tuple[int, ...]
    failed_seeds: tuple[int, ...] = ()
    identity: str = ""
    overall: SliceScores
    unseen_packages: SliceScores
    seen_packages: SliceScores
    unseen_vectors: SliceScores
    seen_vectors: SliceScores
    distinct: SliceScores
    months: tuple[SliceScores, ...]
    quarters: tuple[SliceScores, ...]
    over_months: AreasUnderTime
    over_quarters: AreasUnderTime
    families: tuple[FamilyRecall, ...]
    roc: Curve
    precision_recall: Curve
    reliability: Reliability
    drift_alarm: DriftAlarm | None
    rejection: Rejection


class Evaluation(Record):
    """All models of one device, on the same test apps but for one that was split by hash: it has seen some of them.

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


class EvaluationReport(Record):
    """The evaluations of all devices that models were trained for; they are never mixed.

    Attributes:
        devices: by name.
        left_out: models that these apps cannot judge, and why.
    """

    devices: tuple[Evaluation, ...]
    left_out: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def found_in(cls, data: bytes | None) -> EvaluationReport | None:
        """The report in these bytes; None: there are none, or an earlier version of this program wrote them."""
        try:
            return cls.from_json(data) if data else None
        except CorruptLakeError:
            return None

    @property
    def models(self) -> dict[str, ModelEvaluation]:
        """Every model's evaluation, by its name."""
        return {judged.model: judged for device in self.devices for judged in device.models}

    def of(self, *names: str) -> Evaluation:
        """The evaluation of the first device that has all these models, of them alone.

        Raises:
            InputError: there is none, and why.
        """
        for device in self.devices:
            chosen = tuple(judged for judged in device.models if judged.model in names)
            if len(chosen) == len(names):
                return device.model_copy(update={"models": chosen})
        reasons = [f"{name}: {self.left_out[name]}" for name in names if name in self.left_out]
        raise InputError(
            f"{' and '.join(names)} were not judged: {'; '.join(reasons) or 'they were not there'}",
            hint="train them on these tables: dfp train",
        )


def evaluate(
    models: Mapping[str, Sequence[Scorer]], data: Parts, *, seed: int, resamples: int = RESAMPLES
) -> Evaluation:
    """Every model on the test slice of `data`; equal inputs give equal records.

    Args:
        models: name → loaded models (see `weights.load_model`) that differ by seed, the published one first.
        data: apps of one device; training and calibration tell what is known from what is new.
        seed: of the bootstrap resamples.
        resamples: how many, over all seeds of a model.

    Raises:
        InputError: there is no test app, or it lacks a column that a model was trained on.
    """
    judged = [evaluate_model(name, models[name], data, seed=seed, resamples=resamples) for name in sorted(models)]
    synthetic = any(model.card.synthetic for trained in models.values() for model in trained)
    return assembled(judged, data, synthetic=synthetic, seed=seed, resamples=resamples)


def assembled(
    judged: Sequence[ModelEvaluation], data: Parts, *, synthetic: bool, seed: int, resamples: int
) -> Evaluation:
    """The evaluation of a device out of those of its models. Raises InputError: there is no test app."""
    dates = _tested(data).dates
    known = dates[~np.isnat(dates)]
    return Evaluation(
        device=data.device,
        synthetic=synthetic,
        test_from=str(known.min()) if known.size else None,
        resamples=resamples,
        seed=seed,
        models=tuple(judged),
    )


def evaluate_model(
    name: str, models: Sequence[Scorer], data: Parts, *, seed: int, resamples: int = RESAMPLES, identity: str = ""
) -> ModelEvaluation:
    """One model, which is given once for each seed, the published one first; else as `evaluate`."""
    test, published = _tested(data), models[0]
    told = [_told(model, test) for model in models]
    judge = Judge.of(test.labels, told, resamples=resamples, seed=seed)
    known = duplicates(test, (data.training, data.calibration))
    months, over_months = judge.over_time("month", periods(test.dates, quarters=False))
    quarters, over_quarters = judge.over_time("quarter", periods(test.dates, quarters=True))
    roc, precision_recall = curves(Ranking.of(test.labels, told[0].scores), points=CURVE_POINTS)
    return ModelEvaluation(
        model=name,
        kind=published.card.kind,
        threshold=published.card.threshold,
        seeds=tuple(model.card.configuration.training.seed for model in models),
        identity=identity,
        **_slices(judge, known),
        months=months,
        quarters=quarters,
        over_months=over_months,
        over_quarters=over_quarters,
        families=judge.families(test.families),
        roc=_rounded(roc),
        precision_recall=_rounded(precision_recall),
        reliability=reliability(test.labels, told[0].scores, probability=_tells_probability(published)),
        drift_alarm=_drift_alarm(published, told[0], data, seed),
        rejection=_rejection(published, told[0], data),
    )


def periods(dates: NDArray[np.datetime64], *, quarters: bool) -> list[tuple[str, NDArray[np.int64]]]:
    """Name and rows of each month or quarter, oldest first; rows without a date are in none.

    Args:
        dates: of the apps, days or NaT.
    """
    months = dates.astype("datetime64[M]")
    starts = months - (months.astype(np.int64) % 3).astype("timedelta64[M]") if quarters else months
    found = np.unique(starts[~np.isnat(starts)])
    return [(_quarter_name(start) if quarters else str(start), np.flatnonzero(starts == start)) for start in found]


def _tested(data: Parts) -> TrainingData:
    if not len(data.test):
        raise InputError("no app is left for the test", hint="take a larger source, or cut the time earlier")
    return data.test


def _told(model: Scorer, apps: TrainingData) -> Told:
    answer = model.answer(apps.columns(model.card.features))
    return Told(answer.scores, model.label(answer.scores).astype(bool), answer.errors)


def _slices(judge: Judge, known: Duplicates) -> dict[str, Any]:
    masks = {
        "overall": ("all", np.ones_like(known.packages)),
        "unseen_packages": ("unseen packages", ~known.packages),
        "seen_packages": ("seen packages", known.packages),
        "unseen_vectors": ("unseen vectors", ~known.vectors),
        "seen_vectors": ("seen vectors", known.vectors),
        "distinct": ("no duplicates", known.distinct),
    }
    return {field: judge.slice(name, np.flatnonzero(mask)) for field, (name, mask) in masks.items()}


def _tells_probability(model: Scorer) -> bool:
    return model.card.kind in ("detector", "xgboost")


def _drift_alarm(model: Scorer, told: Told, data: Parts, seed: int) -> DriftAlarm | None:
    if told.errors is None or not len(data.calibration):
        return None
    past, test = _told(model, data.calibration), data.test
    assert past.errors is not None
    months = [
        (name, told.errors[rows], _f1(test.labels[rows], told.alarms[rows]))
        for name, rows in periods(test.dates, quarters=False)
    ]
    return drift_alarm(past.errors, months, usual_f1=_f1(data.calibration.labels, past.alarms), seed=seed)


def _f1(labels: NDArray[np.int8], alarms: NDArray[np.bool_]) -> float | None:
    rows = np.arange(len(labels), dtype=np.int64)
    measured = Scored.of(rows, labels, alarms.astype(np.float32), alarms).figures()
    return None if np.isnan(measured[2]) else float(measured[2])


def _rejection(model: Scorer, told: Told, data: Parts) -> Rejection:
    past = _told(model, data.calibration if len(data.calibration) else data.test)
    criterion: Criterion = "nearness to the threshold"
    if told.errors is not None and _tells_probability(model):
        criterion = "reconstruction error"
    return rejection(
        criterion,
        _doubts(criterion, past, model.card.threshold),
        _doubts(criterion, told, model.card.threshold),
        labels=data.test.labels,
        alarms=told.alarms,
    )


def _doubts(criterion: Criterion, told: Told, threshold: float) -> NDArray[np.float64]:
    if criterion == "reconstruction error" and told.errors is not None:
        return told.errors.astype(np.float64)
    return -np.abs(told.scores.astype(np.float64) - threshold)


def _quarter_name(first_month: np.datetime64) -> str:
    year, month = str(first_month).split("-")
    return f"{year}-Q{(int(month) + 2) // 3}"


def _rounded(points: list[tuple[float, float]]) -> Curve:
    return tuple((round(x, DIGITS), round(y, DIGITS)) for x, y in points)
