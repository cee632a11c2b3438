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


def leaderboard_plots(evaluation: Mapping[str, Any]) -> Plots:
    """Areas under the months and F1 by quarter of a `models.evaluation.Evaluation`, as JSON."""
    from dfp_platform.reports.figures import over_time_chart
    from dfp_platform.reports.leaderboard import areas_chart, styled

    models, device = styled(evaluation["models"]), evaluation["device"].replace("_", " ")
    by_quarter = over_time_chart(models, "f1", "F1", period="quarter")
    return {
        f"AUT, {device}": _shown(areas_chart(models), "areas under the months"),
        f"F1 by quarter, {device}": _shown(by_quarter, "F1 by quarter"),
    }


def latency_plot(rows: Sequence[Mapping[str, Any]]) -> Plots:
    """Latency bars of `mobile.benchmark.LatencyRow` records."""
    from dfp_platform.reports.figures import latency_chart

    return {"latency": _shown(latency_chart(rows), "microseconds for one app")}


def benchmark_plots(rows: Sequence[Mapping[str, Any]]) -> Plots:
    """Latency bars of `mobile.row.BenchmarkRow` records, a chart a model."""
    from dfp_platform.reports.phones import benchmark_chart

    models = dict.fromkeys(row["model"] for row in rows)
    charts = {model: benchmark_chart([row for row in rows if row["model"] == model]) for model in models}
    return {f"latency, {model}": _shown(chart, "microseconds for one app") for model, chart in charts.items()}


def _shown(chart: Any, title: str) -> dg.MarkdownMetadataValue:
    from dfp_platform.reports.standalone import as_markdown

    return dg.MetadataValue.md(as_markdown(chart, title=title))
