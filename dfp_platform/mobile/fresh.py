"""Measurements in processes that do nothing else: `python -m dfp_platform.mobile.fresh <what> <folder>` is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import DfpError, PermanentError
from dfp_platform.mobile import machine
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.benchmark import HostLatency, artifact_subject, measure_latency
from dfp_platform.mobile.floor import Shapes
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.mobile.protocol import MODES, Mode
from dfp_platform.models.records import Record

_TOLD, _APPS, _ASKED = "told.json", "apps.npy", "asked.json"
_QUERIES = 128  # answers after which a runtime's memory has stopped growing
_LIMIT = 600  # seconds; none takes a tenth of it


class ColdStart(Record):
    """What one fresh process saw, see `row.BenchmarkRow`."""

    import_ms: float
    load_ms: float
    first_us: float
    baseline_bytes: int
    peak_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Apps to ask about: raw feature values, shape ``(apps, features)``, and the names of the columns."""

    matrix: NDArray[np.float32]
    features: tuple[str, ...]


def latency_of(
    artifacts: Sequence[MobileArtifact], questions: Questions, *, products: Mapping[str, Shapes], mode: Mode
) -> HostLatency:
    """`benchmark.measure_latency` of all artifacts, in one process that does nothing else; rows in their order.

    Args:
        products: name of a model → its matrix products.
    """
    with _folder(artifacts, questions, {"mode": mode.name, "products": products}) as folder:
        return HostLatency.from_json(_run("latency", folder))


def cold_start(artifact: MobileArtifact, questions: Questions) -> ColdStart:
    """Import, load, first answer and memory of one artifact in a fresh process."""
    with _folder([artifact], questions, {}) as folder:
        return ColdStart.from_json(_run("cold", folder))


def _run(what: str, folder: Path) -> bytes:
    """What a fresh process told. Raises PermanentError: it ended otherwise, with its last words."""
    command = [sys.executable, "-W", "ignore", "-m", "dfp_platform.mobile.fresh", what, str(folder)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, timeout=_LIMIT)
    if done.returncode or not (folder / _TOLD).exists():
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise PermanentError(
            f"the measuring process ended with {done.returncode}: {words[-1] if words else 'it said nothing'}",
            hint="run `dfp predict` with the same artifact to see whether its runtime works here",
        )
    return (folder / _TOLD).read_bytes()


@contextmanager
def _folder(artifacts: Sequence[MobileArtifact], questions: Questions, asked: Mapping[str, object]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dfp-fresh-") as name:
        folder = Path(name)
        np.save(folder / _APPS, questions.matrix)
        for place, artifact in enumerate(artifacts):
            (folder / str(place)).mkdir()
            for file, data in artifact.files.items():
                (folder / str(place) / file).write_bytes(data)
        told = {**asked, "artifacts": len(artifacts), "features": questions.features}
        (folder / _ASKED).write_text(json.dumps(told))
        yield folder


def _artifact(folder: Path, place: int) -> MobileArtifact:
    return MobileArtifact.from_files({path.name: path.read_bytes() for path in (folder / str(place)).iterdir()})


def _latency(folder: Path) -> HostLatency:
    asked = json.loads((folder / _ASKED).read_text())
    products = {model: tuple((a, b) for a, b in shapes) for model, shapes in asked["products"].items()}
    artifacts = [_artifact(folder, place) for place in range(asked["artifacts"])]
    subjects = [
        artifact_subject(each, known=asked["features"], shapes=products.get(each.card.model, ())) for each in artifacts
    ]
    return measure_latency(subjects, np.load(folder / _APPS), mode=MODES[asked["mode"]])


def _cold(folder: Path) -> ColdStart:
    """Its own libraries are here already; what the runtime brings is imported under the clock, then loading is."""
    artifact, matrix = _artifact(folder, 0), np.load(folder / _APPS)
    exporter, known = EXPORTERS[artifact.card.exporter], json.loads((folder / _ASKED).read_text())["features"]
    apps = artifact_subject(artifact, known=known).rows(matrix)[:_QUERIES]
    clock = time.perf_counter_ns
    began = clock()
    for module in exporter.modules:
        import_module(module)
    imported = clock()
    baseline = machine.resident_bytes()
    machine.forget_peak()
    ready_from = clock()
    runtime = exporter.load(artifact)
    ready = clock()
    runtime.score(apps[:1])
    answered = clock()
    for app in apps:
        runtime.score(app[None])
    return ColdStart(
        import_ms=(imported - began) / 1e6,
        load_ms=(ready - ready_from) / 1e6,
        first_us=(answered - ready) / 1e3,
        baseline_bytes=baseline,
        peak_bytes=machine.peak_bytes(),
    )


_ACTS = {"latency": _latency, "cold": _cold}

if __name__ == "__main__":
    _, what, place = sys.argv
    try:
        answer = _ACTS[what](Path(place)).to_json()
    except DfpError as error:
        sys.exit(error.message)
    Path(place, _TOLD).write_bytes(answer)
