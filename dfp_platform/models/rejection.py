"""The rejection option: a model that may say "ask a person" about some apps, and what that buys.

Source: Barbero et al., Transcending TRANSCEND: Revisiting Malware Classification in the Presence of Concept Drift,
    IEEE S&P (2022): apps unlike those of the training are not decided.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.records import Record
from dfp_platform.models.scores import figure

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Shares of the calibration apps that may be left to a person."""

Criterion = Literal["reconstruction error", "nearness to the threshold"]


class Rejected(Record):
    """What a budget of rejections leaves.

    Attributes:
        allowed: share of the calibration apps that the rule rejects; it was fixed on them.
        rejected: share of the test apps it rejects; more, where they have drifted.
        f1: of the apps that are kept; likewise the two rates.
    """

    allowed: float
    rejected: float | None
    f1: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None


class Rejection(Record):
    """One model with the rejection option.

    Attributes:
        criterion: which apps are rejected first: those it reproduces worst, or, for a model whose score is that error
            or which has none, those whose score is nearest to the threshold.
        budgets: by rising share.
    """

    criterion: Criterion
    budgets: tuple[Rejected, ...]


def rejection(
    criterion: Criterion,
    past: NDArray[np.float64],
    doubts: NDArray[np.float64],
    *,
    labels: NDArray[np.int8],
    alarms: NDArray[np.bool_],
) -> Rejection:
    """What is left of the test under each budget.

    Args:
        criterion: what doubts are.
        past: doubts about the calibration apps, shape ``(apps,)``, never empty: the more, the sooner rejected.
        doubts: about the test apps; likewise `labels` and `alarms`, each of shape ``(apps,)``.
    """
    budgets = []
    for allowed in SHARES:
        limit = np.quantile(past, 1 - allowed) if allowed else np.inf
        kept = doubts <= limit
        malware, raised = labels[kept] == 1, alarms[kept]
        found, false = int((malware & raised).sum()), int((~malware & raised).sum())
        budgets.append(
            Rejected(
                allowed=allowed,
                rejected=_share(int((~kept).sum()), len(kept)),
                f1=_share(2 * found, found + false + int(malware.sum())) if malware.any() else None,
                true_positive_rate=_share(found, int(malware.sum())),
                false_positive_rate=_share(false, int((~malware).sum())),
            )
        )
    return Rejection(criterion=criterion, budgets=tuple(budgets))


def _share(part: int, whole: int) -> float | None:
    return figure(part / whole) if whole else None
