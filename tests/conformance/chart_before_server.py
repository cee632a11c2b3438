"""`make chart-try`: the chart's objects before a real API server, dry, so that it keeps none.

Controllers make pods later, and a server that refuses those is seen by nobody. So every pod is tried as a pod too: of
workloads, of a run, of Spark's driver and executors. A namespace that is not there is made, with restricted Pod
Security.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import yaml

from tests.chart import EVERYTHING, VALUES_FILES, Manifest, manifests, pods, run_job, spark_application

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def kubectl(*words: str, told: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["kubectl", *words], input=told, capture_output=True, text=True, check=False, timeout=300)


def known_kinds() -> set[str]:
    """Kinds that the server has; those of operators may be missing."""
    listed = kubectl("api-resources", "--no-headers")
    if listed.returncode:
        sys.exit(f"no API server: {listed.stderr.strip()}\n  next: name its kubeconfig: make chart-try KUBECONFIG=…")
    return {line.split()[-1] for line in listed.stdout.splitlines()}


def tried(values: str, namespace: str) -> Iterator[Manifest]:
    """All objects of a values file with every component on, what is made of them later, and each pod by itself."""
    found = manifests(values, *(f"{name}={value}" for name, value in EVERYTHING.items()), namespace=namespace)
    yield from found
    yield run_job(found)
    if application := spark_application(found):
        yield application
    for pod in pods(found):
        claims = [{"name": "data", "emptyDir": {}}] if pod.component in ("minio", "postgres", "redis") else []
        spec = {**pod.spec, "volumes": [*pod.spec["volumes"], *claims]}
        spec.pop("priorityClassName", None)  # a class belongs to the cluster
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod.name, "labels": pod.labels}, "spec": spec}


def main(namespace: str = "dfp-try") -> int:
    """Try all values files; how many objects were refused."""
    kinds = known_kinds()
    if kubectl("get", "namespace", namespace).returncode:
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": RESTRICTED}}
        kubectl("create", "-f", "-", told=json.dumps(made)).check_returncode()
    refused = 0
    for values in VALUES_FILES:
        asked = [*tried(values, namespace)]
        taken = [each for each in asked if each["kind"] in kinds]
        words = ("--namespace", namespace, "create", "--dry-run=server", "--validate=strict", "-f", "-")
        done = kubectl(*words, told=yaml.safe_dump_all(taken))
        accepted = done.stdout.count("created (server dry run)")
        refused += len(taken) - accepted
        left = sorted({each["kind"] for each in asked} - kinds)
        print(
            f"{values}: {accepted} of {len(taken)} accepted" + (f"; not known there: {', '.join(left)}" if left else "")
        )
        print("".join(f"  {line}\n" for line in done.stderr.splitlines() if "skew" not in line), end="")
    return refused


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
