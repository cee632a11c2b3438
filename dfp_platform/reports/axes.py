"""Scales and ticks of a chart: from values to places, and the round numbers beside the axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Tick = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: values from `low` to `high`, its ticks, and what it shows.

    Attributes:
        log: whether equal distances are equal ratios; both ends are positive then.
    """

    label: str
    low: float
    high: float
    ticks: tuple[Tick, ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Where `value` lies between the ends [0..1], kept within them."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        at = math.log(max(value, self.low)) if self.log else value
        return min(max((at - low) / (high - low), 0.0), 1.0)


def linear_axis(label: str, low: float, high: float, *, ticks: int = 5) -> Axis:
    """An axis from `low` to `high` widened to round numbers, with about `ticks` steps."""
    if not high > low:
        high = low + 1.0
    step = _round_step((high - low) / ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    values = [position * step for position in range(first, last + 1)]
    return Axis(label, values[0], values[-1], tuple((value, number(value)) for value in values))


def share_axis(label: str, *, low: float = 0.0, high: float = 1.0) -> Axis:
    """An axis of shares between round ends."""
    return linear_axis(label, low, high, ticks=5)


def log_axis(label: str, low: float, high: float) -> Axis:
    """An axis of ratios with ticks at the powers of ten it spans, or at 1, 2, 5 where those are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps: Sequence[int] = (1,) if len(decades) > 4 else (1, 2, 5)
    values = [step * 10.0**decade for decade in decades for step in steps]
    within = [value for value in values if low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9)]
    return Axis(label, low, high, tuple((value, number(value)) for value in within), log=True)


def number(value: float) -> str:
    """A short number for the side of an axis: ``0.25``, ``1,500``, ``2e-05``."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{round(value, 6):,.6f}".rstrip("0").rstrip(".") or "0"


def _round_step(step: float) -> float:
    scale = 10.0 ** math.floor(math.log10(step))
    return next(round_one * scale for round_one in (1, 2, 2.5, 5, 10) if round_one * scale >= step * (1 - 1e-9))
