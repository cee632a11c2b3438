"""Whether a model still sees what it was trained on: one score over live traffic and the newest apps, without labels.

The score is the largest of these figures, each within 0 and 1, of each side that is compared:

- the share of the model's features whose population stability index is beyond its limit (`models.drift`), and
- the rise of reconstruction errors, the most by which the share of apps beyond an error has grown (Smirnov's one-sided
  statistic), for a model that has errors. Apps that are easier to reproduce than those of the past raise no score.

Features are held against the apps that the model was fitted on; errors against those that calibrated it, as a network
reproduces what it was fitted on better than anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dfp_platform.catalog import content_at
from dfp_platform.errors import InputError
from dfp_platform.features.quality import NEWEST
from dfp_platform.models.drift import cumulative_shares, evenly, feature_drift, largest_rise
from dfp_platform.models.records import Record
from dfp_platform.models.scores import DIGITS
from dfp_platform.serving.prediction_files import feature_names
from dfp_platform.serving.traffic import MovedFeature, answering, answers_of, moved_features, raw_values
from dfp_platform.serving.versions import reign_at, versions

if TYPE_CHECKING:
    import pyarrow as pa

    from dfp_platform.lake import Lake
    from dfp_platform.models.data import TrainingData
    from dfp_platform.models.parts import Parts
    from dfp_platform.models.weights import Scorer
    from dfp_platform.schemas import CommitId

FEWEST_APPS = 100
"""A side of fewer apps is not judged. By chance errors of 100, held against 300, rise by 0.18 in 1 % of looks."""

CUTS = 40
"""Reconstruction errors at which cumulative shares are told, for the page."""

SideName = Literal["live traffic", "newest apps"]


class DriftSide(Record):
    """Apps that a model has not seen, held against its training.

    Attributes:
        name: where they come from.
        apps: how many; `first` and `last` are their days, of the answer or of the app.
        drifted: share of the features beyond their limit; None: not judged, as `reason` says.
        moved: those features, the worst first.
        error_rise: of the reconstruction errors against the calibration's; None: the model has none.
        errors: cumulative share at each of the report's `error_cuts`.
        score: the larger of the two figures; None: not judged.
    """

    name: SideName
    apps: int
    first: str = ""
    last: str = ""
    drifted: float | None = None
    moved: tuple[MovedFeature, ...] = ()
    error_rise: float | None = None
    errors: tuple[float, ...] = ()
    score: float | None = None
    reason: str = ""


class DriftReport(Record):
    """How far what a standing model sees now lies from what it was trained on.

    Attributes:
        model: the model's noun.
        version: counts its versions in the lake, from 1; None: the lake has no data tag of it.
        content: content id of its files.
        trained_at: commit of the lake at which its training's inputs stand.
        data: content id of the training table that the newest apps are of.
        data_commit: commit that wrote that table.
        score: the largest score of a side; None: no side could be judged.
        limit: from which score on a retraining is launched.
        features: of the model.
        trained_rows: apps that the model was fitted on; `calibration_rows` calibrated it.
        sides: live traffic and the newest apps.
        error_cuts: reconstruction errors at which cumulative shares are told; `errors` are those of the calibration.
    """

    model: str
    version: int | None
    content: str
    trained_at: str
    data: str
    data_commit: str
    score: float | None
    limit: float
    features: int
    trained_rows: int
    calibration_rows: int
    sides: tuple[DriftSide, ...]
    error_cuts: tuple[float, ...]
    errors: tuple[float, ...]
    synthetic: bool

    @property
    def drifted(self) -> bool:
        """Whether the score has reached the limit."""
        return self.score is not None and self.score >= self.limit


@dataclass(frozen=True, slots=True)
class StandingModel:
    """The version of a model that reigns, else the one that stands on the branch; fields as in `DriftReport`."""

    name: str
    version: int | None
    content: str
    commit: CommitId


@dataclass(frozen=True, slots=True)
class Apps:
    """Apps of one side: their raw values in the model's order of features, and their days."""

    name: SideName
    matrix: NDArray[np.float32]
    days: NDArray[np.datetime64]


def standing_model(lake: Lake, ref: str, name: str) -> StandingModel | None:
    """Which version of a model a drift report is about; None: none lies at the ref."""
    standing = content_at(lake, ref, f"models/{name}")
    if not standing:
        return None
    reign, known = reign_at(lake, ref, name), {version.content: version for version in versions(lake, name)}
    champion = known.get(reign.content) if reign else None
    if champion is not None:
        return StandingModel(name, champion.number, champion.content, champion.commit)
    number = known[standing].number if standing in known else None
    return StandingModel(name, number, standing, lake.provenance(ref, f"models/{name}/card.json").id)


