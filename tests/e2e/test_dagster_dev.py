"""A bare `dagster dev` in the root, with no DAGSTER_HOME, shows what `make demo` made, and stays small."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from dfp_platform.assets.choices import beyond_the_line
from tests.e2e.conftest import Demo, end
from tests.local_servers import PATIENCE, free_port, until

MEMORY_LIMIT = 700e6
"""Bytes of proportional set size that all processes of `dagster dev` may take together."""

NOT_AT_LOAD = ("mlflow", "feast", "pandas", "pyarrow.dataset", "pyspark", "kubernetes", "torch", "tensorflow")

MATERIALIZED = """{ assetsOrError { ... on AssetConnection { nodes {
    key { path } assetMaterializations(limit: 1) { runId metadataEntries { label } } } } } }"""


TICKS = """{ sensorOrError(sensorSelector: {
    repositoryName: "__repository__", repositoryLocationName: "dfp", sensorName: "reconcile_runs"}) {
    ... on Sensor { sensorState { ticks { status skipReason } } } } }"""


PARTED = """{ assetNodes(assetKeys: [{path: ["tables", "marts", "fct_apps_by_month"]}]) {
    partitionStats { numPartitions numMaterialized } } }"""


def ask(port: int, question: str) -> dict[str, Any]:
    answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": question}, timeout=20)
    answer.raise_for_status()
    return answer.json()["data"]


def until_it_answers(port: int, process: subprocess.Popen[bytes], *, seconds: float = PATIENCE) -> None:
    def answers() -> bool:
        assert process.poll() is None, "dagster dev ended by itself"
        return httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=5).is_success

    until(answers, ignore=(httpx.TransportError,), seconds=seconds)


def first_tick(port: int) -> str:
    """What the reconciling sensor did on its first tick, which tells the pages of partitions by another process."""

    def ended() -> list[dict]:
        return [t for t in ask(port, TICKS)["sensorOrError"]["sensorState"]["ticks"] if t["status"] != "STARTED"]

    last = until(ended)[-1]
    return last["skipReason"] or last["status"]


def proportional_memory(pid: int) -> dict[str, int]:
    """Bytes of each process of a family, by its command line; pages that several use count in shares."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return {f"{process.pid}: {' '.join(process.cmdline())}": process.memory_full_info().pss for process in family}


def settled(pid: int) -> dict[str, int]:
    """Its memory, once processes that come and go with a tick of a sensor are gone."""
    for _ in range(15):
        taken = proportional_memory(pid)
        if sum(taken.values()) <= MEMORY_LIMIT:
            break
        time.sleep(2)
    return taken


def dagster_dev(demo: Demo, started: list, log: Path) -> tuple[int, subprocess.Popen[bytes]]:
    port = free_port()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["dagster", "dev", "--port", str(port)], cwd=demo.root, env=demo.environment, stdout=stream, stderr=stream
        )
    started.append(process)
    until_it_answers(port, process)
    return port, process


@pytest.mark.timeout(700)
@pytest.mark.xdist_group("demo")
def test_a_bare_dagster_dev_shows_the_demo_and_stays_small(demo: Demo, started: list, tmp_path: Path) -> None:
    """Of some twenty starts two took 60 MB more, in the code server, nobody knows why: it may start once more."""
    port, process = dagster_dev(demo, started, tmp_path / "dev.log")
    nodes = ask(port, MATERIALIZED)["assetsOrError"]["nodes"]
    latest = {"/".join(node["key"]["path"]): node["assetMaterializations"] for node in nodes}
    assert {"raw/kronodroid_real_device", "tables/marts/fct_training_dataset", "reports/summary"} <= set(latest)
    assert {asset for asset, events in latest.items() if not events} <= beyond_the_line()
    labels = {entry["label"] for events in latest.values() for event in events for entry in event["metadataEntries"]}
    assert {"lake/commit", "lake/branch"} <= labels
    locations = ask(port, "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }")
    assert locations["workspaceOrError"]["locationEntries"] == [{"name": "dfp", "loadStatus": "LOADED"}]
    assert "partitions of tables/marts/fct_apps_by_month" in first_tick(port)
    parted = ask(port, PARTED)["assetNodes"][0]["partitionStats"]
    assert parted == {"numPartitions": 168, "numMaterialized": 168}
    if sys.platform == "linux":  # elsewhere the kernel does not share a page's size among its users
        taken = [settled(process.pid)]
        if sum(taken[0].values()) > MEMORY_LIMIT:
            end(process)
            port, process = dagster_dev(demo, started, tmp_path / "again.log")
            first_tick(port)
            taken.append(settled(process.pid))
        assert min(sum(each.values()) for each in taken) <= MEMORY_LIMIT, taken


def loading(imports: str) -> tuple[float, set[str]]:
    """Seconds that a new process takes to import something, and all it has imported then."""
    before = time.monotonic()
    command = [sys.executable, "-c", f"import {imports}, sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.monotonic() - before, set(done.stdout.split())


def test_loading_the_definitions_imports_nothing_heavy_and_takes_less_than_ten_seconds() -> None:
    """The best of three. On a machine so busy that Dagster and dagster-dbt alone take long, not many times these."""
    seconds, libraries = [], []
    for _ in range(3):
        libraries.append(loading("dagster, dagster_dbt")[0])
        took, loaded = loading("dfp_platform.definitions")
        seconds.append(took)
    assert "dagster" in loaded
    assert loaded & set(NOT_AT_LOAD) == set()
    assert min(seconds) < max(10.0, 2.5 * min(libraries))
