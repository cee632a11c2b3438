"""Features of apps as Feast sees them: one vector an app, read at a ref of the lake, served from switched versions.

Importing this room is cheap; Feast (seconds, and with it pandas and torch) comes with the first call that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfp_platform.features.history import historical
    from dfp_platform.features.interface import (
        Current,
        FeatureKeeper,
        Materialized,
        OnlineReader,
        Rows,
        Served,
        Vectors,
    )
    from dfp_platform.features.keeper import open_keeper
    from dfp_platform.features.parity import Parity, served_equals_trained
    from dfp_platform.features.registry import REGISTRY, apply, open_store

__all__ = [
    "REGISTRY",
    "Current",
    "FeatureKeeper",
    "Materialized",
    "OnlineReader",
    "Parity",
    "Rows",
    "Served",
    "Vectors",
    "apply",
    "historical",
    "open_keeper",
    "open_store",
    "served_equals_trained",
]

_HOMES = {
    "interface": (
        "Current",
        "FeatureKeeper",
        "Materialized",
        "OnlineReader",
        "Rows",
        "Served",
        "Vectors",
    ),
    "keeper": ("open_keeper",),
    "parity": ("Parity", "served_equals_trained"),
    "history": ("historical",),
    "registry": ("REGISTRY", "apply", "open_store"),
}


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