def newest_apps(apps: TrainingData, features: tuple[str, ...]) -> Apps:
    """The newest tenth of the apps of a device, by their dates. Raises InputError: they lack a feature."""
    newest = apps.take(slice(len(apps) - int(len(apps) * NEWEST), len(apps)))
    return Apps("newest apps", newest.columns(features), newest.dates)


def live_apps(rows: pa.Table, features: tuple[str, ...]) -> Apps:
    """The apps of logged predictions that the model answering most was asked about.

    Raises:
        CalibrationError: no champion has answered. InputError: they were asked with other features than these.
    """
    mine = answers_of(rows, answering(rows))
    names = feature_names(mine, mine["schema"][0].as_py())
    places = {name: at for at, name in enumerate(names)}
    if missing := [name for name in features if name not in places]:
        raise InputError(
            f"live traffic was asked without the feature {missing[0]}", hint="ask with every feature", column=missing[0]
        )
    matrix = raw_values(mine, len(names))[:, [places[name] for name in features]]
    return Apps("live traffic", matrix, mine["time"].cast("int64").to_numpy().astype("datetime64[us]"))


def drift_report(
    standing: StandingModel,
    model: Scorer,
    trained: Parts,
    sides: Mapping[SideName, Apps | str],
    *,
    data: tuple[str, CommitId],
    limit: float,
) -> DriftReport:
    """The score of a standing model over the sides that can be judged.

    Args:
        model: that version, loaded.
        trained: the apps as its training saw them.
        sides: the apps of each, or why there are none.
        data: content id of the training table that the newest apps are of, and the commit that wrote it.
        limit: from which score on a retraining is launched.
    """
    features = model.card.features
    calibration = _errors(model, trained.calibration.columns(features))
    cuts = _cuts(calibration)
    fitted = trained.training.columns(features)
    told = [_side(name, apps, model, fitted, calibration, cuts) for name, apps in sides.items()]
    return DriftReport(
        model=standing.name,
        version=standing.version,
        content=standing.content,
        trained_at=standing.commit,
        data=data[0],
        data_commit=data[1],
        score=max((side.score for side in told if side.score is not None), default=None),
        limit=limit,
        features=len(features),
        trained_rows=len(trained.training),
        calibration_rows=len(trained.calibration),
        sides=tuple(told),
        error_cuts=_rounded(cuts),
        errors=() if calibration is None else _rounded(cumulative_shares(calibration, cuts)),
        synthetic=model.card.synthetic,
    )


def _side(
    name: SideName,
    apps: Apps | str,
    model: Scorer,
    fitted: NDArray[np.float32],
    calibration: NDArray[np.float32] | None,
    cuts: NDArray[np.float32],
) -> DriftSide:
    if isinstance(apps, str):
        return DriftSide(name=name, apps=0, reason=apps)
    known = np.sort(apps.days[~np.isnat(apps.days)]).astype("datetime64[D]")
    days = {"first": str(known[0]), "last": str(known[-1])} if known.size else {}
    if len(apps.matrix) < FEWEST_APPS:
        return DriftSide(name=name, apps=len(apps.matrix), reason=f"fewer than {FEWEST_APPS} apps tell nothing", **days)
    moved = feature_drift(fitted, apps.matrix, model.card.features)
    errors = _errors(model, apps.matrix)
    rise = None if errors is None or calibration is None else round(largest_rise(calibration, errors), DIGITS)
    share = round(moved.share, DIGITS)
    return DriftSide(
        name=name,
        apps=len(apps.matrix),
        drifted=share,
        moved=moved_features(moved),
        error_rise=rise,
        errors=() if errors is None else _rounded(cumulative_shares(errors, cuts)),
        score=max(share, rise or 0.0),
        **days,
    )


def _errors(model: Scorer, matrix: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Reconstruction errors of apps; None: there are no apps, or the model has no errors."""
    return model.answer(evenly(matrix)).errors if len(matrix) else None


def _cuts(errors: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Errors at which shares are told: evenly apart, from 0 to a quarter beyond all but a hundredth of these."""
    if errors is None:
        return np.empty(0, dtype=np.float32)
    return np.linspace(0.0, float(np.quantile(errors, 0.99)) * 1.25, CUTS, dtype=np.float32)


def _rounded(values: NDArray[np.float32] | NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), DIGITS) for value in values)
