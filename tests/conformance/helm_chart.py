"""The Helm chart over all its values files: valid, restricted, closed, and fit to be upgraded (`make chart`)."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dfp_platform.settings import PROJECT_ROOT, Settings
from tests.chart import (
    CHART,
    KUBERNETES,
    TOOLS,
    VALUES_FILES,
    ChartError,
    Manifest,
    Pod,
    helm,
    instance_yaml,
    manifests,
    named,
    of_kind,
    pods,
    rendered,
    run_job,
    spark_application,
    whole,
)

EVERY = pytest.mark.parametrize("values", VALUES_FILES)
FOREIGN = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|ACCESS_KEY|API_KEY|REDIS_URL|ALERT_URLS|REDISCLI_AUTH")
IMMUTABLE = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates"),
    "Job": ("selector", "template", "completions"),
    "RoleBinding": (),
}
ASKED_BY_PEOPLE = {"webserver", "spark-history"}
"""Reached by an exposure, or by kubectl port-forward, which needs no opening."""
ASKS_KUBERNETES = {"webserver", "daemon", "runs"}


def containers(pod: Pod) -> Iterator[dict[str, Any]]:
    yield from pod.spec.get("initContainers", [])
    yield from pod.spec["containers"]


@EVERY
def test_helm_finds_nothing_to_complain_of(values: str):
    assert "0 chart(s) failed" in helm(
        "lint", "--strict", "--kube-version", KUBERNETES, str(CHART), "--values", str(CHART / values)
    )


@EVERY
def test_kubernetes_knows_every_field(values: str, tmp_path: Path):
    found = whole(values)
    made = [each for each in found if each["kind"] not in FOREIGN] + [run_job(found)]
    page = tmp_path / "manifests.yaml"
    page.write_text(yaml.safe_dump_all(made))
    version = KUBERNETES.rpartition(".")[0]
    command = [str(TOOLS / "kubernetes-validate"), "--strict", "--quiet", "-k", version, str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]


@EVERY
def test_objects_of_operators_have_the_shape_that_their_definitions_ask_for(values: str):
    schemas = json.loads((PROJECT_ROOT / "tests" / "data" / "operator_schemas.json").read_text())
    found = whole(values)
    application = spark_application(found)
    assert application is not None
    for each in [*of_kind(found, *FOREIGN), application]:
        jsonschema.validate(each, {**schemas[each["kind"]], "$defs": schemas["$defs"]})


@EVERY
def test_every_pod_is_restricted_and_writes_to_its_volumes_alone(values: str):
    for pod in pods(whole(values)):
        at = pod.spec["securityContext"]
        assert at["runAsNonRoot"] is True, pod.name
        assert at["runAsUser"] >= 100, pod.name
        assert at["seccompProfile"] == {"type": "RuntimeDefault"}, pod.name
        assert not pod.spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, pod.name
        kinds = {kind for volume in pod.spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "configMap", "projected"}, pod.name
        assert all("sizeLimit" in each["emptyDir"] for each in pod.spec["volumes"] if "emptyDir" in each), pod.name
        for container in containers(pod):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False, pod.name
            assert rights["readOnlyRootFilesystem"] is True, pod.name
            assert rights["capabilities"] == {"drop": ["ALL"]}, pod.name
            assert "hostPort" not in json.dumps(container.get("ports", [])), pod.name


@EVERY
def test_every_container_says_what_it_needs_and_whether_it_lives(values: str):
    for pod in pods(whole(values)):
        for container in containers(pod):
            told = container["resources"]
            assert told["requests"].keys() >= {"cpu", "memory"}, pod.name
            assert "memory" in told["limits"], pod.name
            probes = container.keys() & {"startupProbe", "readinessProbe", "livenessProbe"}
            missing = {"readinessProbe"} if pod.component == "daemon" else set()  # it answers nobody
            assert not pod.served or probes == {"startupProbe", "readinessProbe", "livenessProbe"} - missing, pod.name


@EVERY
def test_only_who_asks_kubernetes_has_a_token(values: str):
    found = whole(values)
    with_token = {pod.component for pod in pods(found) if pod.spec["automountServiceAccountToken"]}
    assert with_token == {*ASKS_KUBERNETES, "spark-dbt"}
    accounts = {
        each["metadata"]["name"]: each["automountServiceAccountToken"] for each in of_kind(found, "ServiceAccount")
    }
    assert {name for name, mounted in accounts.items() if mounted} == {"dfp-spark-dbt"}
    assert {pod.spec["serviceAccountName"] for pod in pods(found)} == accounts.keys()
    bound = {who["name"] for each in of_kind(found, "RoleBinding") for who in each["subjects"]}
    assert bound == {f"dfp-{component}" for component in (*ASKS_KUBERNETES, "spark-dbt")}


@EVERY
def test_rights_end_at_the_namespace_and_name_no_secrets(values: str):
    found = whole(values)
    assert of_kind(found, "ClusterRole", "ClusterRoleBinding") == []
    rules = [rule for role in of_kind(found, "Role") for rule in role["rules"]]
    assert all("*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"] for rule in rules)
    assert not {"secrets", "roles", "serviceaccounts"} & {name for rule in rules for name in rule["resources"]}


@EVERY
def test_kubernetes_puts_no_addresses_of_services_into_the_environment(values: str):
    """A Service named dfp-api would set DFP_API_PORT, and a setting could be called so."""
    assert {pod.name for pod in pods(whole(values)) if pod.spec["enableServiceLinks"] is not False} == set()


@EVERY
def test_every_service_leads_to_a_port_of_a_pod(values: str):
    found = whole(values)
    made = list(pods(found))
    for service in of_kind(found, "Service"):
        wanted = service["spec"]["selector"].items()
        behind = [pod for pod in made if wanted <= pod.labels.items()]
        assert behind, service["metadata"]["name"]
        ports = {port["name"]: port["containerPort"] for c in behind[0].spec["containers"] for port in c["ports"]}
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports, service["metadata"]["name"]
            assert service["spec"]["type"] == "LoadBalancer" or ports[port["targetPort"]] == port["port"]


def openings(found: list[Manifest], component: str) -> dict[str, Any]:
    return named(found, "NetworkPolicy", f"dfp-{component}")["spec"]


def opened(rules: list[dict[str, Any]]) -> set[int]:
    return {port["port"] for rule in rules for port in rule.get("ports", [])}


@EVERY
def test_nothing_is_open_but_what_is_named(values: str):
    found = whole(values)
    deny = named(found, "NetworkPolicy", "dfp-default-deny")["spec"]
    assert deny.keys() == {"podSelector", "policyTypes"}
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    for pod in pods(found):
        assert deny["podSelector"]["matchLabels"].items() <= pod.labels.items(), pod.name
        assert openings(found, pod.component)["policyTypes"] == ["Ingress", "Egress"]
    for service in of_kind(found, "Service"):
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        named_ports = {p["name"]: p["port"] for p in service["spec"]["ports"] if service["spec"]["type"] == "ClusterIP"}
        inside = opened(openings(found, component)["ingress"])
        assert set(named_ports.values()) <= inside or component in ASKED_BY_PEOPLE, component
    closed = manifests(values, "networkPolicy.enabled=false")
    assert of_kind(closed, "NetworkPolicy") == []


@EVERY
def test_who_may_go_out_to_a_component_may_come_in_there(values: str):
    found = whole(values)
    components = [each["metadata"]["name"][4:] for each in of_kind(found, "NetworkPolicy")][1:]
    for here in components:
        for rule in openings(found, here)["egress"]:
            for to in rule["to"]:
                there = to.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component")
                if there is None:
                    continue
                inside = [
                    each
                    for each in openings(found, there)["ingress"]
                    for who in each["from"]
                    if here in json.dumps(who.get("podSelector", {}).get("matchExpressions", []))
                ]
                assert inside, (here, there)
                assert opened([rule]) == opened(inside), (here, there)


def variables(found: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every variable that a process is told, and how."""
    for name, value in named(found, "ConfigMap", "dfp-settings")["data"].items():
        yield name, {"value": value}
    for pod in pods(found):
        for container in containers(pod):
            yield from ((each["name"], each) for each in container.get("env", []))


