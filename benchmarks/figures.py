"""What repeated calls took: percentiles in milliseconds, printed as a table or as JSON, and whether a limit holds."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Attributes:
        what: what was called.
        calls: how often.
        facts: other figures, by name and unit.
        limit: what the project asks of it, in words, if anything.
        holds: whether that is so.
    """

    what: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    calls: int
    facts: dict[str, float | int] = field(default_factory=dict)
    limit: str = ""
    holds: bool = True

    def limited(self, figure: float, most: float, said: str) -> Row:
        """The row with a limit: `figure` shall be `most` at most."""
        return replace(self, limit=said, holds=figure <= most)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ordered figures that at least this share of them does not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def row(what: str, milliseconds: Sequence[float], **facts: float | int) -> Row:
    """The percentiles of single calls."""
    ordered = sorted(milliseconds)
    p50, p95, p99 = (round(percentile(ordered, share), 3) for share in (0.5, 0.95, 0.99))
    return Row(what, p50, p95, p99, len(ordered), dict(facts))


def milliseconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def measured(what: str, call: Callable[[int], object], *, times: int) -> Row:
    """Call with 0, 1, … and keep the percentiles."""
    return row(what, [milliseconds(lambda n=n: call(n)) for n in range(times)])


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options of a benchmark; every one has `--json`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return made


def show(rows: Sequence[Row], *, as_json: bool) -> int:
    """Print the rows; 1 if a limit does not hold."""
    if as_json:
        json.dump([asdict(one) for one in rows], sys.stdout, indent=2)
        print()
    else:
        width = max(len(one.what) for one in rows)
        print(f"{'milliseconds':<{width}} {'p50':>9} {'p95':>9} {'p99':>9} {'calls':>6}")
        for one in rows:
            facts = [f"{name} {value:,}" for name, value in one.facts.items()]
            facts += [f"{one.limit}: {'holds' if one.holds else 'BROKEN'}"] if one.limit else []
            figures = f"{one.p50_ms:9.2f} {one.p95_ms:9.2f} {one.p99_ms:9.2f} {one.calls:6}"
            print(f"{one.what:<{width}} {figures}  {', '.join(facts)}".rstrip())
    return int(not all(one.holds for one in rows))
