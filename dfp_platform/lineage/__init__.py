"""Lineage out: what runs published, told to catalogs of other makers. Knows neither Dagster nor the lake."""

from dfp_platform.lineage.receivers import receivers_of
from dfp_platform.lineage.record import Dataset, Made, Receiver, RunRecord, State

__all__ = ["Dataset", "Made", "Receiver", "RunRecord", "State", "receivers_of"]