@EVERY
def test_secrets_are_told_by_reference_and_the_chart_makes_none(values: str):
    found = whole(values)
    assert of_kind(found, "Secret") == []
    for name, told in variables(found):
        if SECRET.search(name):
            assert "secretKeyRef" in told.get("valueFrom", {}) or "$(REDIS_PASSWORD)" in told["value"], name
        assert not re.search(r"://[^/@$]+:[^$@]+@", told.get("value", "")), f"{name} holds a password"


@EVERY
def test_every_variable_is_a_setting_or_explained(values: str):
    aliases = {
        choice for field in Settings.model_fields.values() for choice in getattr(field.validation_alias, "choices", [])
    }
    known = {f"DFP_{name.upper()}" for name in Settings.model_fields} | aliases
    explained = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (CHART / "README.md").read_text()))
    assert {name for name, _ in variables(whole(values))} - known - explained == set()


@EVERY
def test_images_are_pinned(values: str):
    images = {container["image"] for pod in pods(whole(values)) for container in containers(pod)}
    assert {image for image in images if not re.search(r":[^/:]+$", image) or image.endswith(":latest")} == set()


@pytest.mark.parametrize(
    ("values", "hooks"), [("values.yaml", False), ("values-production.yaml", False), ("values-ci.yaml", True)]
)
def test_jobs_are_hooks_only_if_asked(values: str, hooks: bool):
    assert ("helm.sh/hook" in rendered(values)) is hooks


