"""The Helm chart as rendered: what tests ask of its manifests, whoever made them (Helm, Dagster's launcher, a run)."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dfp_platform.settings import PROJECT_ROOT

CHART = PROJECT_ROOT / "helm" / "dfp"
TOOLS = PROJECT_ROOT / ".cache" / "chart" / "bin"
"""Where `make chart` puts what is not on PATH."""

KUBERNETES = "1.34.0"
VALUES_FILES = ("values.yaml", "values-kind.yaml", "values-production.yaml", "values-ci.yaml")
EVERYTHING = {
    "feast.enabled": "true",
    "sparkThrift.enabled": "true",
    "sparkHistory.enabled": "true",
    "sparkApplications.enabled": "true",
}
"""What is off by default."""

STRINGS = ("image.tag=", "settings.", "pods.labels.")
"""Values that are strings even where they look like numbers."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod that this release makes, by itself or through others."""

    name: str
    spec: dict[str, Any]
    labels: dict[str, str]
    served: bool
    """Whether it stays, and so has probes."""

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]


class ChartError(Exception):
    """Helm's refusal, in its words."""


def helm(*words: str) -> str:
    """What helm prints. Raises ChartError: it refuses. FileNotFoundError: there is none."""
    program = shutil.which("helm") or str(TOOLS / "helm")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise ChartError(done.stderr + done.stdout)
    return done.stdout


@cache
def rendered(values: str = "values.yaml", *sets: str, release: str = "dfp", namespace: str = "data") -> str:
    """All manifests of a values file and of ``name=value`` beside it, as YAML. Raises ChartError."""
    told = [word for each in sets for word in ("--set-string" if each.startswith(STRINGS) else "--set", each)]
    place = ("--namespace", namespace, "--kube-version", KUBERNETES, "--values", str(CHART / values))
    return helm("template", release, str(CHART), *place, *told)


def manifests(values: str = "values.yaml", *sets: str, **where: str) -> list[Manifest]:
    """The same, read. Raises ChartError."""
    return [each for each in yaml.load_all(rendered(values, *sets, **where), yaml.CSafeLoader) if each]


def whole(values: str) -> list[Manifest]:
    """A values file with every component switched on."""
    return manifests(values, *(f"{name}={value}" for name, value in EVERYTHING.items()))


def of_kind(found: list[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in found if each["kind"] in kinds]


def named(found: list[Manifest], kind: str, name: str) -> Manifest:
    return next(each for each in of_kind(found, kind) if each["metadata"]["name"] == name)


def pods(found: list[Manifest]) -> Iterator[Pod]:
    """Every pod: of workloads, of a run, of its steps, of Spark's driver and executors."""
    for each in of_kind(found, "Deployment", "StatefulSet", "Job"):
        template = each["spec"]["template"]
        yield Pod(each["metadata"]["name"], template["spec"], template["metadata"]["labels"], each["kind"] != "Job")
    template = run_job(found)["spec"]["template"]
    yield Pod("run", template["spec"], template["metadata"]["labels"], served=False)
    if application := spark_application(found):
        for role in ("driver", "executor"):
            yield spark_pod(application, role)


def instance_yaml(found: list[Manifest]) -> dict[str, Any]:
    """The `dagster.yaml` of a release."""
    config = next(each for each in of_kind(found, "ConfigMap") if each["metadata"]["name"].endswith("-instance"))
    return yaml.safe_load(config["data"]["dagster.yaml"])


def run_job(found: list[Manifest], **config: dict[str, Any]) -> Manifest:
    """The Job that Dagster's launcher makes of a run, by its own code and the release's `dagster.yaml`.

    `config` is the run's tag `dagster-k8s/config`.
    """
    from dagster import DagsterRun
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import construct_dagster_k8s_job
    from kubernetes.client import ApiClient

    launcher = _launcher(json.dumps(instance_yaml(found)["run_launcher"]["config"], sort_keys=True))
    tags = {"dagster-k8s/config": json.dumps(config)} if config else {}
    run = DagsterRun(job_name="main_line", run_id="11111111-2222-3333-4444-555555555555", tags=tags)
    context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=True)
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(None, launcher),
        ["dagster", "api", "execute_run"],
        "dagster-run-1",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
    )
    return ApiClient().sanitize_for_serialization(job)


@cache
def _launcher(config: str) -> Any:
    """Dagster's launcher, as configured but for the cluster that it would talk to."""
    from dagster._config import process_config
    from dagster._config.field_utils import Shape
    from dagster_k8s import K8sRunLauncher

    told = {**json.loads(config), "load_incluster_config": False, "kubeconfig_file": str(NO_CLUSTER)}
    checked = process_config(Shape(K8sRunLauncher.config_type()), told)
    assert checked.success, checked.errors
    return K8sRunLauncher.from_config_value(None, checked.value)


NO_CLUSTER = Path(__file__).parent / "data" / "no_cluster.yaml"
"""A kubeconfig that leads nowhere."""


def spark_application(found: list[Manifest]) -> Manifest | None:
    """The template of applications that is mounted into runs; None: the release has none."""
    held = [each for each in of_kind(found, "ConfigMap") if "spark-application.yaml" in each["data"]]
    return yaml.safe_load(held[0]["data"]["spark-application.yaml"]) if held else None


def spark_pod(application: Manifest, role: str) -> Pod:
    """About the pod that the operator makes of a driver or executor: what it copies, in the words of Kubernetes."""
    told = copy.deepcopy(application["spec"][role])
    quantity = {"cpu": told["coreRequest"], "memory": told["memory"].replace("g", "Gi")}
    container = {
        "name": role,
        "image": application["spec"]["image"],
        "resources": {"requests": quantity, "limits": {"memory": quantity["memory"]}},
        **{name: told[name] for name in ("securityContext", "env", "envFrom", "volumeMounts")},
    }
    spec = {
        "serviceAccountName": told["serviceAccount"],
        "securityContext": told["podSecurityContext"],
        "automountServiceAccountToken": role == "driver",
        "containers": [container],
        "volumes": application["spec"]["volumes"],
        **told["template"]["spec"],
    }
    return Pod(f"spark-{role}", spec, told["labels"], served=False)
