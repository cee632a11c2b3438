"""Compare the figures of two runs of a benchmark: `python benchmarks/compare.py BEFORE.json AFTER.json`.

Both are what a benchmark prints with `--json`. Figures are numbers, named by their path and by what a row measured:
``commit.p50_ms``. More of seconds or bytes is worse; other figures are told and judged by nobody. Exit code 1: one is
worse by more than the tolerance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLERANCE = 0.3
"""Share by which a figure may be worse: machines that run workflows differ by that much."""

COSTS = ("seconds", "_s", "_ms", "_us", "bytes", "_mb", "_mib", "megabytes")


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both runs; `ratio` is after divided by before."""

    name: str
    before: float
    after: float

    @property
    def ratio(self) -> float:
        return self.after / self.before if self.before else float("inf")

    def worse(self, tolerance: float) -> bool:
        """Whether it costs more than before by more than the tolerance."""
        return self.name.lower().endswith(COSTS) and self.after > 0 and self.ratio > 1 + tolerance


def figures(told: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in a document, by their path."""
    if isinstance(told, Mapping):
        for key, value in told.items():
            yield from figures(value, f"{name}.{key}" if name else str(key))
    elif isinstance(told, list):
        for number, value in enumerate(told):
            what = value.get("what", number) if isinstance(value, Mapping) else number
            yield from figures(value, f"{name}.{what}" if name else str(what))
    elif isinstance(told, int | float) and not isinstance(told, bool):
        yield name, float(told)


def changes(before: Any, after: Any) -> list[Change]:
    """Figures that both runs have, by name."""
    first, second = dict(figures(before)), dict(figures(after))
    return [Change(name, first[name], second[name]) for name in sorted(first.keys() & second.keys())]


def table(found: list[Change], tolerance: float = TOLERANCE) -> str:
    """The changes as Markdown."""
    verdicts = {True: " worse", False: ""}
    rows = [
        f"| {each.name} | {each.before:g} | {each.after:g} | {each.ratio:.2f}{verdicts[each.worse(tolerance)]} |"
        for each in found
    ]
    return "\n".join(["| figure | before | after | ratio |", "|---|---|---|---|", *rows])


def main(before: str, after: str) -> int:
    """Print the table; 1: something is worse."""
    found = changes(*(json.loads(Path(path).read_text()) for path in (before, after)))
    print(table(found))
    return int(any(each.worse(TOLERANCE) for each in found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