@EVERY
def test_what_is_rendered_twice_is_equal(values: str):
    assert rendered.__wrapped__(values) == rendered(values)


def test_a_job_of_another_spec_is_another_job_and_an_equal_one_is_the_same():
    def name(*sets: str) -> str:
        return of_kind(manifests("values.yaml", *sets), "Job")[0]["metadata"]["name"]

    assert name() == name("api.replicas=3")
    changed = ["image.tag=2", "pods.labels.team=data", "s3.buckets.mlflow=other", "settings.DFP_BRANCH=next"]
    assert len({name(), *map(name, changed)}) == 1 + len(changed)


@pytest.mark.parametrize(("before", "after"), [*permutations(VALUES_FILES, 2)])
def test_an_upgrade_changes_nothing_that_cannot_be_changed(before: str, after: str):
    """A StatefulSet's disk has its size for life, so equal sizes are asked for."""
    sizes = [f"{store}.storage.size=7Gi" for store in ("minio", "postgres", "redis")]
    old, new = (manifests(values, *sizes) for values in (before, after))
    for kind, fields in IMMUTABLE.items():
        for name in {e["metadata"]["name"] for e in of_kind(old, kind)} & {
            e["metadata"]["name"] for e in of_kind(new, kind)
        }:
            was, becomes = named(old, kind, name), named(new, kind, name)
            if "helm.sh/hook" not in str(becomes["metadata"].get("annotations")):  # Helm removes these first
                for field in fields:
                    assert was["spec"].get(field) == becomes["spec"].get(field), (kind, name, field)
            assert was.get("roleRef") == becomes.get("roleRef"), (kind, name)


@pytest.mark.parametrize("component", ["webserver", "mlflow", "feast", "spark-history"])
@pytest.mark.parametrize("how", ["ingress", "loadBalancer"])
def test_what_has_no_login_is_not_exposed_without_a_proxy_that_asks(component: str, how: str):
    door = f"exposure.{component}"
    safe = [
        f"{door}.type={how}",
        f"{door}.host=x.example.org",
        f"{door}.tls.secretName=t",
        f"{door}.tls.atLoadBalancer=true",
    ]
    here = ["feast.enabled=true", "sparkHistory.enabled=true"]
    with pytest.raises(ChartError, match=rf"{component} has no login of its own.*next: put an authenticating proxy"):
        rendered("values.yaml", *here, *safe)
    found = manifests("values.yaml", *here, *safe, f"{door}.auth.proxied=true")
    kind, suffix = ("Ingress", "") if how == "ingress" else ("Service", "-public")
    assert named(found, kind, f"dfp-{component}{suffix}")


@pytest.mark.parametrize("how", ["ingress", "loadBalancer"])
def test_nothing_is_exposed_without_tls(how: str):
    told = [f"exposure.api.type={how}", "exposure.api.host=api.example.org"]
    with pytest.raises(ChartError, match=r"api would be exposed without TLS.*next: "):
        rendered("values.yaml", *told)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["exposure.api.type=ingress", "exposure.api.tls.secretName=t"], "names no host"),
        (["exposure.feast.type=ingress", "exposure.feast.host=f", "exposure.feast.auth.proxied=true"], "has no feast"),
        (["postgres.inCluster=false"], "postgres.external.host is not set"),
        (["lakefs.inCluster=false"], "lakefs.external.url is not set"),
        (["settings.DFP_SERVING_TOKEN=abc"], "DFP_SERVING_TOKEN"),
        (["webserver.replica=2"], "replica"),
        (["api.resources.limits.memory=null"], "memory"),
        (["image.tag=latest"], "tag"),
    ],
)
def test_what_cannot_be_meant_is_refused(sets: list[str], said: str):
    with pytest.raises(ChartError, match=re.escape(said)):
        rendered("values.yaml", *sets)


