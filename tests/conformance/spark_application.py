"""dbt as the driver of a SparkApplication, on a double of the Kubernetes API that runs drivers here: `make pods`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyspark
import pytest
import yaml

from dfp_platform.catalog.rest.access import Access
from dfp_platform.catalog.rest.app import Server, served
from dfp_platform.resources.spark import RUNTIME, java_home
from dfp_platform.settings import PROJECT_ROOT
from tests.conformance.engines_equal import built_in_lake, landed, refuse_drift
from tests.integration.test_dbt_project import Warehouse
from tests.kubernetes_double import Cluster, kubernetes

pytestmark = pytest.mark.timeout(600)

SOME = "stg_kronodroid__real_device"
"""One model: what the SQL means is the same on every road to Spark."""

TEMPLATE = {
    "apiVersion": "sparkoperator.k8s.io/v1beta2",
    "kind": "SparkApplication",
    "metadata": {"namespace": "dfp"},
    "spec": {
        "type": "Python",
        "mode": "cluster",
        "mainApplicationFile": "local:///opt/dfp/dfp_platform/resources/spark_driver.py",
        "driver": {
            "env": [{"name": "DFP_CATALOG_TOKEN", "valueFrom": {"secretKeyRef": {"name": "dfp", "key": "catalog"}}}]
        },
    },
}


class Operated:
    """A lake, its catalog server, and an operator that runs drivers here."""

    def __init__(self, folder: Path, cluster: Cluster, kubeconfig: Path, catalog: str) -> None:
        self.folder, self.cluster, self.target = folder, cluster, folder / "target"
        self.target.mkdir()
        template = json.loads(json.dumps(TEMPLATE))
        template["spec"]["driver"]["env"].append({"name": "DFP_CATALOG_URI", "value": catalog})
        (folder / "spark-application.yaml").write_text(yaml.safe_dump(template))
        self.environment = {
            "KUBECONFIG": str(kubeconfig),
            "DFP_SPARK_APPLICATION": str(folder / "spark-application.yaml"),
            "DFP_RUN": "0123abcd-run",
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_FORMAT": "json",
            "PYTHONWARNINGS": "ignore",
        }

    def start(self, ref: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "dfp-spark-dbt"), *arguments],
            env={**os.environ, **self.environment, "DFP_REF": ref},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return landed(tmp_path / "warehouse", "generated")


@pytest.fixture
def operated(tmp_path: Path, warehouse: Warehouse) -> Iterator[Operated]:
    (tmp_path / "cluster").mkdir()
    home = Path(pyspark.__file__).parent
    here = {
        "DFP_HOME": str(tmp_path / "driver"),
        "PYTHONPATH": str(PROJECT_ROOT),
        "JAVA_HOME": java_home(),
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
    }
    submit = home / "bin" / "spark-submit"
    local = ["--master", "local[2]", "--packages", RUNTIME, "--conf", "spark.ui.enabled=false"]
    driver = [str(submit), *local, str(PROJECT_ROOT / "dfp_platform/resources/spark_driver.py")]
    cluster = Cluster(tmp_path / "cluster", here, {"dfp": {"catalog": "a token"}}, driver)
    with kubernetes(cluster) as kubeconfig, served(Server(warehouse.lake, Access("a token"))) as catalog:
        yield Operated(tmp_path, cluster, kubeconfig, catalog)


def results(folder: Path) -> Mapping[str, str]:
    found = json.loads((folder / "run_results.json").read_text())["results"]
    return {result["unique_id"].split(".")[2]: result["status"] for result in found}


def test_a_driver_in_a_pod_builds_the_rows_that_datafusion_builds_and_is_removed(
    operated: Operated, warehouse: Warehouse
) -> None:
    warehouse.lake.create_branch("pod")
    process = operated.start(
        "pod", "build", "--select", SOME, "--indirect-selection", "cautious", "--target", "spark_thrift"
    )
    said, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors[-2_000:] + operated.cluster.said()
    assert set(results(operated.target).values()) <= {"success", "pass"}
    events = [json.loads(line) for line in said.splitlines()]
    assert {event["info"]["name"] for event in events} >= {"LogModelResult"}
    assert "compiled_code" in (operated.target / "manifest.json").read_text()
    assert operated.cluster.applications == {}
    assert "a token" not in said + errors
    names = [path.replace("/", ".") for path in warehouse.tables("pod") if not path.startswith("raw/")]
    here = built_in_lake(warehouse, "datafusion", select=SOME)
    assert sorted(here) == sorted(names)
    for name, rows in here.items():
        refuse_drift(name, rows, warehouse.table(name, "pod"), "a SparkApplication")


def test_an_application_whose_driver_dies_is_named_and_left_to_be_looked_at(operated: Operated) -> None:
    operated.cluster.spark_submit = [sys.executable, "-c", "import sys; print('no memory'); sys.exit(137)"]
    process = operated.start("main", "build")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    [name] = operated.cluster.applications
    assert f"SparkApplication {name} ended as FAILED before dbt did: driver failed" in errors
    assert "no memory" in errors
    assert f"kubectl logs {name}-driver" in errors


def test_a_step_that_is_terminated_takes_its_application_along(operated: Operated) -> None:
    operated.cluster.spark_submit = [sys.executable, "-c", "import time; print('busy', flush=True); time.sleep(600)"]
    process = operated.start("main", "build")
    assert process.stderr is not None
    while "busy" not in process.stderr.readline():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    process.communicate()
    assert operated.cluster.applications == {}
    [pod] = operated.cluster.pods.values()
    assert pod.phase == "Failed"


def test_an_application_whose_submission_was_not_answered_is_not_left_behind(operated: Operated) -> None:
    operated.cluster.spark_submit = [sys.executable, "-c", "import time; time.sleep(600)"]
    operated.cluster.loses_answers = True
    process = operated.start("main", "build")
    assert process.wait(timeout=60) != 0
    process.communicate()
    assert operated.cluster.applications == {}
    assert len(operated.cluster.deleted) == 1


def test_a_failed_test_of_dbt_is_no_failure_of_the_application(operated: Operated) -> None:
    operated.cluster.spark_submit = [
        sys.executable,
        "-c",
        "import json; from dfp_platform.resources.spark_application import pieces;"
        "print(*pieces('run_results.json', b'{}'), sep='\\n'); print(json.dumps({'dfp_exit': 1}))",
    ]
    process = operated.start("main", "build")
    assert process.wait(timeout=60) == 1
    process.communicate()
    assert (operated.target / "run_results.json").read_bytes() == b"{}"
