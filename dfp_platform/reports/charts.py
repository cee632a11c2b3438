"""Charts as inline SVG, coloured by the page's style sheet: they follow light, dark and print. Equal in, equal out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise

from dfp_platform.reports.axes import Axis

WIDTH, HEIGHT = 560, 320
WIDE = 1_120
"""Width of a chart that has the page to itself: its text is as large as that of two side by side."""

LEFT, RIGHT, TOP, BOTTOM = 68, 16, 14, 50
ROW = 19
"""Height of one bar with its gap."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line or layer. `style` is a style class; a missing y is a gap."""

    name: str
    style: str
    points: Sequence[tuple[float, float | None]]
    markers: bool = False


Bar = tuple[str, float, str]
"""Name, length, and the value in words."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing, and what it shows.

    Attributes:
        legend: the names that belong to its colours: style class and name.
        series: its lines or layers, and `axes` what they lie on; none: it shows `bars`.
    """

    svg: str
    legend: tuple[tuple[str, str], ...] = ()
    series: Sequence[Series] = ()
    axes: tuple[Axis, Axis] | None = None
    bars: Sequence[Bar] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the axes lie in the drawing."""

    x: Axis
    y: Axis
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT

    def across(self, value: float) -> float:
        """Horizontal place of a value."""
        return self.left + self.x.share(value) * (self.width - self.left - RIGHT)

    def up(self, value: float) -> float:
        """Vertical place of a value."""
        return self.height - BOTTOM - self.y.share(value) * (self.height - BOTTOM - TOP)


def line_chart(series: Sequence[Series], *, x: Axis, y: Axis, title: str, diagonal: bool = False) -> Chart:
    """Lines over two axes; `diagonal` adds the line of guessing."""
    frame = Frame(x, y)
    parts = [*_axes(frame)]
    if diagonal:
        parts.append(_line(frame.across(x.low), frame.up(y.low), frame.across(x.high), frame.up(y.high), "guess"))
    for one in series:
        parts += _series(frame, one)
    return Chart(_svg(frame, title, parts), tuple((one.style, one.name) for one in series), series, (x, y))


def column_chart(names: Sequence[str], layers: Sequence[Series], *, y: Axis, x_label: str, title: str) -> Chart:
    """Stacked columns, one a name; each layer has one point a name (its x is the position)."""
    frame = Frame(Axis(x_label, -0.5, len(names) - 0.5, _named_ticks(names)), y)
    width = (frame.across(1) - frame.across(0)) * 0.72
    parts, floor = [*_axes(frame, vertical=False)], [0.0] * len(names)
    for layer in layers:
        for position, height in layer.points:
            index, tall = int(position), height or 0.0
            top, bottom = frame.up(floor[index] + tall), frame.up(floor[index])
            told = f"{names[index]}: {tall:,.0f} {layer.name}"
            parts.append(_rect(frame.across(position) - width / 2, top, width, bottom - top, layer.style, told))
            floor[index] += tall
    return Chart(_svg(frame, title, parts), tuple((one.style, one.name) for one in layers), layers, (frame.x, y))


def histogram(
    edges: Sequence[float], layers: Sequence[Series], *, x: Axis, y: Axis, mark: tuple[float, str], title: str
) -> Chart:
    """Overlaid step areas between `edges` (each layer has one point a bin), and a marked value."""
    frame = Frame(x, y)
    parts = [*_axes(frame)]
    for layer in layers:
        corners = [(edges[0], 0.0)]
        for (left, right), (_, height) in zip(pairwise(edges), layer.points, strict=True):
            corners += [(left, height or 0.0), (right, height or 0.0)]
        corners.append((edges[-1], 0.0))
        path = "L".join(f"{_n(frame.across(a))} {_n(frame.up(b))}" for a, b in corners)
        parts.append(f'<path class="area {layer.style}" d="M{path}Z"/>')
    at = frame.across(mark[0])
    parts.append(_line(at, TOP, at, frame.up(y.low), "threshold"))
    left = x.share(mark[0]) < 0.7
    parts.append(_text(at + (6 if left else -6), TOP - 3, mark[1], "start" if left else "end", "strong"))
    stepped = [replace(one, points=list(zip(edges, (y for _, y in one.points), strict=False))) for one in layers]
    return Chart(_svg(frame, title, parts), tuple((one.style, one.name) for one in layers), stepped, (x, y))


def bar_chart(
    rows: Sequence[tuple[str, Sequence[float]]], layers: Sequence[tuple[str, str]], *, x: Axis, title: str, unit: str
) -> Chart:
    """Horizontal bars in groups: each row a name and one value a layer (style class and name)."""
    group = ROW * len(layers) + 16
    left = 24 + int(max((len(name) for name, _ in rows), default=0) * 7)
    frame = Frame(x, Axis("", 0, 1, ()), width=WIDE, height=TOP + BOTTOM + group * len(rows), left=left)
    parts = [*_axes(frame)]
    for index, (name, values) in enumerate(rows):
        top = TOP + 6 + index * group
        parts.append(_text(left - 8, top + group / 2 - 2, name, "end", ""))
        for place, ((style, _), value) in enumerate(zip(layers, values, strict=True)):
            y, end = top + place * ROW, frame.across(value)
            parts.append(_rect(left, y, end - left, ROW - 5, style, f"{name}: {value:,.1f} {unit}"))
            parts.append(
                _text(min(end + 5, WIDE - 4), y + 12, f"{value:,.1f}", "start" if end < WIDE - 70 else "end", "small")
            )
    told = [(name, values[0], f"{values[0]:,.1f} {unit}") for name, values in rows]
    return Chart(_svg(frame, title, parts), tuple(layers), bars=told)


def interval_chart(
    rows: Sequence[tuple[str, str, float | None, tuple[float, float] | None]], *, x: Axis, title: str
) -> Chart:
    """Horizontal bars, each with its interval: name, style class, value (None: no bar) and interval."""
    left = 24 + int(max((len(name) for name, *_ in rows), default=0) * 7)
    frame = Frame(x, Axis("", 0, 1, ()), width=WIDE, height=TOP + BOTTOM + (ROW + 4) * len(rows), left=left)
    parts = [*_axes(frame)]
    for index, (name, style, value, interval) in enumerate(rows):
        top = TOP + 4 + index * (ROW + 4)
        parts.append(_text(left - 8, top + 12, name, "end", ""))
        if value is None:
            parts.append(_text(left + 6, top + 12, "too few apps", "start", "small"))
            continue
        told = f"{name}: {value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")
        parts.append(_rect(left, top, frame.across(value) - left, ROW - 4, style, told))
        if interval:
            low, high, middle = frame.across(interval[0]), frame.across(interval[1]), top + (ROW - 4) / 2
            parts.append(_line(low, middle, high, middle, "whisker"))
            parts += [_line(end, middle - 4, end, middle + 4, "whisker") for end in (low, high)]
    known = [(name, value or 0.0, "too few apps" if value is None else f"{value:.3f}") for name, _, value, _ in rows]
    return Chart(_svg(frame, title, parts), bars=known)


def _series(frame: Frame, series: Series) -> Iterable[str]:
    for run in _runs(series.points):
        if len(run) > 1:
            path = "L".join(f"{_n(frame.across(x))} {_n(frame.up(y))}" for x, y in run)
            yield f'<path class="line {series.style}" d="M{path}"/>'
        if series.markers or len(run) == 1:
            for x, y in run:
                yield f'<circle class="dot {series.style}" cx="{_n(frame.across(x))}" cy="{_n(frame.up(y))}" r="3.2"/>'


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """The points between gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def _axes(frame: Frame, *, vertical: bool = True) -> Iterable[str]:
    bottom, right = frame.height - BOTTOM, frame.width - RIGHT
    for value, text in frame.y.ticks:
        y = frame.up(value)
        yield _line(frame.left, y, right, y, "grid")
        yield _text(frame.left - 8, y + 4, text, "end", "tick")
    for value, text in frame.x.ticks:
        x = frame.across(value)
        if vertical:
            yield _line(x, TOP, x, bottom, "grid")
        yield _text(x, bottom + 18, text, "middle", "tick")
    yield _line(frame.left, bottom, right, bottom, "axis")
    yield _text((frame.left + right) / 2, frame.height - 8, frame.x.label, "middle", "label")
    if frame.y.label:
        middle = _n((TOP + bottom) / 2)
        yield (
            f'<text class="label" text-anchor="middle" transform="translate(14 {middle}) rotate(-90)">'
            f"{escape(frame.y.label)}</text>"
        )


def _named_ticks(names: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """Every name, or every second, third … where they would run into each other."""
    room = (WIDTH - LEFT - RIGHT) / max(len(names), 1)
    widest = max((len(name) for name in names), default=1) * 7 + 6
    every = max(1, -int(-widest // room))
    return tuple((float(position), name) for position, name in enumerate(names) if position % every == 0)


def _svg(frame: Frame, title: str, parts: Iterable[str]) -> str:
    inside = "\n".join(parts)
    box = f'viewBox="0 0 {frame.width} {frame.height}"'
    return f'<svg {box} role="img" aria-label="{escape(title)}">\n<title>{escape(title)}</title>\n{inside}\n</svg>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>'


def _rect(x: float, y: float, width: float, height: float, style: str, told: str) -> str:
    place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" height="{_n(max(height, 0))}"'
    return f'<rect class="bar {style}" {place}><title>{escape(told)}</title></rect>'


def _text(x: float, y: float, text: str, anchor: str, style: str) -> str:
    return f'<text class="{style}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _n(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")
