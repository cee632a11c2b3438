"""A network as one artifact of a runtime and a precision; a quantised one gets a threshold of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.calibration import alarm_threshold
from dfp_platform.models.parts import Parts

LEARNT_ROWS = 512
"""Training apps, evenly spread in time, from which static quantisation learns its scales."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Raw rows that quantisation is adjusted by, shape ``(apps, features)`` each.

    Attributes:
        training: apps the model was fitted on.
        benign: later benign apps, which no scale was learnt from: they set the threshold.
        false_positive_rate: share of these that may raise an alarm.
    """

    training: NDArray[np.float32]
    benign: NDArray[np.float32]
    false_positive_rate: float


def calibration_of(apps: Parts, *, false_positive_rate: float) -> Calibration:
    """The rows of a model's own split; the test takes no part."""
    training = apps.training.matrix
    chosen = np.linspace(0, len(training) - 1, min(LEARNT_ROWS, len(training))).round().astype(int)
    return Calibration(training[chosen], apps.calibration.benign.matrix, false_positive_rate)


def export(
    files: Mapping[str, bytes], *, exporter: str, precision: str = "fp32", calibration: Calibration | None = None
) -> MobileArtifact:
    """The network with these files (see `models.weights`) as an artifact.

    Args:
        exporter: key of `EXPORTERS`.
        precision: one that it has.
        calibration: rows of the model's split; needed by 8 bits, which change scores, and so the threshold.

    Raises:
        InputError: the exporter lacks the precision, rows are wanted and there are none, or the model is no network.
        ConfigurationError: the exporter's libraries are not installed.
    """
    chosen = EXPORTERS[exporter]
    if precision not in chosen.precisions:
        raise InputError(
            f"{chosen.runtime} has no artifacts of precision {precision}",
            hint=f"choose from: {', '.join(chosen.precisions)}",
        )
    if not precision.startswith("int8"):
        return chosen.export(files, precision=precision)
    if calibration is None:
        raise InputError(f"{precision} needs apps to be calibrated by", hint="give those of the model's own split")
    made = chosen.export(files, precision=precision, rows=calibration.training)
    scores = chosen.load(made).score(calibration.benign)
    threshold = alarm_threshold(scores, false_positive_rate=calibration.false_positive_rate)
    return replace(made, card=made.card.model_copy(update={"threshold": threshold}))
