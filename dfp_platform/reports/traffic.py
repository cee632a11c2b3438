"""The record of live traffic → a page: what was asked, what was answered, and what has moved since the training."""

from __future__ import annotations

from typing import Any

from dfp_platform.reports.axes import linear_axis
from dfp_platform.reports.charts import Chart, Series, column_chart, histogram
from dfp_platform.reports.figures import model_style
from dfp_platform.reports.inputs import Json
from dfp_platform.reports.templates import rendered

MOST_SHOWN = 25
"""Features that the page lists at most; the JSON beside it has all that drifted."""


def render_traffic(report: Json) -> bytes:
    """The page of a `serving.traffic.TrafficReport` as JSON; equal records are equal bytes."""
    days = [{**day, "rate": day["alarms"] / day["rows"]} for day in report["days"]]
    return rendered(
        "traffic.html.j2",
        title="Live traffic",
        synthetic=report["synthetic"],
        report=report,
        verdict=verdict(report),
        days=days,
        alarms=sum(day["alarms"] for day in days),
        moved=report["moved"][:MOST_SHOWN],
        score_chart=scores_chart(report),
        day_chart=_days(days) if len(days) > 1 else None,
    )


def verdict(report: Json) -> str:
    """One sentence for whoever reads no further."""
    moved, of = len(report["moved"]), report["features"]
    alarms = sum(day["alarms"] for day in report["days"]) / report["rows"]
    asked = f"{report['rows']:,} apps were judged, {alarms:.1%} of them raised an alarm"
    if not moved:
        return f"{asked}; no feature lies elsewhere than in the training."
    worst = ", ".join(one["feature"] for one in report["moved"][:3])
    return f"{asked}; {moved} of {of} features lie elsewhere than in the training, {worst} farthest."


def scores_chart(report: Json) -> Chart:
    """How the scores of live traffic are spread, and the threshold of the model that gave them."""
    total = sum(report["scores"])
    shares: list[Any] = [(float(at), count / total) for at, count in enumerate(report["scores"])]
    x, y = linear_axis("score", 0.0, 1.0), linear_axis("share of the apps", 0.0, max(share for _, share in shares))
    mark = (report["by"]["threshold"], f"threshold {report['by']['threshold']:.4g}")
    layers = [Series("live", model_style(0), shares)]
    return histogram(report["score_edges"], layers, x=x, y=y, mark=mark, title="Scores of live traffic")


def _days(days: list[dict[str, Any]]) -> Chart:
    points: list[Any] = [(float(at), 100 * day["rate"]) for at, day in enumerate(days)]
    y = linear_axis("alarms (%)", 0.0, max(1.0, *(height for _, height in points)))
    layers = [Series("alarms (%)", model_style(0), points)]
    return column_chart([day["day"] for day in days], layers, y=y, x_label="day (UTC)", title="Alarms by day")
