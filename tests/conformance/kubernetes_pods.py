"""A run in a pod of its own, its steps in pods of theirs, published in one commit: `make pods`.

Dagster's own launcher and executor for Kubernetes, against a double of its API that runs each pod as a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import PROJECT_ROOT
from tests.kubernetes_double import Cluster, kubernetes
from tests.local_servers import until
from tests.toy_line import turn

pytestmark = pytest.mark.timeout(300)


class Pods:
    """A Dagster instance whose runs are Kubernetes jobs, and the toy line's lake."""

    def __init__(self, home: Path, cluster: Cluster, kubeconfig: Path) -> None:
        self.home, self.cluster = home, cluster
        self.dagster = home / "dagster"
        self.dagster.mkdir()
        launcher = {
            "job_image": "dfp-dagster",
            "job_namespace": "dfp",
            "service_account_name": "dfp-run",
            "instance_config_map": "dfp-instance",
            "dagster_home": "/opt/dagster/dagster_home",
            "load_incluster_config": False,
            "kubeconfig_file": str(kubeconfig),
        }
        config = {
            "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher},
            "run_coordinator": {"module": "dagster.core.run_coordinator", "class": "DefaultRunCoordinator"},
            "telemetry": {"enabled": False},
        }
        (self.dagster / "dagster.yaml").write_text(yaml.safe_dump(config))
        turn(home, "inner", "kubernetes")

    @property
    def lake(self) -> Lake:
        return open_lake(self.home / "lake", create=True)

    def launch(self) -> str:
        """Launch the toy line as the UI does; the run's id."""
        dagster = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "launch"]
        done = subprocess.run(
            [*dagster, "-m", "tests.toy_location", "-j", "__ASSET_JOB", "-d", str(PROJECT_ROOT)],
            env={**os.environ, **self.cluster.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3_000:]
        with self.instance() as instance:
            [run] = instance.get_runs(limit=1)
            return run.run_id

    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.dagster))

    def end_of(self, run_id: str) -> dg.DagsterRunStatus:
        with self.instance() as instance:

            def end() -> dg.DagsterRunStatus | None:
                run = instance.get_run_by_id(run_id)
                assert run is not None
                return run.status if run.is_finished else None

            return until(end, seconds=200, said=lambda: f"the run did not end: {self.cluster.said()}")


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    """Everything a pod of the chart has mounted is given by the environment here."""
    (tmp_path / "cluster").mkdir()
    environment = {
        "DFP_HOME": str(tmp_path),
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    here = {**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONWARNINGS": "ignore"}
    cluster = Cluster(tmp_path / "cluster", here)
    with kubernetes(cluster) as kubeconfig:
        yield Pods(tmp_path, cluster, kubeconfig)


def test_a_run_in_a_pod_with_its_steps_in_pods_is_published_in_one_commit(pods: Pods) -> None:
    run_id = pods.launch()
    assert pods.end_of(run_id) is dg.DagsterRunStatus.SUCCESS, pods.cluster.said()
    steps = [name for name in pods.cluster.pods if name.startswith("dagster-step-")]
    assert len(steps) == 6, steps  # three assets, three checks
    published = next(iter(pods.lake.log("main")))
    assert published.metadata["run"] == run_id
    assert pods.lake.read(published.id, "reports/c/report.json") == b"a1>b1>c1"
    assert not pods.lake.exists(published.parents[0], "reports/a/report.json")
    job = pods.cluster.jobs[steps[0].removesuffix("-x")]
    [owner] = job["metadata"]["ownerReferences"]
    assert owner["name"].startswith(f"dagster-run-{run_id}")  # a step goes with its run


def test_a_step_pod_that_fails_holds_the_run_back_and_main_stays(pods: Pods) -> None:
    turn(pods.home, "b", "fail")
    run_id = pods.launch()
    assert pods.end_of(run_id) is dg.DagsterRunStatus.FAILURE
    assert not pods.lake.exists("main", "reports/a/report.json")
    assert pods.lake.read(f"run-{run_id}", "reports/a/report.json") == b"a1"
