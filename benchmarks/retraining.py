"""Retraining under load: `python -m benchmarks.retraining [--json] [--quick]`.

An hour on a clock that this file holds: 500 commits by others on 200 branches, a tick of the sensor's decisions every
30 seconds, a queue in which 200 retrainings wait before the first may run, runs of which one in five fails. Counted
are changes that two runs were started for, and branches whose models do not follow from what stands there though no
run of theirs failed. Then the real sensor is ticked over a lake of 10,000 commits, with 200 retrainings under way in
Dagster. Ends with 1 if a limit of the project is broken.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, milliseconds, parser, row, show

HOUR, EVERY = 3_600.0, 30.0


def an_hour(folder: Path, *, branches: int, commits: int, seed: int = 7) -> Row:
    """Milliseconds of a tick within the hour, and what was lost or doubled by its end."""
    from dfp_platform.lake import open_lake
    from tests.retraining_world import DATA, MODEL, RAW, World

    world = World(open_lake(folder / "hour", create=True), patterns=("feature-*",))
    world.lake.commit("main", {RAW: b"0", DATA: b"made of 0", MODEL: b"trained on it"}, message="before")
    names = [f"feature-{n}" for n in range(branches)]
    for name in names:
        world.lake.create_branch(name)
    draw = random.Random(seed)
    later = [draw.choice(names) for _ in range(commits - branches)]
    times = sorted(draw.uniform(0, HOUR) for _ in range(commits))
    coming = list(zip(times, [*names, *later], strict=True))
    ticks, most = [], 0
    while world.now < HOUR:
        world.now += EVERY
        while coming and coming[0][0] <= world.now:
            _, name = coming.pop(0)
            asset = DATA if world.epochs[name] == 0 else draw.choice((RAW, DATA, "reports/other"))
            world.put(name, asset, f"{asset} {len(coming)}")
        ticks.append(milliseconds(world.decided))
        most = max(most, len(world.waiting()))
        if most >= branches or world.now > HOUR * 0.9:
            for run in world.waiting()[: branches // 20]:
                world.finish(run, fails=draw.random() < 0.2)
    failed = {run.request.branch for run in world.runs if run.status == "FAILURE"}
    for _ in range(4):
        world.come_to_rest()
    lost = [name for name in names if not world.settled(name) and name not in failed]
    doubled = sum(number - 1 for number in world.asked.values())
    facts = {"commits": commits, "runs": len(world.runs), "queued at most": most, "lost": len(lost)}
    told = row(f"an hour on {branches} branches: a tick", ticks, **facts, doubled=doubled)
    return told.limited(len(lost) + doubled, 0, "none lost, none doubled")


class Ticked:
    """The real sensor over a lake in a state folder of its own, which the environment names.

    Args:
        commits: how many the lake has, at least.
        runs: retrainings that Dagster has under way.
    """

    def __init__(self, home: Path, *, commits: int, runs: int) -> None:
        os.environ |= {"DFP_HOME": str(home), "DFP_RETRAINING_BRANCHES": "main,feature-*"}
        from dfp_platform.definitions import compose
        from dfp_platform.lake import open_lake
        from dfp_platform.resources.dagster_internals import project_instance
        from dfp_platform.settings import PROJECT_ROOT, settings

        settings.cache_clear()
        self.lake = open_lake(home / "lake", create=True)
        self._repository = compose().get_repository_def()
        self._opened = project_instance(PROJECT_ROOT, home / "dagster")
        self._instance = self._opened.__enter__()
        self._cursor: str | None = None
        self._fill(commits, runs)

    def _fill(self, commits: int, runs: int) -> None:
        import pyarrow as pa

        from dfp_platform.catalog import open_catalog, overwrite
        from dfp_platform.publishing.staleness import upstream
        from dfp_platform.resources.dagster_internals import graph_of

        graph = graph_of(self._repository.asset_graph)
        for asset in upstream(graph, ["models/autoencoder", "models/xgboost"]):
            if asset.startswith("tables/"):
                overwrite(
                    open_catalog(self.lake), asset.removeprefix("tables/").replace("/", "."), pa.table({"n": [1]})
                )
            else:
                self.lake.commit("main", {f"{asset}/card.json": asset.encode()}, message=asset)
        for n in range(commits):
            self.lake.commit("main", {f"notes/{n // 100}/{n}": b"%d" % n}, message=f"note {n}")
        self.under_way("feature-0", runs)

    def under_way(self, branch: str, number: int) -> None:
        """Retrainings of a branch that are under way."""
        from dagster import DagsterRunStatus

        from dfp_platform.sensors.retraining import REQUEST_TAG, RETRAINS_TAG

        job = self._repository.get_job("publish")
        for n in range(number):
            self._instance.create_run_for_job(
                job,
                run_config={"ops": {"publish_held_run": {"config": {"run_id": "none"}}}},
                tags={RETRAINS_TAG: branch, REQUEST_TAG: f"{branch}@{n}"},
                status=DagsterRunStatus.STARTED,
            )

    def change(self, branch: str, number: int) -> None:
        """A commit by another that changes what models are trained on."""
        import pyarrow as pa

        from dfp_platform.catalog import open_catalog, overwrite

        overwrite(open_catalog(self.lake, branch), "marts.fct_training_dataset", pa.table({"n": [number]}))

    def tick(self) -> Any:
        """One tick, as the daemon has it."""
        import dagster as dg

        sensor = self._repository.get_sensor_def("retrain")
        with dg.build_sensor_context(
            self._instance, cursor=self._cursor, repository_def=self._repository, sensor_name="retrain"
        ) as context:
            told = sensor.evaluate_tick(context)
        self._cursor = told.cursor
        return told

    def close(self) -> None:
        """Close Dagster's storage."""
        self._opened.__exit__(None, None, None)


def real_ticks(folder: Path, *, commits: int, branches: int, times: int) -> Sequence[Row]:
    """Milliseconds of ticks of the real sensor."""
    ticked = Ticked(folder / "real", commits=commits, runs=200)

    def measured(what: str, before: Any, count: int, *, limited: bool = True) -> Row:
        taken = []
        for n in range(count):
            before(n)
            taken.append(milliseconds(ticked.tick))
        told = row(f"{commits:,} commits, {what}", taken)
        return told.limited(told.p99_ms, 1_000, "1 s") if limited else told

    def branch(_: int) -> None:
        for n in range(branches):
            ticked.lake.create_branch(f"feature-{n}")
            ticked.change(f"feature-{n}", n)

    try:
        return [
            measured("first tick of a process", lambda _: None, 1),
            measured("nothing moved", lambda _: None, times),
            measured("head moved", lambda n: ticked.lake.commit("main", {f"more/{n}": b"1"}, message="more"), times),
            measured("training table changed", lambda n: ticked.change("main", 10 + n), times),
            measured(f"{branches} new branches, each changed", branch, 1, limited=False),
            measured("the ticks after it", lambda _: None, 10, limited=False),
        ]
    finally:
        ticked.close()


def main() -> int:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help="a lake of 1,000 commits and an hour of 20 branches")
    told = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="dfp-bench-") as folder:
        began = time.monotonic()
        hour = an_hour(Path(folder), branches=20 if told.quick else 200, commits=50 if told.quick else 500)
        ticks = real_ticks(
            Path(folder), commits=1_000 if told.quick else 10_000, branches=20 if told.quick else 200, times=20
        )
        print(f"took {time.monotonic() - began:.0f} s", file=sys.stderr)
    return show([hour, *ticks], as_json=told.json)


if __name__ == "__main__":
    sys.exit(main())
