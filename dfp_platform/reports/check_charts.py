"""How a check's figure went from publication to publication, against its limit."""

from __future__ import annotations

from collections.abc import Sequence

from dfp_platform.reports.axes import linear_axis
from dfp_platform.reports.charts import Chart, Series, line_chart
from dfp_platform.reports.figures import names_axis


def history_chart(points: Sequence[tuple[str, float | None]], *, limit: float | None, title: str) -> Chart:
    """One line of figures, by the name of each publication, oldest first, and the limit as a dashed one.

    Args:
        points: name and figure; None where the check had none.
    """
    names = [name for name, _ in points]
    lines = [Series("figure", "model-0", [(float(at), y) for at, (_, y) in enumerate(points)], markers=True)]
    if limit is not None:
        lines.append(Series("limit", "limit", [(-0.4, limit), (max(len(names) - 0.6, 0.6), limit)]))
    told = [y for one in lines for _, y in one.points if y is not None]
    low, high = min(told, default=0.0), max(told, default=1.0)
    room = 0.08 * (high - low) or 0.5
    y = linear_axis("figure", min(0.0, low) if low >= 0 else low - room, high + room)
    return line_chart(lines, x=names_axis(names, "publication"), y=y, title=title)
