"""Does an artifact say what PyTorch says?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.metrics import Ranking, roc_auc
from dfp_platform.models.records import Record
from dfp_platform.models.weights import load_model

ABSOLUTE = 1e-5
RELATIVE = 1e-5
"""A figure ``b`` of the artifact and ``a`` of PyTorch agree if ``|a - b| <= ABSOLUTE + RELATIVE * |b|``."""

MINIMUM_ROWS = 10_000
_UNCOMPARABLE = float(np.finfo(np.float32).max)  # stands for a difference to NaN: JSON has no infinity
_OUTLIERS = 256


QUANTISED_LOSS = 0.02
"""ROC-AUC that an artifact of fewer bits may lose."""


class Parity(Record):
    """How far an artifact's scores and reconstruction errors are from PyTorch's.

    Attributes:
        artifact: the artifact's name.
        precision: its number format. Of ``fp32`` every figure has to agree; of fewer bits what changed is reported,
            and it passes if all its answers are numbers and its ranking is as good but for `QUANTISED_LOSS`.
        rows: rows compared, outliers among them.
        outliers: seeded rows beyond anything the data hold.
        largest_difference: largest ``|a - b|`` of two scores or two errors (no unit).
        share_of_tolerance: largest ``|a - b| / (ABSOLUTE + RELATIVE * |b|)``; at most 1 passes.
        flipped: rows whose label differs, each by its own threshold; in ``fp32`` none may.
        flipped_apps: such rows that are no outliers.
        roc_auc_change: of the rows that are no outliers, artifact less original; None without both labels.
        threshold: of the artifact; `original_threshold` of the model.
        passed: the verdict.
    """

    artifact: str
    precision: str
    rows: int
    outliers: int
    largest_difference: float
    share_of_tolerance: float
    flipped: int
    flipped_apps: int
    roc_auc_change: float | None
    threshold: float
    original_threshold: float
    passed: bool


def check_parity(
    weights: Mapping[str, bytes],
    artifact: MobileArtifact,
    matrix: NDArray[np.float32],
    *,
    labels: NDArray[np.int8] | None = None,
    seed: int,
) -> Parity:
    """Answers of `artifact` against those of the model it was made from, on the given rows and on seeded outliers.

    Args:
        weights: files of the model, see `models.weights`.
        artifact: what was exported from them.
        matrix: raw feature values, shape ``(apps, features)``; outliers bring the comparison to at least 10,000 rows.
        labels: of these rows, shape ``(apps,)``, 1 is malware; None: unknown.
        seed: of the outliers.
    """
    extremes = outliers(matrix, rows=max(_OUTLIERS, MINIMUM_ROWS - len(matrix)), seed=seed)
    rows = np.concatenate([matrix, extremes])
    model, runtime = load_model(weights), EXPORTERS[artifact.card.exporter].load(artifact)
    wanted, told = model.answer(rows), runtime.answer(rows)
    expected = np.concatenate([wanted.scores, wanted.known_errors])
    actual = np.concatenate([told.scores, told.known_errors])
    difference = np.abs(expected.astype(np.float64) - actual)
    share = difference / (ABSOLUTE + RELATIVE * np.abs(actual))
    flips = model.label(wanted.scores) != runtime.label(told.scores)
    apps = slice(0, len(matrix))
    change = _roc_auc_change(labels, wanted.scores[apps], told.scores[apps])
    finite = bool(np.all(np.isfinite(actual)))
    exact = finite and not flips.any() and bool(np.all(share <= 1))
    close = finite and (change is None or change >= -QUANTISED_LOSS)
    return Parity(
        artifact=artifact.card.name,
        precision=artifact.card.precision,
        rows=len(rows),
        outliers=len(extremes),
        largest_difference=float(np.nan_to_num(difference, nan=_UNCOMPARABLE).max()),
        share_of_tolerance=float(np.nan_to_num(share, nan=_UNCOMPARABLE).max()),
        flipped=int(np.count_nonzero(flips)),
        flipped_apps=int(np.count_nonzero(flips[apps])),
        roc_auc_change=change,
        threshold=artifact.card.threshold,
        original_threshold=model.card.threshold,
        passed=exact if artifact.card.precision == "fp32" else close,
    )


def _roc_auc_change(
    labels: NDArray[np.int8] | None, wanted: NDArray[np.float32], told: NDArray[np.float32]
) -> float | None:
    if labels is None:
        return None
    before, after = (roc_auc(*Ranking.of(labels, scores).counts()) for scores in (wanted, told))
    return None if before is None or after is None else round(after - before, 6)


def outliers(matrix: NDArray[np.float32], *, rows: int, seed: int) -> NDArray[np.float32]:
    """Rows that stretch the data, shape ``(rows, features)``.

    Each is a row of `matrix` (or of zeros) with features multiplied by up to a million, made unknown, or negative.
    """
    random = np.random.default_rng(seed)
    base = matrix if len(matrix) else np.zeros((1, matrix.shape[1]), dtype=np.float32)
    stretched = base[random.integers(len(base), size=rows)].copy()
    touched = random.random(stretched.shape) < random.choice([0.01, 0.1, 0.5], size=(rows, 1))
    factors = (10.0 ** random.uniform(0, 6, size=stretched.shape)).astype(np.float32)
    stretched[touched] = (stretched[touched] + 1) * factors[touched]
    stretched[random.random(stretched.shape) < 0.005] = np.nan
    stretched[random.random(stretched.shape) < 0.005] = -1
    return stretched
