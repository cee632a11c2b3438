"""What a single answer costs on this machine: one thread, one app a query, runtimes in turn."""

from __future__ import annotations

import gc
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.records import Record
from dfp_platform.models.weights import CARD, load_model, read_card

QUICK_QUERIES = 1_024
"""Fewest queries for which p99.9 is not simply the slowest one."""

NOISE_LIMIT = 0.25
"""Rounds whose medians differ by more than this share were disturbed: the row is kept and marked invalid."""

PREEMPTION_LIMIT = 0.005
"""If the system took the core away in more than this share of the queries, it, not the model, made the p99."""

_ROUNDS = 4
_LOADS = 3
_MICROSECOND = 1_000  # nanoseconds
_TREES = "xgboost"


class Scoring(Protocol):
    """Anything that scores raw rows."""

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores, shape ``(apps,)``, of raw feature values."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to measure.

    Attributes:
        runtime: what computes, ``ONNX Runtime``.
        model: what is computed, ``autoencoder``.
        precision: number format of the weights.
        size: bytes of the model file.
        load: makes it ready from bytes in memory.
        columns: positions of its features among those of the apps that are asked about; None: all of them.
    """

    runtime: str
    model: str
    precision: str
    size: int
    load: Callable[[], Scoring]
    columns: tuple[int, ...] | None = None

    def rows(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """What it takes of the apps."""
        return matrix if self.columns is None else np.ascontiguousarray(matrix[:, list(self.columns)])


class LatencyRow(Record):
    """Latency of one runtime. Percentiles are microseconds per single-app query, linear between measured values.

    Attributes:
        runtime: what computes.
        model: what is computed.
        precision: number format of the weights.
        threads: always pinned to this many.
        queries: measured single-app queries, after the warm-up.
        p50_us: median; `p90_us`, `p99_us`, `p999_us` and `max_us` likewise.
        throughput_apps_s: apps a second in batches of `batch`.
        batch: apps a batch.
        load_ms: median milliseconds from bytes in memory to the first answer, libraries already imported.
        size_bytes: size of the model file.
        noise: largest relative difference between the medians of the rounds.
        preemptions: times the system gave the core to someone else while the clock ran; each may be one slow query, so
            p99.9 and the maximum are the model's own only where this is 0.
        valid: whether noise and preemptions are within `NOISE_LIMIT` and `PREEMPTION_LIMIT`.
    """

    runtime: str
    model: str
    precision: str
    threads: int
    queries: int
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float
    throughput_apps_s: float
    batch: int
    load_ms: float
    size_bytes: int
    noise: float
    preemptions: int
    valid: bool


class Machine(Record):
    """Where it was measured: figures of two machines are not compared."""

    cpu: str
    cores: int
    system: str
    python: str


class HostLatency(Record):
    """The report: one row a runtime, all measured in the same minutes on the same machine."""

    machine: Machine
    warm_up: int
    rounds: int
    rows: tuple[LatencyRow, ...]


def model_subject(files: Mapping[str, bytes], *, known: Sequence[str] | None = None) -> Subject:
    """A trained model by the library that trained it; `known` as in `artifact_subject`."""
    card = read_card(files)
    size = sum(len(data) for name, data in files.items() if name != CARD)
    return Subject(
        "XGBoost" if card.kind == _TREES else "PyTorch",
        card.name,
        "fp32",
        size,
        lambda: load_model(files),
        _places(card.features, known),
    )


def artifact_subject(artifact: MobileArtifact, *, known: Sequence[str] | None = None) -> Subject:
    """An exported model by the runtime it was exported for.

    Args:
        known: feature columns of the apps that will be asked about; None: those of the model.
    """
    exporter = EXPORTERS[artifact.card.exporter]
    return Subject(
        exporter.runtime,
        artifact.card.model,
        artifact.card.precision,
        len(artifact.data),
        lambda: exporter.load(artifact),
        _places(artifact.card.features, known),
    )


def _places(features: Sequence[str], known: Sequence[str] | None) -> tuple[int, ...] | None:
    if known is None or tuple(features) == tuple(known):
        return None
    place = {name: position for position, name in enumerate(known)}
    return tuple(place[name] for name in features)


def measure_latency(
    subjects: Sequence[Subject],
    matrix: NDArray[np.float32],
    *,
    queries: int = QUICK_QUERIES,
    warm_up: int = 128,
    batch: int = 1_024,
) -> HostLatency:
    """Latency and throughput of every subject on this machine.

    The subjects take turns, a quarter of the queries each, so that a disturbance falls on all of them; each query is
    one app of `matrix`, the same apps in the same order for everyone; garbage collection is off while the clock runs.

    Args:
        subjects: what to measure.
        matrix: raw feature values, shape ``(apps, features)``; apps are repeated if there are fewer than queries.
        queries: single-app queries per subject.
        warm_up: unmeasured queries before each subject's first.
        batch: apps a batch for the throughput.

    Raises:
        InputError: no app to ask about, or fewer queries than rounds.
    """
    if not len(matrix) or queries < _ROUNDS:
        raise InputError(
            f"{queries} queries over {len(matrix)} apps measure nothing", hint=f"at least {_ROUNDS} queries and one app"
        )
    ready = [(subject.load(), subject.rows(matrix)) for subject in subjects]
    for scorer, apps in ready:
        _query_times(scorer, apps, range(warm_up))
    rounds: list[list[_Round]] = [[] for _ in subjects]
    for part in np.array_split(np.arange(queries), _ROUNDS):
        for (scorer, apps), measured in zip(ready, rounds, strict=True):
            measured.append(_query_times(scorer, apps, part.tolist()))
    every = np.arange(batch) % len(matrix)
    rows = tuple(
        _row(
            subject, measured, throughput=_throughput(scorer, apps[every]), batch=batch, load_ms=_load_ms(subject, apps)
        )
        for subject, (scorer, apps), measured in zip(subjects, ready, rounds, strict=True)
    )
    return HostLatency(machine=this_machine(), warm_up=warm_up, rounds=_ROUNDS, rows=rows)


def this_machine() -> Machine:
    """The machine this process runs on."""
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Round:
    """Microseconds of each query of a round, and how often the core was taken away meanwhile."""

    times: NDArray[np.float64]
    preemptions: int


def _row(subject: Subject, rounds: Sequence[_Round], *, throughput: float, batch: int, load_ms: float) -> LatencyRow:
    times = np.concatenate([part.times for part in rounds])
    preemptions = sum(part.preemptions for part in rounds)
    medians = [float(np.median(part.times)) for part in rounds]
    noise = (max(medians) - min(medians)) / min(medians)
    p50, p90, p99, p999 = np.percentile(times, [50, 90, 99, 99.9])
    return LatencyRow(
        runtime=subject.runtime,
        model=subject.model,
        precision=subject.precision,
        threads=1,
        queries=times.size,
        p50_us=_figure(p50),
        p90_us=_figure(p90),
        p99_us=_figure(p99),
        p999_us=_figure(p999),
        max_us=_figure(times.max()),
        throughput_apps_s=_figure(throughput),
        batch=batch,
        load_ms=_figure(load_ms),
        size_bytes=subject.size,
        noise=_figure(noise),
        preemptions=preemptions,
        valid=noise <= NOISE_LIMIT and preemptions <= PREEMPTION_LIMIT * times.size,
    )


def _query_times(scorer: Scoring, matrix: NDArray[np.float32], positions: Sequence[int]) -> _Round:
    apps = [matrix[position % len(matrix)][None, :] for position in positions]
    clock, score = time.perf_counter_ns, scorer.score
    times = np.empty(len(apps), dtype=np.float64)
    with _without_collection():
        before = _preemptions()
        for index, app in enumerate(apps):
            begin = clock()
            score(app)
            times[index] = clock() - begin
        preemptions = _preemptions() - before
    return _Round(times / _MICROSECOND, preemptions)


def _preemptions() -> int:
    """Involuntary context switches so far, of this thread where the system tells, else of the process."""
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nivcsw


def _throughput(scorer: Scoring, rows: NDArray[np.float32]) -> float:
    """Apps a second, best of the rounds: a disturbance only ever slows down."""
    scorer.score(rows)
    best = float("inf")
    with _without_collection():
        for _ in range(_ROUNDS):
            begin = time.perf_counter_ns()
            scorer.score(rows)
            best = min(best, time.perf_counter_ns() - begin)
    return len(rows) / (best / 1e9)


def _load_ms(subject: Subject, matrix: NDArray[np.float32]) -> float:
    times = []
    for _ in range(_LOADS):
        begin = time.perf_counter_ns()
        subject.load().score(matrix[:1])
        times.append((time.perf_counter_ns() - begin) / 1e6)
    return statistics.median(times)


@contextmanager
def _without_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _figure(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
