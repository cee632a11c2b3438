"""Charts as Markdown of less than 1,000 characters: so small that Dagster shows them on an asset's page by themselves.

Whatever is longer hides behind a link there. Points, lines and rows are thinned out until a chart fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import groupby
from urllib.parse import quote

from dfp_platform.reports.axes import Axis
from dfp_platform.reports.charts import Bar, Chart, Series

MOST = 999
"""Characters of Markdown that Dagster 1.13 shows at most without a click."""

COLOURS = ("#2456a6", "#c2571a", "#17744f", "#8a3f8f", "#0f7c8a", "#a8324a", "#6b6f1d", "#5a5fc7")
"""Those of the report's models by position, `--model-0` … of `page.css`."""

_WIDTH, _LEFT, _TOP, _BOTTOM, _ROW = 330, 42, 24, 102, 15
_POINTS = (48, 32, 24, 16, 12, 8, 6, 4)
_LEGEND = 48
"""Characters of all names of lines that have room side by side."""

_PLAIN = "<>='/:,;.-"
"""Characters of an SVG that may stand as they are in the address of a Markdown image."""


def thumbnail(chart: Chart, *, title: str) -> str:
    """A chart of the report as a Markdown image of at most `MOST` characters."""
    if chart.axes is None:
        return bar_thumbnail(chart.bars, title=title)
    x, y = chart.axes
    return line_thumbnail(chart.series, x=x, y=y, title=title)


def line_thumbnail(series: Sequence[Series], *, x: Axis, y: Axis, title: str) -> str:
    """Lines over two axes as a Markdown image; lines that do not fit are counted.

    Args:
        series: at least one.
        x: its first and last tick are written out, and likewise those of `y`.
        title: what the image says to those who cannot see it.
    """
    return _first_that_fits(
        (
            _image(_lines(series[:shown], len(series) - shown, x, y, most), _BOTTOM + 18, title)
            for shown in range(len(series), 0, -1)
            if shown == 1 or sum(len(one.name) + 1 for one in series[:shown]) <= _LEGEND
            for most in _POINTS
        ),
        title,
    )


def bar_thumbnail(rows: Sequence[Bar], *, title: str) -> str:
    """Horizontal bars as a Markdown image; rows that do not fit are counted at the end.

    Args:
        rows: from above; lengths are not negative.
        title: what the image says to those who cannot see it.
    """
    return _first_that_fits((_rows(_bars(rows[:n]), len(rows), title) for n in range(len(rows), 0, -1)), title)


def _first_that_fits(images: Iterable[str], title: str) -> str:
    return next((image for image in images if len(image) <= MOST), title)


def _image(drawing: str, height: int, title: str) -> str:
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{height}' "
        f"font-family='Arial' font-size='11' style='background:#fff'>{drawing}</svg>"
    )
    return f"![{title}](data:image/svg+xml,{quote(svg, safe=_PLAIN)})"


def _lines(series: Sequence[Series], hidden: int, x: Axis, y: Axis, most: int) -> str:
    def across(value: float) -> int:
        return round(_LEFT + x.share(value) * (_WIDTH - 8 - _LEFT))

    def up(value: float) -> int:
        return round(_BOTTOM - y.share(value) * (_BOTTOM - _TOP))

    names, paths = [], []
    for one, colour in zip(series, COLOURS, strict=False):
        names.append(f"<tspan fill='{colour}'>{escape(one.name)} </tspan>")
        paths.append(f"<path stroke='{colour}' d='{_path(_thinned(one.points, most), across, up)}'/>")
    down, along = (_ends(axis) for axis in (y, x))
    grid = "".join(f"M{_LEFT},{up(value)}H{_WIDTH}" for value, _ in down)
    return (
        f"<text x='{_LEFT}' y='12'>{''.join(names)}{f'+{hidden}' if hidden else ''}</text>"
        + "".join(f"<text y='{up(value) + 4}'>{escape(text)}</text>" for value, text in down)
        + "".join(_below(across(value), text) for value, text in along)
        + f"<path stroke='#ccc' d='{grid}'/><g fill='none' stroke-width='2'>{''.join(paths)}</g>"
    )


def _below(middle: int, text: str) -> str:
    """A text under the x axis, kept within the picture."""
    return f"<text x='{min(middle - 20, _WIDTH - 7 * len(text))}' y='116'>{escape(text)}</text>"


def _ends(axis: Axis) -> Sequence[tuple[float, str]]:
    return axis.ticks if len(axis.ticks) < 3 else (axis.ticks[0], axis.ticks[-1])


def _path(
    points: Sequence[tuple[float, float | None]], across: Callable[[float], int], up: Callable[[float], int]
) -> str:
    parts = []
    for there, run in groupby(points, lambda point: point[1] is not None):
        if there:
            first, *rest = [f"{across(x)},{up(y)}" for x, y in run if y is not None]
            parts.append(f"M{first}" + (f"L{','.join(rest)}" if rest else "h2"))
    return "".join(parts)


def _thinned(points: Sequence[tuple[float, float | None]], most: int) -> Sequence[tuple[float, float | None]]:
    """At most `most` of the points, evenly, the first and the last among them."""
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return [points[round(place * step)] for place in range(most)]


def _rows(drawn: tuple[list[str], str], of: int, title: str) -> str:
    """The texts of rows over their drawing, and how many there are beyond them."""
    texts, drawing = drawn
    if hidden := of - len(texts):
        texts = [*texts, f"<tspan x='0' y='{14 + len(texts) * _ROW}'>and {hidden} more</tspan>"]
    return _image(f"{drawing}<text>{''.join(texts)}</text>", 8 + len(texts) * _ROW, title)


def _bars(rows: Sequence[Bar]) -> tuple[list[str], str]:
    left, top = 8 + 6 * max(len(name) for name, *_ in rows), max(length for _, length, _ in rows) or 1.0
    room = max(_WIDTH - left - 70, 30)
    texts, bars = [], []
    for place, (name, length, told) in enumerate(rows):
        y, wide = 14 + place * _ROW, max(round(length / top * room), 1)
        bars.append(f"M{left},{y - 4}h{wide}")
        texts.append(f"<tspan x='0' y='{y}'>{escape(name)}</tspan><tspan x='{left + wide + 4}'>{escape(told)}</tspan>")
    return texts, f"<path stroke='{COLOURS[0]}' stroke-width='9' d='{''.join(bars)}'/>"
