"""The toy line with its own lake and Dagster instance, as tests drive it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dfp_platform.catalog import content_at
from dfp_platform.lake import Lake, open_lake
from dfp_platform.publishing.launch import RunOutcome, publish_run, rerun, run_job
from dfp_platform.publishing.publication import Outcome
from dfp_platform.publishing.truth import ABSENT
from dfp_platform.resources.dagster_internals import (
    ASSET_JOB,
    Graph,
    graph_of,
    latest_data_versions,
    project_instance,
)
from dfp_platform.settings import PROJECT_ROOT, settings
from tests import toy_line

ASSETS = ("reports/a", "reports/b", "reports/c")


@dataclass
class Toy:
    """The small code location with its own lake and its own Dagster instance. `address`: of a lake elsewhere."""

    home: Path
    instance: dg.DagsterInstance
    address: str = ""

    @property
    def lake(self) -> Lake:
        return open_lake(self.address or self.home / "lake", create=True)

    @property
    def graph(self) -> Graph:
        return graph_of(toy_line.defs().resolve_asset_graph())

    def turn(self, name: str, value: str) -> None:
        toy_line.turn(self.home, name, value)

    def run(self, *, job: str = ASSET_JOB, **options: Any) -> RunOutcome:
        return run_job(job=job, instance=self.instance, module="tests.toy_line", **options)

    def run_beside_somebody(self) -> RunOutcome:
        """A run whose a is "ours", held back because somebody else has changed it to "theirs" meanwhile."""
        self.turn("a.value", "ours")

        def somebody_else(event: Any) -> None:
            if event.is_step_success and event.step_key == "reports__a":
                self.lake.commit("main", {"reports/a/report.json": b"theirs"}, message="by hand")

        held = self.run(progress=somebody_else)
        assert not held.success
        return held

    def rerun(self, run_id: str, **options: Any) -> RunOutcome:
        return rerun(run_id, instance=self.instance, module="tests.toy_line", **options)

    def publish(self, run_id: str) -> Outcome:
        return publish_run(run_id, instance=self.instance, graph=self.graph)

    def text(self, name: str, ref: str = "main") -> str | None:
        path = f"reports/{name}/report.json"
        return self.lake.read(ref, path).decode() if self.lake.exists(ref, path) else None

    def pages_equal_main(self) -> bool:
        shown = {asset: version for asset, (version, _) in latest_data_versions(self.instance, ASSETS).items()}
        return all(version == (content_at(self.lake, "main", asset) or ABSENT) for asset, version in shown.items())


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    settings.cache_clear()
    with project_instance(PROJECT_ROOT, tmp_path / "dagster") as instance:
        yield Toy(tmp_path, instance)
    settings.cache_clear()
