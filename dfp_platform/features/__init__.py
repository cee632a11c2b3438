"""Features of apps as Feast sees them: one vector an app, read at a ref of the lake, served from switched versions.

Importing this room is cheap; Feast (seconds, and with it pandas and torch) comes with the first call that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfp_platform.features.history import historical
    from dfp_platform.features.online import (
        Materialized,
        OnlineVectors,
        Vectors,
        materialize,
        open_online,
        read_online,
        version_for,
    )
    from dfp_platform.features.parity import Parity, served_equals_trained
    from dfp_platform.features.pointer import Current, Served, current, prune, rollback, switch
    from dfp_platform.features.registry import REGISTRY, apply, open_store

__all__ = [
    "REGISTRY",
    "Current",
    "Materialized",
    "OnlineVectors",
    "Parity",
    "Served",
    "Vectors",
    "apply",
    "current",
    "historical",
    "materialize",
    "open_online",
    "open_store",
    "prune",
    "read_online",
    "rollback",
    "served_equals_trained",
    "switch",
    "version_for",
]

_HOMES = {
    "online": ("Materialized", "OnlineVectors", "Vectors", "materialize", "open_online", "read_online", "version_for"),
    "parity": ("Parity", "served_equals_trained"),
    "pointer": ("Current", "Served", "current", "prune", "rollback", "switch"),
    "history": ("historical",),
    "registry": ("REGISTRY", "apply", "open_store"),
}


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
