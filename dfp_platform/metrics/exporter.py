"""The page that Prometheus scrapes, put together of parts that are asked at the same time, each within its seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dfp_platform.errors import DfpError
from dfp_platform.metrics.families import gauge

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

logger = logging.getLogger(__name__)

CACHE_SECONDS = 5.0
"""How long what a part told is good: two scrapers at once cost as much as one."""

PART_SECONDS = 5.0
"""How long a page waits for a part. Prometheus gives up a scrape after ten seconds unless told otherwise."""

KEPT_SECONDS = 600.0
"""How long the last word of a part stays on the page that fails or is late; that it is old is on the page too."""

Ask = Callable[[], Sequence[Metric]]
"""Looks, and tells what it saw; whatever it raises is a part that is down."""


@dataclass(eq=False)
class Part:
    """One part of the page, asked in a thread of its own, one question at a time.

    Attributes:
        name: value of the label `part`.
        told: its last word, and `told_at` when that came, by `time.monotonic`.
        seconds: that it took.
        up: whether the last question was answered in time.
    """

    name: str
    ask: Ask
    told: Sequence[Metric] = ()
    told_at: float = float("-inf")
    seconds: float = 0.0
    up: bool = False
    _asking: threading.Thread | None = None
    _error: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, cached: float) -> None:
        """Ask, unless that is under way or what was told is not older than `cached` seconds."""
        with self._lock:
            busy = self._asking is not None and self._asking.is_alive()
            if not busy and not (self.up and time.monotonic() - self.told_at <= cached):
                self._asking = threading.Thread(target=self._look, name=f"metrics {self.name}", daemon=True)
                self._asking.start()

    def wait(self, until: float) -> None:
        """Wait for the answer, at most until a moment of `time.monotonic`."""
        asking = self._asking
        if asking is not None:
            asking.join(max(0.0, until - time.monotonic()))
            if asking.is_alive():
                self.up = False

    def word(self, kept: float) -> Sequence[Metric]:
        """What is on the page of it; nothing where that is older than `kept` seconds."""
        return self.told if time.monotonic() - self.told_at <= kept else ()

    def _look(self) -> None:
        began = time.monotonic()
        try:
            self.told = list(self.ask())
        except Exception as error:
            self.up = False
            if str(error) != self._error:  # once, not every fifteen seconds
                logger.warning("nothing is known of %s: %s", self.name, error, exc_info=not isinstance(error, DfpError))
            self._error = str(error)
        else:
            self.told_at = time.monotonic()
            self.up, self._error = True, ""
        self.seconds = time.monotonic() - began


@dataclass(eq=False)
class Exporter(Collector):
    """All parts; a page is whole whatever one of them does."""

    parts: Sequence[Part]
    cache_seconds: float = CACHE_SECONDS
    part_seconds: float = PART_SECONDS
    kept_seconds: float = KEPT_SECONDS

    def collect(self) -> list[Metric]:
        for part in self.parts:
            part.begin(self.cache_seconds)
        until = time.monotonic() + self.part_seconds
        for part in self.parts:
            part.wait(until)
        ages = [((part.name,), part.told_at) for part in self.parts if part.told_at > float("-inf")]
        shift = time.time() - time.monotonic()
        return [
            gauge(
                "dfp_exporter_part_up",
                "1 if this part of the page could be read just now, in time.",
                [((part.name,), float(part.up)) for part in self.parts],
                ["part"],
            ),
            gauge(
                "dfp_exporter_part_seconds",
                "Seconds that the last look at this part took.",
                [((part.name,), part.seconds) for part in self.parts],
                ["part"],
            ),
            gauge(
                "dfp_exporter_part_timestamp_seconds",
                "When this part was last read, in seconds since 1970.",
                [(labels, at + shift) for labels, at in ages],
                ["part"],
            ),
            *(family for part in self.parts for family in part.word(self.kept_seconds)),
        ]

    def describe(self) -> list[Metric]:
        return []

    def page(self) -> bytes:
        """The page, as Prometheus reads it."""
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)


def create_exporter(asks: Mapping[str, Ask], *, token: str = "") -> Starlette:
    """The app: `/metrics`, and `/healthz` for probes.

    Args:
        token: what has to be shown as bearer token; empty: only this machine may ask.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from dfp_platform.serving.service import host_of, refusal, shown_by

    exporter = Exporter([Part(name, ask) for name, ask in asks.items()])

    async def metrics(request: Request) -> Response:
        if status := refusal(shown_by(request.scope), host_of(request.scope), token=token):
            headers = {"www-authenticate": "Bearer"} if status == 401 else {}
            return PlainTextResponse("this needs the bearer token DFP_METRICS_TOKEN\n", status, headers=headers)
        page = await run_in_threadpool(exporter.page)
        return PlainTextResponse(page, media_type=CONTENT_TYPE_LATEST)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz)])
