"""What was done to a lake as Prometheus reads it. Nothing of the lake needs this; servers and the exporter do."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from dfp_platform.lake.operations import BOUNDS, Counts


def operation_families(counts: Counts) -> list[Metric]:
    """What was done to a lake: how often and to what end, and how long what was done took."""
    total = CounterMetricFamily(
        "dfp_lake_operations",
        "What was done to the lake: done, conflict (both sides changed the same), moved (another writer was quicker), "
        "refused (asked for what cannot be), failed (trouble).",
        labels=("operation", "outcome"),
    )
    seconds = HistogramMetricFamily(
        "dfp_lake_operation_seconds", "Seconds that operations took which were done.", labels=("operation",)
    )
    for operation, found in counts.items():
        for outcome, many in found.outcomes.items():
            total.add_metric((operation, outcome), many)
        buckets, below = [], 0
        for bound, many in zip((*BOUNDS, float("inf")), found.buckets, strict=True):
            below += many
            buckets.append((floatToGoString(bound), below))
        seconds.add_metric((operation,), buckets, sum_value=found.seconds)
    return [total, seconds]
