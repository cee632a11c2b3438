"""The toy line with its last asset for a model: a sensor that follows it, and the two jobs that the sensor starts."""

from __future__ import annotations

from typing import Any

import dagster as dg

from dfp_platform.lake import Lake
from dfp_platform.publishing.launch import RunOutcome, outcome_of, rerun
from dfp_platform.resources.dagster_launching import launch_here
from dfp_platform.sensors.retraining import retraining
from tests import toy_line
from tests.toy_harness import Toy

MODEL = "reports/c"
NAME = "tests.toy_retraining"


class Clock:
    """Time that a test holds."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


def defs() -> dg.Definitions:
    """The code location."""
    train = dg.define_asset_job("train", dg.AssetSelection.assets(["reports", "c"]))
    rebuild = dg.define_asset_job("whole", dg.AssetSelection.assets(*(["reports", name] for name in "abc")))
    sensor = retraining([MODEL], train=train, rebuild=rebuild, clock=CLOCK)
    return dg.Definitions.merge(toy_line.defs(), dg.Definitions(jobs=[train, rebuild], sensors=[sensor]))


class Ticking:
    """The sensor with its cursor, ticked by hand, over the lake and the instance of a toy."""

    def __init__(self, toy: Toy) -> None:
        self._toy = toy
        self._repository = defs().get_repository_def()
        self.cursor: str | None = None

    def tick(self, *, seconds: float = 0.0) -> Any:
        """What the daemon gets: run requests, or a reason to skip; the cursor is kept as the daemon keeps it."""
        CLOCK.now += seconds
        sensor = self._repository.get_sensor_def("retrain")
        with dg.build_sensor_context(
            self._toy.instance, cursor=self.cursor, repository_def=self._repository, sensor_name="retrain"
        ) as context:
            told = sensor.evaluate_tick(context)
        self.cursor = told.cursor
        return told

    def run(self, request: dg.RunRequest) -> RunOutcome:
        """What the daemon does with a request, here."""
        ids: list[str] = []
        events = launch_here(
            self._toy.instance,
            NAME,
            job=str(request.job_name),
            selection=request.asset_selection,
            tags=request.tags,
            on_start=ids.append,
        )
        for _ in events:
            pass
        return outcome_of(self._toy.instance, ids[0])

    def rerun(self, run_id: str) -> RunOutcome:
        return rerun(run_id, instance=self._toy.instance, module=NAME)


def by_hand(lake: Lake, name: str, text: str, *, branch: str = "main") -> str:
    """A commit that no run made."""
    return lake.commit(branch, {f"reports/{name}/report.json": text.encode()}, message="by hand")


def all_by_hand(lake: Lake) -> str:
    """One commit of all three assets, each of which was then made from what lies beside it."""
    return lake.commit(
        "main", {f"reports/{name}/report.json": f"{name}0".encode() for name in "abc"}, message="by hand"
    )
