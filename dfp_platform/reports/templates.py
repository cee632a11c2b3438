"""What all pages share: the template engine, how figures are written, the style sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_HOME = Path(__file__).parent
STYLE_SHEET = _HOME / "page.css"


def rendered(template: str, **values: Any) -> bytes:
    """A template of this folder, filled, with the style sheet; equal values are equal bytes, UTF-8."""
    style_sheet = STYLE_SHEET.read_text(encoding="utf-8")
    text = environment().get_template(template).render(style_sheet=style_sheet, **values)
    return (text.strip() + "\n").encode()


def environment(**filters: Callable[[Any], str]) -> Environment:
    """Templates of this folder; a name that nobody has set is an error, and what is written into HTML is escaped.

    Args:
        filters: of one page alone, by name.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HOME),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),  # Markdown is read as it is
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = {each.__name__: each for each in (count, time, figure, short, percent, interval, size)}
    made.filters.update(shared | filters)
    return made


def count(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}"


def time(value: float) -> str:
    """A duration in whatever unit its column names."""
    return f"{value:,.1f}"


def figure(value: float | None, digits: int = 3) -> str:
    """A figure, where "1.000" is kept for what is exactly one."""
    if value is None:
        return "–"
    nearly = 1 - 10.0**-digits
    return (
        f">\u00a0{nearly:.{digits}f}"
        if nearly < value < 1 and f"{value:.{digits}f}".startswith("1")
        else f"{value:.{digits}f}"
    )


def short(value: float | None) -> str:
    """A figure of whatever size in four digits; a dash for one that is not known."""
    return "–" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share in percent; a dash for one that is not known."""
    return "–" if value is None else f"{100 * value:.{digits}f}\u00a0%"


def interval(pair: Sequence[float] | None) -> str:
    """Both ends of an interval; nothing for one that is not known."""
    return "" if pair is None else f"{pair[0]:.3f} to {pair[1]:.3f}"


def size(value: int) -> str:
    """Bytes, in decimal units."""
    return f"{value / 1e6:.1f} MB" if value >= 1e6 else f"{value / 1e3:.0f} kB"
