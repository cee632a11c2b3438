"""The smoke test of a stack: one small probe a door, tried within its own seconds, and what to do where one is shut.

`interface.py` says what a door is and tries it; the files beside it are the doors, by what is behind them; `doors.py`
lists them. Nothing here knows Dagster: what only Dagster can tell is a door too, of `publishing.instance_doors`.
"""

from __future__ import annotations

from dfp_platform.probes.doors import DOORS
from dfp_platform.probes.interface import Door, Finding, Result, load, tried, tried_at_once

__all__ = ["DOORS", "Door", "Finding", "Result", "load", "tried", "tried_at_once"]
