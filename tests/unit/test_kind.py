"""What `make kind-…` calls, in which order: programs of those names record their arguments and answer as told."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dfp_platform.settings import PROJECT_ROOT

SCRIPT = PROJECT_ROOT / "deploy" / "kind" / "cluster"
PORTS = tomllib.loads((PROJECT_ROOT / "deploy" / "ports.toml").read_text())["kind"]
TOOLS = ("awk", "cat", "cut", "dirname", "grep", "mktemp", "od", "rm", "sh", "tr")
"""All that the script needs beside what it looks for."""
STUB = """#!/bin/sh
echo "{name} $*" >> {calls}
for word in "$@"; do case $word in --from-env-file=*) cat "${{word#*=}}" > {folder}/secrets ;; esac; done
case "{name} $*" in {answers}
esac
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    said: str
    calls: list[str]


class Machine:
    """A PATH with stubs; `answers` says by a pattern of a call what it prints, or how it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[str, str] = {}
        for tool in TOOLS:
            (folder / tool).symlink_to(shutil.which(tool) or "")

    def run(self, act: str, *, without: tuple[str, ...] = (), **told: str) -> Outcome:
        calls = self.folder / "calls"
        calls.write_text("")
        answers = "\n".join(f"{pattern}) {answer} ;;" for pattern, answer in self.answers.items())
        for name in ("docker", "helm", "kind", "kubectl"):
            (self.folder / name).unlink(missing_ok=True)
            if name not in without:
                text = STUB.format(name=name, calls=calls, folder=self.folder, answers=answers)
                (self.folder / name).write_text(text)
                (self.folder / name).chmod(0o755)
        environment = {"PATH": str(self.folder), "TMPDIR": str(self.folder), **told}
        done = subprocess.run(
            [SCRIPT, act], env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=os.sep
        )
        found = [line.replace(str(PROJECT_ROOT), ".") for line in calls.read_text().splitlines()]
        return Outcome(done.returncode, done.stdout + done.stderr, found)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def running(machine: Machine) -> Machine:
    machine.answers = {"'kind get clusters'": "echo other; echo dfp"}
    return machine


def acts(calls: list[str], *words: str) -> list[str]:
    return [call for call in calls if all(word in call for word in words)]


def test_up_makes_a_cluster_loads_images_and_installs_the_chart(machine: Machine) -> None:
    machine.answers = {"*'get secret'*|*'get namespace'*": "exit 1"}
    done = machine.run("up")
    assert done.code == 0, done.said
    order = (
        "docker info",
        "kind get clusters",
        "kind create cluster --name dfp --config ./deploy/kind/cluster.yaml",
        "docker build --file ./deploy/images/dfp-dagster.Dockerfile --tag dfp-dagster:kind .",
        "kind load docker-image dfp-dagster:kind --name dfp",
        "kubectl --context kind-dfp --namespace dfp create namespace dfp",
        "pod-security.kubernetes.io/enforce=restricted",
        "create secret generic dfp-secrets",
        "helm --kube-context kind-dfp upgrade --install dfp ./helm/dfp --namespace dfp --values ./helm/dfp/values-kind",
        "rollout status statefulset/dfp-postgres",
        "rollout status deployment/dfp-webserver",
    )
    places = [next(i for i, call in enumerate(done.calls) if step in call) for step in order]
    assert places == sorted(places)
    built = [call.split()[-2] for call in acts(done.calls, "docker build")]
    assert built == ["dfp-dagster:kind", "dfp-api:kind", "dfp-catalog:kind", "dfp-mlflow:kind"]
    assert acts(done.calls, "spark-operator") == acts(done.calls, "feast") == []
    assert acts(done.calls, "rollout", "dfp-api") == [], "it is not ready before a model is published"
    assert f"http://localhost:{PORTS['dagster']}" in done.said


def test_passwords_are_random_of_every_kind_and_on_no_command_line(machine: Machine) -> None:
    machine.answers = {"*'get secret'*": "exit 1"}
    done = machine.run("up")
    made = dict(line.split("=", 1) for line in (machine.folder / "secrets").read_text().splitlines())
    values = yaml.safe_load((PROJECT_ROOT / "helm" / "dfp" / "values.yaml").read_text())
    wanted = {told["key"] for told in values["secrets"]["keys"].values()} - {"redis-url"}  # of a Redis outside
    assert made.keys() == wanted
    random = [value for key, value in made.items() if key != "s3-access-key-id"]
    assert len({*random}) == len(random)
    assert all(len(value) >= 20 and value.isalnum() for value in random)
    assert not [call for call in done.calls for value in random if value in call]
    left = {each.name for each in machine.folder.iterdir()} - {*TOOLS, "docker", "helm", "kind", "kubectl"}
    assert left == {"calls", "secrets"}, "the file they went by is gone"


def test_up_again_keeps_the_cluster_and_its_passwords(running: Machine) -> None:
    done = running.run("up")
    assert done.code == 0, done.said
    assert (
        acts(done.calls, "kind create")
        == acts(done.calls, "create secret")
        == acts(done.calls, "create namespace")
        == []
    )
    assert acts(done.calls, "upgrade --install dfp")


def test_up_with_parts_names_and_the_table_of_ports(running: Machine) -> None:
    parts = {
        "WITH_SPARK_OPERATOR": "1",
        "WITH_FEAST": "1",
        "NAMESPACE": "lab",
        "CLUSTER_NAME": "other",
        "PORT_FORWARD": "1",
    }
    done = running.run("up", **parts)
    assert done.code == 0, done.said
    operator = acts(done.calls, "helm --kube-context kind-other upgrade --install spark-operator")[0]
    assert "--version 2.5.2" in operator
    assert "spark.jobNamespaces={lab}" in operator
    chart = acts(done.calls, "upgrade --install dfp")[0]
    assert "--namespace lab" in chart
    assert all(f"--set {part}.enabled=true" in chart for part in ("feast", "sparkApplications", "sparkHistory"))
    assert done.calls.index(operator) < done.calls.index(chart)
    assert acts(done.calls, "kind load docker-image dfp-spark:kind --name other")
    forwarded = {call.rpartition(" ")[2].partition(":")[0] for call in acts(done.calls, "port-forward")}
    assert forwarded == {str(port) for port in PORTS.values()}


def test_only_services_that_are_there_are_forwarded_to(running: Machine) -> None:
    running.answers["*'get service dfp-webserver'*|*'get service dfp-mlflow'*"] = "exit 0"
    running.answers["*'get service'*"] = "exit 1"
    done = running.run("port-forward")
    assert done.code == 0, done.said
    found = [call.partition("port-forward ")[2] for call in acts(done.calls, "port-forward")]
    assert sorted(found) == [
        f"service/dfp-mlflow {PORTS['mlflow']}:5000",
        f"service/dfp-webserver {PORTS['dagster']}:3000",
    ]


def test_logs_are_of_all_or_of_one(running: Machine) -> None:
    assert "--selector app.kubernetes.io/part-of=dfp" in running.run("logs").calls[-1]
    assert running.run("logs", APP="api").calls[-1].endswith("part-of=dfp,app.kubernetes.io/component=api")


def test_status_and_down_name_the_cluster(running: Machine) -> None:
    assert running.run("status", NAMESPACE="lab").calls[-1] == (
        "kubectl --context kind-dfp --namespace lab get pods,jobs --output wide"
    )
    assert running.run("down", CLUSTER_NAME="other").calls == ["kind delete cluster --name other"]


@pytest.mark.parametrize("act", ["status", "logs", "port-forward"])
def test_without_the_cluster_nothing_is_asked_of_kubernetes(machine: Machine, act: str) -> None:
    done = machine.run(act)
    assert done.code == 1
    assert "there is no cluster dfp" in done.said
    assert "next: make kind-up" in done.said
    assert acts(done.calls, "kubectl") == []


def test_what_is_missing_is_named_at_once(machine: Machine) -> None:
    done = machine.run("up", without=("kind", "helm"))
    assert done.code == 1
    assert done.said.startswith("not found: kind helm\n  next: install")
    assert done.calls == []


def test_an_engine_that_does_not_answer_is_named(machine: Machine) -> None:
    machine.answers = {"'docker info'": "exit 1"}
    done = machine.run("up")
    assert done.code == 1
    assert "its engine does not answer" in done.said
    assert done.calls == ["docker info"]


def test_a_failed_build_ends_it(machine: Machine) -> None:
    machine.answers = {"'docker build'*": "exit 3"}
    done = machine.run("up")
    assert done.code == 3
    assert acts(done.calls, "helm") == []


def test_the_targets_call_the_script() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    acts = ("up", "down", "status", "logs", "port-forward")
    assert [
        act for act in acts if f"kind-{act}:" not in makefile or f"deploy/kind/cluster {act}\n" not in makefile
    ] == []
