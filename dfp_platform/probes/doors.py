"""Every door, in the order in which a person would look. A new one is one line in its file's own list."""

from __future__ import annotations

from dfp_platform.probes import lake, machine, services, spark, stores
from dfp_platform.probes.interface import Door

DOORS: tuple[Door, ...] = (*lake.DOORS, *stores.DOORS, *services.DOORS, *spark.DOORS, *machine.DOORS)
