"""Metric families as short calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Row = tuple[Sequence[str], float]
"""Values of the labels, and the figure."""


def gauge(name: str, told: str, rows: Iterable[Row] | float, labels: Sequence[str] = ()) -> Metric:
    """A figure that goes up and down; one without labels, or a row for each set of labels."""
    family = GaugeMetricFamily(name, told, labels=labels)
    for values, figure in [((), rows)] if isinstance(rows, int | float) else rows:
        family.add_metric(values, figure)
    return family


def counter(name: str, told: str, rows: Iterable[Row] | float, labels: Sequence[str] = ()) -> Metric:
    """A figure that only grows; Prometheus sees it with `_total` at its end."""
    family = CounterMetricFamily(name, told, labels=labels)
    for values, figure in [((), rows)] if isinstance(rows, int | float) else rows:
        family.add_metric(values, figure)
    return family