def test_a_change_of_a_setting_restarts_who_reads_it():
    def annotations(*sets: str) -> dict[str, Any]:
        made = named(manifests("values.yaml", *sets), "Deployment", "dfp-code-location")
        return made["spec"]["template"]["metadata"]["annotations"]

    plain = annotations()
    assert annotations("settings.DFP_SEED=8")["checksum/environment"] != plain["checksum/environment"]
    assert annotations("runs.maxConcurrent=9")["checksum/instance"] != plain["checksum/instance"]
    assert annotations("webserver.replicas=2") == plain


def test_runs_are_watched_retried_and_forgotten():
    found = manifests()
    told = instance_yaml(found)
    assert told["run_monitoring"]["enabled"] is True
    assert told["run_retries"] == {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
    job = run_job(found)["spec"]
    assert job["ttlSecondsAfterFinished"] == 86_400
    root = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    assert told["concurrency"] == root["concurrency"]


def test_the_tag_of_a_run_gives_it_more_memory_and_no_more_rights():
    found = manifests()
    large = {"requests": {"cpu": "8", "memory": "32Gi"}, "limits": {"memory": "32Gi"}}
    job = run_job(found, container_config={"resources": large}, pod_spec_config={"node_selector": {"pool": "large"}})
    pod = job["spec"]["template"]["spec"]
    assert (pod["containers"][0]["resources"], pod["nodeSelector"]) == (large, {"pool": "large"})
    for part, told in (
        ("container_config", {"security_context": {"privileged": True}}),
        ("container_config", {"image": "other"}),
        ("container_config", {"env": [{"name": "DFP_LAKE", "value": "/tmp"}]}),
        ("pod_spec_config", {"service_account_name": "dfp-webserver"}),
        ("pod_spec_config", {"host_network": True}),
        ("job_spec_config", {"ttl_seconds_after_finished": 0}),
    ):
        with pytest.raises(Exception, match=f"{part}.{next(iter(told))}"):
            run_job(found, **{part: told})


def test_dagster_takes_the_instance(monkeypatch: pytest.MonkeyPatch):
    from dagster._config import process_config
    from dagster._config.field_utils import Shape
    from dagster._core.instance.config import dagster_instance_config_schema

    found = manifests()
    for name, value in named(found, "ConfigMap", "dfp-settings")["data"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "any")
    told = process_config(Shape(dagster_instance_config_schema()), instance_yaml(found))
    assert told.success, told.errors


def test_the_autoscaler_owns_the_number_of_replicas():
    found = manifests("values-production.yaml")
    assert "replicas" not in named(found, "Deployment", "dfp-api")["spec"]
    assert named(found, "HorizontalPodAutoscaler", "dfp-api")["spec"]["minReplicas"] == 3
    assert named(manifests(), "Deployment", "dfp-api")["spec"]["replicas"] == 1


def test_another_release_in_the_namespace_clashes_with_nothing():
    mine, theirs = manifests(), manifests(release="other")
    key = lambda each: (each["kind"], each["metadata"]["name"])  # noqa: E731
    assert {key(each) for each in mine} & {key(each) for each in theirs} == set()


def test_dashboards_and_alerts_are_those_of_the_other_stacks():
    """One copy of each: the chart has links to their folders, which Helm follows."""
    deploy = PROJECT_ROOT / "deploy"
    found = manifests("values-production.yaml")
    boards = named(found, "ConfigMap", "dfp-dashboards")["data"] or {}
    assert boards == {path.name: path.read_text() for path in (deploy / "grafana").glob("*.json")}
    files = sorted((deploy / "prometheus").glob("*.rules.yaml"))
    groups = named(found, "PrometheusRule", "dfp")["spec"]["groups"]
    assert groups == [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
