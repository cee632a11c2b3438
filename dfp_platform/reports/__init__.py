"""The page a person reads: one HTML file with everything in it, from plain records of what was measured.

Importing this room is cheap; the template engine and NumPy come with the first call that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfp_platform.reports.inputs import ReportInputs
    from dfp_platform.reports.page import render
    from dfp_platform.reports.summaries import describe_dataset, score_distribution

__all__ = ["ReportInputs", "describe_dataset", "render", "score_distribution"]

_HOMES = {
    "inputs": ("ReportInputs",),
    "page": ("render",),
    "summaries": ("describe_dataset", "score_distribution"),
}


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
