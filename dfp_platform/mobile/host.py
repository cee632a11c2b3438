"""The host benchmark: every artifact by the whole protocol, how good each is, and how far it differs from last time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import CorruptLakeError
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.benchmark import LatencyRow
from dfp_platform.mobile.floor import products_of
from dfp_platform.mobile.fresh import ColdStart, Questions, cold_start, latency_of
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.mobile.machine import Machine
from dfp_platform.mobile.parity import Parity, check_parity
from dfp_platform.mobile.protocol import PROTOCOL_VERSION, Mode, figure
from dfp_platform.mobile.row import HOST, BenchmarkRow, changes
from dfp_platform.models.metrics import Ranking, average_precision, roc_auc
from dfp_platform.models.records import Record

DELEGATES = {"litert": "XNNPACK", "executorch": "XNNPACK"}
"""What computes the matrix products of an exporter's artifacts, where that is not the runtime itself."""


class Quality(Record):
    """How good the answers of one artifact are, whatever device gives them.

    Attributes:
        artifact: its name.
        artifact_sha256: digest of its model file.
        apps: of the test of its model's own split; 0: there are none, and no figure.
        roc_auc: the chance that a malware app scores above a benign one; None without both labels.
        average_precision: likewise.
        parity: how far it is from PyTorch.
    """

    artifact: str
    artifact_sha256: str
    apps: int
    roc_auc: float | None
    average_precision: float | None
    parity: Parity


class HostBenchmark(Record):
    """The report: one row an artifact, all measured in one run on one machine.

    Attributes:
        machine: that one.
        lake_commit: what the artifacts were read at.
        changes: artifact → relative change of its median since the run before; none for what is new.
        synthetic: whether a model was trained on generated apps.
    """

    machine: Machine
    lake_commit: str
    protocol_version: str
    mode: str
    rows: tuple[BenchmarkRow, ...]
    quality: tuple[Quality, ...]
    changes: dict[str, float]
    synthetic: bool

    @classmethod
    def rows_in(cls, data: bytes | None) -> tuple[BenchmarkRow, ...]:
        """The rows of a report; none where there is none, or one of another version of the code."""
        try:
            return cls.from_json(data).rows if data else ()
        except CorruptLakeError:
            return ()


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What is to be measured of one model.

    Attributes:
        weights: its files.
        artifacts: made from them.
        matrix: raw values of its test apps, in the order of its features.
        labels: of these, 1 is malware.
    """

    weights: Mapping[str, bytes]
    artifacts: tuple[MobileArtifact, ...]
    matrix: NDArray[np.float32]
    labels: NDArray[np.int8]


def benchmark_host(
    models: Sequence[Measured],
    *,
    lake_commit: str,
    mode: Mode,
    seed: int,
    before: Sequence[BenchmarkRow] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> HostBenchmark:
    """Every artifact of the models by the protocol.

    Args:
        lake_commit: what they were read at.
        mode: how much is measured.
        seed: of the outliers that parity is checked on.
        before: rows of the run before.
        progress: told what is done.
    """
    rows: list[BenchmarkRow] = []
    quality: list[Quality] = []
    told: Machine | None = None
    for model in models:
        questions = Questions(model.matrix, model.artifacts[0].card.features)
        name = model.artifacts[0].card.model
        progress(f"{name}: latency of {len(model.artifacts)} artifacts")
        latency = latency_of(model.artifacts, questions, products={name: products_of(model.weights)}, mode=mode)
        told = latency.machine
        for artifact, measured in zip(model.artifacts, latency.rows, strict=True):
            progress(f"{artifact.card.name}: {mode.cold} cold starts, parity")
            starts = [cold_start(artifact, questions) for _ in range(mode.cold)]
            rows.append(_row(artifact, measured, starts, latency.machine, lake_commit=lake_commit, mode=mode))
            quality.append(quality_of(model, artifact, seed=seed))
    assert told is not None, "a benchmark of no model is not asked for"
    return HostBenchmark(
        machine=told,
        lake_commit=lake_commit,
        protocol_version=PROTOCOL_VERSION,
        mode=mode.name,
        rows=tuple(rows),
        quality=tuple(quality),
        changes=changes(rows, before),
        synthetic=any(artifact.card.synthetic for model in models for artifact in model.artifacts),
    )


def quality_of(model: Measured, artifact: MobileArtifact, *, seed: int) -> Quality:
    """Parity with PyTorch, and how the artifact ranks the test apps."""
    scores = EXPORTERS[artifact.card.exporter].load(artifact).score(model.matrix)
    counts = Ranking.of(model.labels, scores).counts()
    return Quality(
        artifact=artifact.card.name,
        artifact_sha256=artifact.sha256,
        apps=len(model.matrix),
        roc_auc=roc_auc(*counts),
        average_precision=average_precision(*counts),
        parity=check_parity(model.weights, artifact, model.matrix, labels=model.labels, seed=seed),
    )


def _row(
    artifact: MobileArtifact,
    measured: LatencyRow,
    starts: Sequence[ColdStart],
    told: Machine,
    *,
    lake_commit: str,
    mode: Mode,
) -> BenchmarkRow:
    card = artifact.card
    shared = measured.model_dump(exclude={"load_ms"})
    return BenchmarkRow.model_validate(
        {
            **shared,
            "kind": HOST,
            "device": told.cpu,
            "soc": told.cpu,
            "os_build": f"{told.system}, Python {told.python}",
            "exporter": card.exporter,
            "artifact": card.name,
            "artifact_sha256": artifact.sha256,
            "lake_commit": lake_commit,
            "protocol_version": PROTOCOL_VERSION,
            "mode": mode.name,
            "delegate": DELEGATES.get(card.exporter, ""),
            "warm_up": mode.warm_up,
            "first_us": figure(statistics.median(start.first_us for start in starts)),
            "cold_load_ms": figure(statistics.median(start.load_ms for start in starts)),
            "cold_loads": len(starts),
            "import_ms": figure(statistics.median(start.import_ms for start in starts)),
            "baseline_memory_bytes": int(statistics.median(start.baseline_bytes for start in starts)),
            "peak_memory_bytes": int(statistics.median(start.peak_bytes for start in starts)),
        }
    )
