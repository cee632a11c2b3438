"""What is wrong with features before anyone trains on them or is served them: too old, missing, drifted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.features.repository import EVENT_TIME, TABLE
from dfp_platform.features.vectors import features_at
from dfp_platform.lake.interface import Lake
from dfp_platform.models.data import feature_matrix
from dfp_platform.models.drift import FeatureDrift, feature_drift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEVICE = "real_device"
"""Whose apps are served."""

OLDER = 0.5
"""Share of a device's apps, the oldest, that stands for what models are trained on."""

NEWEST = 0.1
"""Share of a device's apps, the newest, that is held against it."""

MISSING_RISE = 0.1
"""By how much the share of apps without a value may grow, of any feature, from one publication to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedFeatures:
    """The feature vectors of one device, oldest first.

    Attributes:
        features: names of the columns.
        matrix: float32 of shape ``(apps, features)``; NaN where a value is missing.
        newest: when the newest app's features were true, UTC.
        written: when the lake's table took the content that it has.
    """

    features: tuple[str, ...]
    matrix: NDArray[np.float32]
    newest: datetime
    written: datetime

    @property
    def missing(self) -> dict[str, float]:
        """Share of apps without a value, by feature."""
        return dict(zip(self.features, np.isnan(self.matrix).mean(axis=0).tolist(), strict=True))


def served_features(lake: Lake, ref: str, *, device: str = DEVICE, table: str = TABLE) -> ServedFeatures:
    """The features of a device's apps at a ref.

    Raises:
        NotFoundError: no such ref. InputError: the device has no app with a date there.
    """
    from dfp_platform.catalog import scan
    from dfp_platform.catalog.names import pointer_path

    commit, name = lake.resolve(ref), tuple(table.split("."))
    features = features_at(lake, commit, table)
    rows = scan(lake, commit, name, columns=(EVENT_TIME, *features), row_filter=f"device == '{device}'")
    days = rows[EVENT_TIME].cast("date32").to_numpy().astype("datetime64[D]")
    known = np.sort(days[~np.isnat(days)])
    if not len(known):
        raise InputError(
            f"{table} has no dated app of device {device!r}", hint="land its rows", file=table, column=EVENT_TIME
        )
    matrix = feature_matrix(rows, features)[np.argsort(days, kind="stable")]  # without a date: last
    newest = datetime.combine(known[-1].item(), time(), UTC)
    return ServedFeatures(features, matrix, newest, written=lake.provenance(commit, pointer_path(name)).time)


def missing_before(lake: Lake, ref: str, *, device: str = DEVICE, table: str = TABLE) -> dict[str, float]:
    """Share of apps without a value, by feature, as it is published at a ref; empty: no app is."""
    from dfp_platform.catalog.names import pointer_path

    try:
        if lake.exists(ref, pointer_path(tuple(table.split(".")))):
            return served_features(lake, ref, device=device, table=table).missing
    except (NotFoundError, InputError):  # no such ref, or apps of another device alone
        pass
    return {}


def missing_rise(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """By how much the share without a value has grown, of the features that both have; the worst first."""
    grown = {name: share - before[name] for name, share in now.items() if share > before.get(name, share)}
    return dict(sorted(grown.items(), key=lambda one: (-one[1], one[0])))


def newest_drift(matrix: NDArray[np.float32], features: Sequence[str]) -> FeatureDrift:
    """Drift of the newest apps against the older ones, of rows that lie oldest first; see `OLDER` and `NEWEST`.

    Raises:
        CalibrationError: too few apps for either.
    """
    older, newest = int(len(matrix) * OLDER), int(len(matrix) * NEWEST)
    return feature_drift(matrix[:older], matrix[len(matrix) - newest :], features)


def age_in_days(then: datetime, now: datetime) -> float:
    """Days from one moment to another; never below 0, also if a clock is behind."""
    return max(0.0, (now - then).total_seconds() / 86_400)
