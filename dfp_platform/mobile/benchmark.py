"""What a single answer costs on this machine: one thread, one core, one app a query, runtimes in turn."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.mobile import machine
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.floor import BareProducts, Shapes, one_blas_thread
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.mobile.machine import Machine
from dfp_platform.mobile.protocol import (
    GLANCE,
    PROTOCOL_VERSION,
    Latency,
    Mode,
    Round,
    against_floor,
    figure,
    judged,
    percentiles,
)
from dfp_platform.models.records import Record
from dfp_platform.models.weights import CARD, load_model, read_card

Clock = Callable[[], int]
"""Nanoseconds since some moment."""

_BLOCK = 64  # queries between two looks at whether a turn has lasted long enough
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
        shapes: its matrix products, for the floor beneath it; empty: it is held against none.
    """

    runtime: str
    model: str
    precision: str
    size: int
    load: Callable[[], Scoring]
    columns: tuple[int, ...] | None = None
    shapes: Shapes = ()

    def rows(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """What it takes of the apps."""
        return matrix if self.columns is None else np.ascontiguousarray(matrix[:, list(self.columns)])


class LatencyRow(Latency):
    """Latency of one runtime.

    Attributes:
        runtime: what computes.
        model: what is computed.
        precision: number format of the weights.
        load_ms: median milliseconds from bytes in memory to the first answer, libraries already imported.
    """

    runtime: str
    model: str
    precision: str
    load_ms: float


class HostLatency(Record):
    """The report: one row a runtime, all measured in the same minutes on the same machine."""

    machine: Machine
    protocol_version: str
    mode: str
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


def artifact_subject(artifact: MobileArtifact, *, known: Sequence[str] | None = None, shapes: Shapes = ()) -> Subject:
    """An exported model by the runtime it was exported for.

    Args:
        known: feature columns of the apps that will be asked about; None: those of the model.
        shapes: its matrix products, see `floor.products_of`.
    """
    exporter = EXPORTERS[artifact.card.exporter]
    return Subject(
        exporter.runtime,
        artifact.card.model,
        artifact.card.precision,
        len(artifact.data),
        lambda: exporter.load(artifact),
        _places(artifact.card.features, known),
        shapes,
    )


def _places(features: Sequence[str], known: Sequence[str] | None) -> tuple[int, ...] | None:
    if known is None or tuple(features) == tuple(known):
        return None
    place = {name: position for position, name in enumerate(known)}
    return tuple(place[name] for name in features)


@dataclass(slots=True, eq=False)
class _Ready:
    """A subject that is loaded, what it is asked, and its turns so far."""

    scorer: Scoring
    apps: NDArray[np.float32]
    rounds: list[Round] = field(default_factory=list)
    asked: int = 0

    def ask(self, queries: int, seconds: float, clock: Clock) -> None:
        """One turn: at least so many queries, for at least so long."""
        measured = _turn(self.scorer, self.apps, self.asked, queries, seconds, clock)
        self.asked += len(measured.times)
        self.rounds.append(measured)


def measure_latency(
    subjects: Sequence[Subject],
    matrix: NDArray[np.float32],
    *,
    mode: Mode = GLANCE,
    clock: Clock = time.perf_counter_ns,
) -> HostLatency:
    """Latency and throughput of every subject on this machine, by the protocol.

    The subjects take turns, so that a disturbance falls on all of them, each after the bare matrix products of its own
    shapes; each query is one app of `matrix`, the same apps in the same order for everyone; garbage collection is off
    while the clock runs.

    Args:
        subjects: what to measure.
        matrix: raw feature values, shape ``(apps, features)``; apps are repeated if there are fewer than queries.
        mode: how much.
        clock: nanoseconds.

    Raises:
        InputError: no app to ask about, or fewer queries than rounds.
    """
    if not len(matrix) or mode.queries < mode.rounds:
        raise InputError(
            f"{mode.queries} queries over {len(matrix)} apps measure nothing",
            hint=f"at least {mode.rounds} queries and one app",
        )
    with machine.one_core() as core, one_blas_thread(), _without_collection():
        floors = {s.shapes: _Ready(BareProducts(s.shapes), matrix) for s in subjects if s.shapes}
        ready = [_Ready(subject.load(), subject.rows(matrix)) for subject in subjects]
        everyone = [*floors.values(), *ready]
        for each in everyone:
            _turn(each.scorer, each.apps, 0, mode.warm_up, 0.0, clock)
        for part in np.array_split(np.arange(mode.queries), mode.rounds):
            for each in everyone:
                each.ask(len(part), mode.seconds / mode.rounds, clock)
        rows = tuple(
            _row(subject, each, floors.get(subject.shapes), mode=mode, core=core, clock=clock)
            for subject, each in zip(subjects, ready, strict=True)
        )
    return HostLatency(
        machine=machine.this_machine(),
        protocol_version=PROTOCOL_VERSION,
        mode=mode.name,
        warm_up=mode.warm_up,
        rounds=mode.rounds,
        rows=rows,
    )


def _row(
    subject: Subject, ready: _Ready, floor: _Ready | None, *, mode: Mode, core: int | None, clock: Clock
) -> LatencyRow:
    every = np.arange(mode.batch) % len(ready.apps)
    energies = [part.energy_uj for part in ready.rounds if part.energy_uj is not None]
    told = {
        **percentiles(ready.rounds),
        **judged(ready.rounds),
        **(against_floor(ready.rounds, floor.rounds) if floor else {}),
    }
    return LatencyRow.model_validate(
        {
            "runtime": subject.runtime,
            "model": subject.model,
            "precision": subject.precision,
            "threads": 1,
            "core": core,
            "queries": ready.asked,
            "seconds": figure(sum(float(part.times.sum()) for part in ready.rounds) / 1e6),
            "throughput_apps_s": figure(_throughput(ready.scorer, ready.apps[every], mode.rounds, clock)),
            "batch": mode.batch,
            "load_ms": figure(_load_ms(subject, ready.apps, clock)),
            "size_bytes": subject.size,
            "energy_uj": figure(sum(energies) / ready.asked) if len(energies) == len(ready.rounds) else None,
            **told,
        }
    )


def _turn(
    scorer: Scoring, matrix: NDArray[np.float32], first: int, queries: int, seconds: float, clock: Clock
) -> Round:
    """Ask about apps from the `first` on, one at a time."""
    blocks: list[NDArray[np.float64]] = []
    asked, spent = 0, 0.0
    energy, taken = machine.energy_uj(), machine.preemptions()
    while asked < queries or spent < seconds:
        size = min(_BLOCK, queries - asked) if asked < queries else _BLOCK
        apps = [matrix[(first + asked + place) % len(matrix)][None, :] for place in range(size)]
        blocks.append(_query_times(scorer, apps, clock))
        asked, spent = asked + size, spent + float(blocks[-1].sum()) / 1e9
    taken = machine.preemptions() - taken
    times = np.concatenate(blocks) if blocks else np.empty(0)
    return Round(times / _MICROSECOND, taken, _spent(energy, machine.energy_uj()))


def _query_times(scorer: Scoring, apps: Sequence[NDArray[np.float32]], clock: Clock) -> NDArray[np.float64]:
    """Nanoseconds of each query."""
    times, score = np.empty(len(apps), dtype=np.float64), scorer.score
    for index, app in enumerate(apps):
        begin = clock()
        score(app)
        times[index] = clock() - begin
    return times


def _spent(before: float | None, after: float | None) -> float | None:
    """Microjoules between two readings; None where one is missing or the counter began anew."""
    return None if before is None or after is None or after < before else after - before


def _throughput(scorer: Scoring, rows: NDArray[np.float32], rounds: int, clock: Clock) -> float:
    """Apps a second, best of the rounds: a disturbance only ever slows down."""
    scorer.score(rows)
    best = float("inf")
    for _ in range(rounds):
        begin = clock()
        scorer.score(rows)
        best = min(best, clock() - begin)
    return len(rows) / (best / 1e9)


def _load_ms(subject: Subject, matrix: NDArray[np.float32], clock: Clock) -> float:
    times = []
    for _ in range(3):
        begin = clock()
        subject.load().score(matrix[:1])
        times.append((clock() - begin) / 1e6)
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
