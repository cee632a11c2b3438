"""The report's charts, from the records of `ReportInputs`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from dfp_platform.reports.axes import Axis, linear_axis, log_axis, share_axis
from dfp_platform.reports.charts import Chart, Series, bar_chart, column_chart, histogram, line_chart
from dfp_platform.reports.inputs import Json

LABELS = (("benign", "benign"), ("malware", "malware"))
FEWEST_YEARS = 4
"""With fewer years in the data than this, months tell more."""

PERCENTILES = (("p50", "p50"), ("p90", "p90"), ("p99", "p99"))


def model_style(position: int) -> str:
    """The style class of the model at this position of the evaluation."""
    return f"model-{position % 8}"


def by_period(months: Sequence[Json], device: str) -> tuple[str, list[Json]]:
    """Counts of one device by year, or by month where that would show a column or two; and the word for it."""
    own = [entry for entry in months if entry["device"] == device]
    years = sorted({entry["month"][:4] for entry in own})
    if len(years) < FEWEST_YEARS:
        return "month", [{**entry, "name": entry["month"]} for entry in own]
    sums = {year: Counter[str]() for year in years}
    for entry in own:
        sums[entry["month"][:4]].update({name: entry[name] for _, name in LABELS})
    return "year", [{"name": year, **{name: counts[name] for _, name in LABELS}} for year, counts in sums.items()]


def apps_chart(period: str, counts: Sequence[Json], device: str) -> Chart:
    """Benign apps and malware of one device by period, stacked."""
    tallest = max((entry["benign"] + entry["malware"] for entry in counts), default=1)
    layers = [
        Series(name, style, [(float(i), float(entry[name])) for i, entry in enumerate(counts)])
        for style, name in LABELS
    ]
    names = [entry["name"] for entry in counts]
    y, label = linear_axis("apps", 0, tallest), f"{period} of the newest file"
    return column_chart(names, layers, y=y, x_label=label, title=f"Apps by {period}, {device}")


def malware_share_chart(period: str, counts: Sequence[Json], device: str) -> Chart:
    """Share of malware of one device by period: where it jumps, a model learns the date."""
    points = [(float(i), entry["malware"] / (entry["benign"] + entry["malware"])) for i, entry in enumerate(counts)]
    x = names_axis([entry["name"] for entry in counts], f"{period} of the newest file")
    y = _room_for([share for _, share in points], "share of malware")
    series = [Series("share of malware", "malware", points, markers=True)]
    return line_chart(series, x=x, y=y, title=f"Share of malware by {period}, {device}")


def roc_chart(models: Sequence[Json]) -> Chart:
    """Recall over false positive rate, every model."""
    series = [Series(m["model"], model_style(i), [tuple(p) for p in m["roc"]]) for i, m in enumerate(models)]
    x, y = share_axis("false positive rate"), share_axis("recall (true positive rate)")
    return line_chart(series, x=x, y=y, title="ROC curves", diagonal=True)


def precision_recall_chart(models: Sequence[Json]) -> Chart:
    """Precision over recall, every model."""
    series = [
        Series(m["model"], model_style(i), [tuple(p) for p in m["precision_recall"]]) for i, m in enumerate(models)
    ]
    return line_chart(series, x=share_axis("recall"), y=share_axis("precision"), title="Precision and recall")


def over_time_chart(
    models: Sequence[Json], figure: str, label: str, *, period: Literal["month", "quarter"] = "month"
) -> Chart:
    """One figure of every model period by period; a period that cannot give it is a gap."""
    names = [entry["name"] for entry in models[0][f"{period}s"]] if models else []
    series = [
        Series(m["model"], model_style(i), [(float(j), e[figure]) for j, e in enumerate(m[f"{period}s"])], markers=True)
        for i, m in enumerate(models)
    ]
    y = _room_for([y for one in series for _, y in one.points if y is not None], label)
    return line_chart(series, x=names_axis(names, f"{period} of the newest file"), y=y, title=f"{label} by {period}")


def distribution_chart(spread: Json) -> Chart:
    """Shares of benign apps and of malware by score, and the threshold between quiet and alarm."""
    edges = spread["edges"]
    layers = [Series(name, style, _shares(spread[name])) for style, name in LABELS]
    tallest = max((y for layer in layers for _, y in layer.points if y), default=1.0)
    x = (
        log_axis("score", edges[0], edges[-1])
        if spread["scale"] == "log"
        else _exact_axis("score", edges[0], edges[-1])
    )
    mark = (spread["threshold"], f"threshold {spread['threshold']:.4g}")
    title = f"Scores of {spread['model']}"
    return histogram(edges, layers, x=x, y=linear_axis("share of the class", 0, tallest), mark=mark, title=title)


def latency_chart(rows: Sequence[Json]) -> Chart:
    """Microseconds for one app at p50, p90 and p99, every runtime."""
    bars = [(f"{row['runtime']} · {row['model']}", [row[f"{name}_us"] for _, name in PERCENTILES]) for row in rows]
    values = [value for _, some in bars for value in some]
    top, least = max(values, default=1.0), min(values, default=1.0)
    x = _bar_axis(least, top)
    return bar_chart(bars, PERCENTILES, x=x, title="Latency of one app", unit="µs")


def _room_for(shares: Sequence[float], label: str) -> Axis:
    """The part of [0..1] that the shares need: its lower or its upper part where that is enough."""
    if shares and max(shares) <= 0.5:
        return linear_axis(label, 0, max(*shares, 0.05) * 1.15)
    return share_axis(label, low=0.5 if shares and min(shares) >= 0.5 else 0.0)


def _bar_axis(least: float, top: float) -> Axis:
    label = "microseconds for one app"
    if top > 40 * least > 0:
        return log_axis(f"{label} (log)", least / 2, top * 1.6)
    return linear_axis(label, 0, top * 1.08)


def _shares(counts: Sequence[int]) -> list[tuple[float, float | None]]:
    total = sum(counts)
    return [(float(i), count / total if total else 0.0) for i, count in enumerate(counts)]


def _exact_axis(label: str, low: float, high: float) -> Axis:
    """Ends exactly at the data; ticks at the round numbers between."""
    wide = linear_axis(label, low, high)
    return Axis(label, low, high, tuple(tick for tick in wide.ticks if low <= tick[0] <= high))


def names_axis(names: Sequence[str], label: str) -> Axis:
    """One place a name, from left to right; about eight of them written out."""
    every = max(1, -(-len(names) // 8))
    ticks: list[tuple[float, Any]] = [(float(i), name) for i, name in enumerate(names) if i % every == 0]
    return Axis(label, -0.4, max(len(names) - 0.6, 0.6), tuple(ticks))
