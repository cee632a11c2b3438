"""What a service counts and times, for Prometheus; a registry of its own, so that several services fit in a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Bounds of the histograms; the goals of a request, 5 ms for one app and 15 ms for a hundred, lie among them."""

SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Bounds of the histogram of scores."""

_SCORES = np.array(SCORES, dtype=np.float32)

Named = tuple[str, str, str]
"""Who answered: model, version, role."""

Figures = Callable[[], Mapping[str, tuple[str, str, float]]]
"""Name → kind (`counter` or `gauge`), what it means, value: read whenever metrics are asked for."""


class Metrics:
    """The metrics of one service; names begin with `dfp_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dfp_requests", "Requests answered.", ("path", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "dfp_request_seconds",
            "Seconds from a request to its answer.",
            ("path",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.predictions = Counter(
            "dfp_predictions",
            "Apps scored, by the model's version, its role and the label.",
            ("model", "version", "role", "label"),
            registry=self.registry,
        )
        self._scores: dict[Named, _Scores] = {}
        self.unknown = Counter(
            "dfp_unknown_apps", "Apps asked for by id of which no features are served.", registry=self.registry
        )
        self.failures = Counter(
            "dfp_failures", "Questions not answered, by what failed.", ("what",), registry=self.registry
        )
        self.reloads = Counter("dfp_reloads", "Reloads, by result.", ("result",), registry=self.registry)
        for result in ("changed", "same", "refused"):
            self.reloads.labels(result)
        self.reloaded_at = Gauge(
            "dfp_reload_timestamp_seconds",
            "When it last looked for another model and could have taken it, in seconds since 1970.",
            registry=self.registry,
        )
        # what `labels` looks up for each request, looked up once; both are bounded by what the service tells apart
        self._labels = cache(lambda *by: (self.predictions.labels(*by, "1"), self.predictions.labels(*by, "0")))
        self._answered = cache(
            lambda path, method, status: (self.requests.labels(path, method, status), self.seconds.labels(path))
        )
        self.model = Gauge(
            "dfp_model_info", "1 for the model that answers.", ("model", "version", "role"), registry=self.registry
        )
        self.registry.register(_Score(self._scores))
        ProcessCollector(registry=self.registry)

    def count_answers(self, by: Named, scores: NDArray[np.float32], alarms: int) -> None:
        """Count what a version of a model said: how many alarms among so many scores."""
        alarm, other = self._labels(*by)
        alarm.inc(alarms)
        other.inc(len(scores) - alarms)
        if (told := self._scores.get(by)) is None:
            told = self._scores[by] = _Scores()
        told.add(scores)

    def count_request(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count and time an answered request."""
        answered, timed = self._answered(path, method, status)
        answered.inc()
        timed.observe(seconds)

    def name_models(self, named: Mapping[str, tuple[str, str]]) -> None:
        """Tell which models answer: role → model, version."""
        self.model.clear()
        for role, (model, version) in named.items():
            self.model.labels(model, version, role).set(1)

    def loaded(self, result: str) -> None:
        """Count a try to take what is published: `changed`, `same` or `refused`; and when one last went well."""
        self.reloads.labels(result).inc()
        if result != "refused":
            self.reloaded_at.set_to_current_time()

    def add_figures(self, figures: Figures) -> None:
        """Have further figures read each time metrics are asked for."""
        self.registry.register(_Read(figures))

    def page(self) -> tuple[bytes, str]:
        """The metrics as Prometheus reads them, and their content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Scores:
    """How many scores lay below each bound: counted a batch at a time, as a batch may have a thousand."""

    def __init__(self) -> None:
        self.counts = np.zeros(len(SCORES) + 1, dtype=np.int64)
        self.total = 0.0

    def add(self, scores: NDArray[np.float32]) -> None:
        np.add.at(self.counts, np.searchsorted(_SCORES, scores), 1)
        self.total += float(scores.sum())


class _Score(Collector):
    def __init__(self, told: Mapping[Named, _Scores]) -> None:
        self._told = told

    def collect(self) -> list[Metric]:
        family = HistogramMetricFamily("dfp_score", "Scores, 0 to 1.", labels=("model", "version", "role"))
        for by, scores in list(self._told.items()):
            below = np.cumsum(scores.counts).tolist()
            bounds = [*map(floatToGoString, SCORES), "+Inf"]
            family.add_metric(by, list(zip(bounds, below, strict=True)), sum_value=scores.total)
        return [family]

    def describe(self) -> list[Metric]:
        return []


class _Read(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> list[Metric]:
        families = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
        return [families[kind](name, told, value=value) for name, (kind, told, value) in self._figures().items()]

    def describe(self) -> list[Metric]:
        return []
