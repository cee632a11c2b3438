"""The record of drift → a page: the score and its limit, what it is made of, which features moved."""

from __future__ import annotations

from dfp_platform.reports.axes import linear_axis, share_axis
from dfp_platform.reports.charts import Chart, Series, line_chart
from dfp_platform.reports.figures import model_style
from dfp_platform.reports.inputs import Json
from dfp_platform.reports.templates import rendered

MOST_SHOWN = 20
"""Features that the page lists of each side at most; the JSON beside it has all that drifted."""


def render_drift(report: Json) -> bytes:
    """The page of a `serving.drift.DriftReport` as JSON; equal records are equal bytes."""
    sides = [
        {**side, "style": model_style(position + 1), "shown": side["moved"][:MOST_SHOWN]}
        for position, side in enumerate(report["sides"])
    ]
    return rendered(
        "drift.html.j2",
        title="Drift",
        synthetic=report["synthetic"],
        report=report,
        verdict=verdict(report),
        drifted=drifted(report),
        sides=sides,
        errors_chart=errors_chart(report) if report["error_cuts"] else None,
    )


def drifted(report: Json) -> bool:
    """Whether the score has reached the limit."""
    return report["score"] is not None and report["score"] >= report["limit"]


def named(report: Json) -> str:
    """The model with its version, for people."""
    version = f"v{report['version']}" if report["version"] else report["content"][:12]
    return f"{report['model']} {version}"


def verdict(report: Json) -> str:
    """One sentence for whoever reads no further."""
    if report["score"] is None:
        return f"Nothing can be said of {named(report)}: no side has apps enough to be compared with its training."
    side = next(side for side in report["sides"] if side["score"] == report["score"])
    moved = report["score"] == side["drifted"]
    of = "features that moved" if moved else "reconstruction errors that rose"
    stands = "is at or above" if drifted(report) else "is below"
    return (
        f"What {named(report)} sees lies {report['score']:.2f} from its training, which {stands} the limit of "
        f"{report['limit']:.2f}. The figure is that of {side['name']}: {of}."
    )


def errors_chart(report: Json) -> Chart:
    """Cumulative shares of reconstruction errors, of the calibration and of each side; the largest rise counts."""
    cuts = report["error_cuts"]
    lines = [Series("calibration", "model-0", list(zip(cuts, report["errors"], strict=True)))]
    for position, side in enumerate(report["sides"]):
        if side["errors"]:
            points = list(zip(cuts, side["errors"], strict=True))
            lines.append(Series(side["name"], model_style(position + 1), points))
    x, y = linear_axis("reconstruction error", 0.0, cuts[-1]), share_axis("share of apps up to it")
    return line_chart(lines, x=x, y=y, title="Reconstruction errors, cumulative")
