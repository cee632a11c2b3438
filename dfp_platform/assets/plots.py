"""Charts of the report as asset metadata, so that they show on the asset's page."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

Plots = Mapping[str, dg.MarkdownMetadataValue]


def evaluation_plots(evaluation: Mapping[str, Any]) -> Plots:
    """ROC curves and ROC-AUC by month of a `models.evaluation.Evaluation`, as JSON."""
    from dfp_platform.reports.figures import over_time_chart, roc_chart

    models, device = evaluation["models"], evaluation["device"].replace("_", " ")
    return {
        f"ROC curves, {device}": _shown(roc_chart(models), "ROC curves"),
        f"ROC-AUC by month, {device}": _shown(over_time_chart(models, "roc_auc", "ROC-AUC"), "ROC-AUC by month"),
    }


def latency_plot(rows: Sequence[Mapping[str, Any]]) -> Plots:
    """Latency bars of `mobile.benchmark.LatencyRow` records."""
    from dfp_platform.reports.figures import latency_chart

    return {"latency": _shown(latency_chart(rows), "microseconds for one app")}


def _shown(chart: Any, title: str) -> dg.MarkdownMetadataValue:
    from dfp_platform.reports.standalone import as_markdown

    return dg.MetadataValue.md(as_markdown(chart, title=title))
