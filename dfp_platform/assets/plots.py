"""Charts of the reports as asset metadata: small ones that an asset's page shows at once, large ones behind a click."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from dfp_platform.models.champions import Reign

Json = Mapping[str, Any]
Plots = Mapping[str, dg.MarkdownMetadataValue]

LARGE = ", large"
"""What the label of a large chart ends in."""


def shown(chart: Any, label: str) -> Plots:
    """A `reports.charts.Chart` under a label, twice: as a thumbnail, and large."""
    from dfp_platform.reports.standalone import as_markdown
    from dfp_platform.reports.thumbnails import thumbnail

    return {
        label: dg.MetadataValue.md(thumbnail(chart, title=label)),
        f"{label}{LARGE}": dg.MetadataValue.md(as_markdown(chart, title=label)),
    }


def training_plots(history: Sequence[tuple[float, float]], judged: Json | None) -> Plots:
    """ROC curve of a `models.evaluation.ModelEvaluation` as JSON, if there is one, and the losses of the training."""
    from dfp_platform.reports.figures import roc_chart
    from dfp_platform.reports.training_plots import loss_chart

    ranked = shown(roc_chart([judged]), "ROC curve") if judged and judged["roc"] else {}
    return {**ranked, **(shown(loss_chart(history), "loss by epoch") if history else {})}


def evaluation_plots(evaluation: Json) -> Plots:
    """ROC-AUC by month and ROC curves of a `models.evaluation.Evaluation`, as JSON."""
    from dfp_platform.reports.figures import over_time_chart, roc_chart

    models, device = evaluation["models"], _device(evaluation)
    by_month = shown(over_time_chart(models, "roc_auc", "ROC-AUC"), f"ROC-AUC by month, {device}")
    return {**by_month, **shown(roc_chart(models), f"ROC curves, {device}")}


def leaderboard_plots(evaluation: Json) -> Plots:
    """Areas under the months and F1 by quarter of a `models.evaluation.Evaluation`, as JSON."""
    from dfp_platform.reports.figures import over_time_chart
    from dfp_platform.reports.leaderboard import areas_chart, styled

    models, device = styled(evaluation["models"]), _device(evaluation)
    by_quarter = over_time_chart(models, "f1", "F1", period="quarter")
    return {**shown(areas_chart(models), f"AUT, {device}"), **shown(by_quarter, f"F1 by quarter, {device}")}


def budget_plots(curves: Iterable[Json]) -> Plots:
    """Areas under the quarters over the share that is labelled, of `models.label_budget.LabelBudget`, as JSON."""
    from dfp_platform.reports.leaderboard import budget_chart

    charts = {curve["model"]: budget_chart(curve) for curve in curves}
    return {label: plot for name, chart in charts.items() for label, plot in shown(chart, f"labels, {name}").items()}


def study_plots(study: Json) -> Plots:
    """The best value that each preset had found after each trial, of a `models.studies.Study`, as JSON."""
    from dfp_platform.reports.study_page import best_over_trials

    return shown(best_over_trials(study["presets"]), "best value over trials")


def champion_plot(reigns: Iterable["Reign"]) -> Plots:
    """Average precision of champions and of those they were compared with last; of the others only the name."""
    rows: list[tuple[str, float, str]] = []
    for reign in reigns:
        compared = reign.challenger.difference if reign.challenger else reign.difference
        if compared is None:
            rows.append((reign.model, 0.0, reign.why))
            continue
        rows.append((f"{reign.model}, before", compared.reigning, f"{compared.reigning:.3f}"))
        rows.append((f"{reign.model}, new", compared.candidate, f"{compared.candidate:.3f}"))
    return _bars("average precision", rows)


def size_plot(artifact: int, weights: int) -> Plots:
    """Bytes of an exported model beside those of the weights it was made from."""
    sizes = {"weights": weights, "for phones": artifact}
    return _bars("size", [(name, float(size), f"{size / 1e3:,.0f} kB") for name, size in sizes.items()])


def card_plot(judged: Mapping[str, Json | None]) -> Plots:
    """ROC-AUC of every model that was judged, a `models.evaluation.ModelEvaluation` as JSON each."""
    areas = {name: told["overall"]["roc_auc"] or 0.0 for name, told in judged.items() if told}
    return _bars("ROC-AUC", [(name, area, f"{area:.3f}") for name, area in areas.items()])


def apps_plots(dataset: Json) -> Plots:
    """Benign apps and malware of each device over time, from what `reports.describe_dataset` gives."""
    from dfp_platform.reports.figures import apps_chart, by_period

    plots: dict[str, dg.MarkdownMetadataValue] = {}
    for device in (told["device"] for told in dataset["devices"]):
        period, counts = by_period(dataset["periods"], device)
        name = device.replace("_", " ")
        plots |= shown(apps_chart(period, counts, name), f"apps by {period}, {name}")
    return plots


def latency_plot(rows: Sequence[Json]) -> Plots:
    """Latency bars of `mobile.benchmark.LatencyRow` records."""
    from dfp_platform.reports.figures import latency_chart

    return shown(latency_chart(rows), "latency")


def benchmark_plots(rows: Sequence[Json]) -> Plots:
    """Latency bars of `mobile.row.BenchmarkRow` records, a chart a device and model."""
    from dfp_platform.reports.phones import benchmark_chart

    plots: dict[str, dg.MarkdownMetadataValue] = {}
    for device, model in dict.fromkeys((row["device"], row["model"]) for row in rows):
        own = [row for row in rows if (row["device"], row["model"]) == (device, model)]
        plots |= shown(benchmark_chart(own), f"latency, {model}, {device}")
    return plots


def traffic_plots(report: Json) -> Plots:
    """Scores of live traffic, of a `serving.traffic.TrafficReport` as JSON."""
    from dfp_platform.reports.traffic import scores_chart

    return shown(scores_chart(report), "scores of live traffic")


def _bars(label: str, rows: Sequence[tuple[str, float, str]]) -> Plots:
    from dfp_platform.reports.thumbnails import bar_thumbnail

    return {label: dg.MetadataValue.md(bar_thumbnail(rows, title=label))} if rows else {}


def _device(evaluation: Json) -> str:
    return evaluation["device"].replace("_", " ")
