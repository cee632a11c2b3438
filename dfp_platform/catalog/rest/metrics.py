"""What the REST catalog counts and times, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dfp_platform.lake.operation_metrics import operation_families
from dfp_platform.lake.operations import Counts

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds of the histogram; a small commit of Spark takes a quarter of a second."""

NO_ROUTE = "other"
"""What a path is counted as that is no endpoint: whoever asks for many does not make as many figures."""


class CatalogMetrics:
    """The metrics of one server, in a registry of its own.

    Args:
        commits: routes whose answer 409 is a commit that lost to another.
        done: what this process did to the lake.
    """

    def __init__(self, commits: frozenset[str], done: Callable[[], Counts]) -> None:
        self._commits = commits
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dfp_catalog_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "dfp_catalog_request_seconds",
            "Seconds from a request to its answer.",
            ("route", "method"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.conflicts = Counter(
            "dfp_catalog_commit_conflicts", "Commits of tables and views that lost to another.", registry=self.registry
        )
        self.registry.register(_Done(done))
        ProcessCollector(registry=self.registry)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count and time an answered request."""
        self.requests.labels(route, method, status).inc()
        self.seconds.labels(route, method).observe(seconds)
        if status == 409 and f"{method} {route}" in self._commits:
            self.conflicts.inc()

    def page(self) -> tuple[bytes, str]:
        """The metrics as Prometheus reads them, and their content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Done(Collector):
    def __init__(self, done: Callable[[], Counts]) -> None:
        self._done = done

    def collect(self) -> list[Metric]:
        return operation_families(self._done())

    def describe(self) -> list[Metric]:
        return []
