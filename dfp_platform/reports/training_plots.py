"""What a training looked like, as SVG documents that stand alone: for MLflow's artifacts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.metrics import Ranking, curves
from dfp_platform.reports.axes import Axis, linear_axis
from dfp_platform.reports.charts import Chart, Series, line_chart
from dfp_platform.reports.figures import distribution_chart, precision_recall_chart, roc_chart
from dfp_platform.reports.standalone import standalone_svg
from dfp_platform.reports.summaries import score_distribution

_POINTS = 200


def loss_plot(history: Sequence[tuple[float, float]]) -> dict[str, str]:
    """Training and calibration loss of each epoch (or boosting round), by file name."""
    return {"loss.svg": standalone_svg(loss_chart(history))} if history else {}


def detection_plots(
    model: str, scores: NDArray[np.float32], labels: NDArray[np.int8], *, threshold: float
) -> dict[str, str]:
    """ROC curve, precision over recall, and the spread of scores on the test, by file name.

    Args:
        model: the model's name.
        scores: within 0 and 1, shape ``(apps,)``, at least one.
        labels: 1 is malware; curves need both labels.
        threshold: the score above which an app raises an alarm.
    """
    plots = {"scores.svg": distribution_chart(score_distribution(model, scores, labels, threshold=threshold))}
    roc, precision_recall = curves(Ranking.of(labels, scores), points=_POINTS)
    if roc:
        told = [{"model": model, "roc": roc, "precision_recall": precision_recall}]
        plots |= {"roc.svg": roc_chart(told), "precision_recall.svg": precision_recall_chart(told)}
    return {name: standalone_svg(chart) for name, chart in plots.items()}


def loss_chart(history: Sequence[tuple[float, float]]) -> Chart:
    """Training and calibration loss of each epoch (or boosting round), of which there is at least one."""
    epochs = [float(epoch) for epoch in range(1, len(history) + 1)]
    training, calibration = zip(*history, strict=True)
    series = [
        Series("training", "model-0", list(zip(epochs, training, strict=True))),
        Series("calibration", "model-1", list(zip(epochs, calibration, strict=True))),
    ]
    known = [loss for pair in history for loss in pair]
    ticks = linear_axis("epoch", 1, max(epochs[-1], 2.0)).ticks
    across = Axis("epoch", 1.0, max(epochs[-1], 2.0), tuple(t for t in ticks if 1 <= t[0] <= max(epochs[-1], 2.0)))
    return line_chart(series, x=across, y=linear_axis("loss", min(known), max(known)), title="Loss by epoch")
