"""The rules of a measurement, see docs/benchmark_protocol.md: how much, in which turns, and when a figure counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.records import Record

PROTOCOL_VERSION = "1"
"""Figures of two versions are not compared."""

NOISE_LIMIT = 0.25
"""Rounds whose medians differ by more than this share were disturbed: the row is kept and marked invalid."""

PREEMPTION_LIMIT = 0.005
"""If the system took the core away in more than this share of the queries, it, not the model, made the p99."""

FEWEST_QUERIES = 1_024
"""Fewest queries for which p99.9 is not simply the slowest one."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How much is measured.

    Attributes:
        name: ``quick`` or ``full``.
        queries: least single-app queries of a subject.
        seconds: least time a subject is asked for.
        rounds: turns that both are spread over.
        warm_up: unmeasured queries before the first turn.
        batch: apps a batch, for the throughput.
        cold: fresh processes that load it; their median counts.
    """

    name: str
    queries: int = FEWEST_QUERIES
    seconds: float = 0.0
    rounds: int = 4
    warm_up: int = 128
    batch: int = 1_024
    cold: int = 3


GLANCE = Mode("glance")
"""The demo's: inside a run, between its other steps, without fresh processes."""

QUICK = Mode("quick", seconds=0.25, cold=1)
FULL = Mode("full", seconds=5.0, rounds=10)
MODES = {mode.name: mode for mode in (QUICK, FULL)}


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One turn of a subject: microseconds of each query, how often the core was taken away, energy if it is known."""

    times: NDArray[np.float64]
    preemptions: int
    energy_uj: float | None = None


class Latency(Record):
    """What one app takes. Percentiles are microseconds per single-app query, linear between measured values.

    Attributes:
        threads: always pinned to this many.
        core: the core it ran on; None: the system let none be chosen.
        queries: measured single-app queries, after the warm-up.
        seconds: what they took together.
        p50_us: median; `p90_us`, `p99_us`, `p999_us` and `max_us` likewise.
        throughput_apps_s: apps a second in batches of `batch`.
        batch: apps a batch.
        size_bytes: size of the model file.
        floor_p50_us: median of the bare matrix products of the same shapes, in the same turns; None: not measured.
        floor_ratio: how many times that the median is: the median over the turns of their ratios.
        energy_uj: microjoules a query, of the whole processor; None: not measured.
        noise: largest relative difference between the medians of the rounds.
        preemptions: times the system gave the core to someone else while the clock ran; each may be one slow query, so
            p99.9 and the maximum are the model's own only where this is 0. None: the system does not tell.
        valid: whether the machine was quiet enough for the figures to be compared.
        reasons: why they are not; none: they are.
    """

    threads: int
    core: int | None
    queries: int
    seconds: float
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float
    throughput_apps_s: float | None
    batch: int
    size_bytes: int
    floor_p50_us: float | None = None
    floor_ratio: float | None = None
    energy_uj: float | None = None
    noise: float
    preemptions: int | None
    valid: bool
    reasons: tuple[str, ...] = ()


def percentiles(rounds: Sequence[Round]) -> dict[str, float]:
    """The latencies of all rounds together, by the names that `Latency` gives them."""
    times = np.concatenate([part.times for part in rounds])
    names = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")
    return dict(zip(names, map(figure, np.percentile(times, [50, 90, 99, 99.9, 100])), strict=True))


def judged(rounds: Sequence[Round]) -> dict[str, Any]:
    """Noise, preemptions, and the verdict with its reasons, by the names that `Latency` gives them."""
    queries, preemptions = sum(len(part.times) for part in rounds), sum(part.preemptions for part in rounds)
    medians = [float(np.median(part.times)) for part in rounds]
    noise = (max(medians) - min(medians)) / min(medians)
    reasons = []
    if queries < FEWEST_QUERIES:
        reasons.append(f"only {queries} queries")
    if noise > NOISE_LIMIT:
        reasons.append(f"rounds differ by {noise:.0%}")
    if preemptions > PREEMPTION_LIMIT * queries:
        reasons.append(f"the core was taken away in {preemptions} of {queries} queries")
    return {
        "noise": figure(noise),
        "preemptions": preemptions,
        "valid": not reasons,
        "reasons": tuple(reasons),
    }


def against_floor(rounds: Sequence[Round], floor: Sequence[Round]) -> dict[str, float | None]:
    """Median of the floor and the ratio to it, by the names that `Latency` gives them; turn is held against turn."""
    ratios = [np.median(part.times) / np.median(bare.times) for part, bare in zip(rounds, floor, strict=True)]
    return {"floor_p50_us": percentiles(floor)["p50_us"], "floor_ratio": figure(float(np.median(ratios)))}


def figure(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")
