"""Pages of metrics as servers print them, over a small lake: which metrics there are, with which labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickData, TickStatus
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo
from prometheus_client.parser import text_string_to_metric_families

from dfp_platform.lake import Lake
from dfp_platform.lake.ownership import OWNER_PATH, Ownership, open_run_branch
from dfp_platform.metrics.exporter import Exporter, Part
from dfp_platform.metrics.models import ModelsPart
from dfp_platform.metrics.orchestration import RunsPart, SensorsPart
from dfp_platform.metrics.publications import LakePart
from dfp_platform.models.champions import Reign
from dfp_platform.schemas import Verdict
from dfp_platform.serving.drift import DriftReport, DriftSide

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Name and labels of a figure, to the figure."""


def samples(page: str) -> Samples:
    """Every figure of a page."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def figure(page: str, metric: str, **labels: str) -> float | None:
    """One figure of a page; None: it is not there."""
    return samples(page).get((metric, tuple(sorted(labels.items()))))


def names_on(page: str) -> dict[str, set[str]]:
    """Every name that an expression may use, with the labels seen; families without figures too."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page):
        ends = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(family.type, ("",))
        for end in ends:
            found.setdefault(family.name + end, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def spark_names() -> dict[str, set[str]]:
    """The same of Spark, as a real one printed them once."""
    lines = (Path(__file__).parent / "conformance/spark_metrics.txt").read_text().splitlines()
    told = [line.split() for line in lines if not line.startswith("#")]
    return {name: set(labels) for name, *labels in told}


def fill(lake: Lake) -> None:
    """A publication with a model that reigns, a check, a drift report; and one that is held back."""
    side = DriftSide(name="newest apps", apps=200, drifted=0.25, error_rise=0.1, score=0.25)
    report = DriftReport(
        model="autoencoder", version=1, content="c" * 64, trained_at="t", data="d", data_commit="e", score=0.25,
        limit=0.3, features=4, trained_rows=100, calibration_rows=100, sides=(side,), error_cuts=(), errors=(),
        synthetic=True,
    )  # fmt: skip
    reign = Reign(
        model="autoencoder", content="c" * 64, since=datetime(2026, 1, 1, tzinfo=UTC), why="first", reason="it is"
    )
    verdict = Verdict("reports/drift", "drift", "x", passed=False, figure=0.25, limit=0.3)
    lake.create_branch("work")
    changes: Mapping[str, Any] = {
        "models/champions/autoencoder.json": reign.to_json(),
        "reports/drift/report.json": report.to_json(),
        "checks/reports/drift/drift": json.dumps(asdict(verdict)).encode(),
    }
    lake.commit("work", changes, message="work")
    published = {"run": "1", "published": json.dumps(["reports/drift", "models/champions"])}
    lake.merge("work", message="publish run 1", metadata=published)
    lake.delete_branch("work")
    owner = Ownership(run_id="2", target="main", base=lake.resolve("main"))
    open_run_branch(lake, owner, source="main")
    held = Ownership(run_id="2", target="main", base=owner.base, state="held", reasons=("a check says no",))
    lake.commit("run-2", {OWNER_PATH: held.to_bytes()}, message="held back")


def sensor(instance: dg.DagsterInstance, name: str, ticked: Mapping[TickStatus, float]) -> None:
    """A sensor that is turned on, with ticks by their end."""
    place = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file="defs.py"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(place, "repository"), name)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING)
    if not any(known.instigator_name == name for known in instance.all_instigator_state()):
        instance.add_instigator_state(state)
    for status, at in ticked.items():
        error = SerializableErrorInfo("no", [], "Error") if status is TickStatus.FAILURE else None
        told = (state.instigator_origin_id, name, InstigatorType.SENSOR, status, at)
        tick = TickData(*told, selector_id=state.selector_id, error=error)
        instance.create_tick(tick)
    instance.add_daemon_heartbeat(DaemonHeartbeat(1_000.0, "SENSOR", "s1", []))


def exporter_page(lake: Lake, instance: dg.DagsterInstance) -> str:
    """What `dfp metrics serve` would show."""
    parts = {
        "lake": LakePart(lake, "main", {"lake": Path(lake.uri)}),
        "models": ModelsPart(lake, "main", 0.3),
        "runs": RunsPart(instance),
        "sensors": SensorsPart(instance),
    }
    return Exporter([Part(name, ask) for name, ask in parts.items()], part_seconds=60).page().decode()
