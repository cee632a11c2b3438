"""The compose stack, as far as it can be judged without containers; `make journey` runs what it describes."""

from __future__ import annotations

import re
import subprocess
import tomllib
from graphlib import TopologicalSorter
from typing import Any

import pytest
import yaml

from dfp_platform.settings import PROJECT_ROOT
from tests import compose_file
from tests.compose_file import FOLDER, example, read, variables, waits_for, written
from tests.unit.test_docs import fault

SERVICES = read(example())["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("dfp-")}
SETTINGS = set(re.findall(r"^([A-Z][A-Z_]+)=", (PROJECT_ROOT / ".env.example").read_text(), re.MULTILINE))
DFP = [["dfp", "lake"], ["dfp", "catalog"], ["dfp", "serve"], ["dfp", "metrics"]]
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|ROOT_USER")

DOCUMENTED = {
    "AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION": "AWS's SDKs",
    "DAGSTER_HOME": "Dagster",
    "DAGSTER_PG_HOST DAGSTER_PG_PORT DAGSTER_PG_DB DAGSTER_PG_USERNAME DAGSTER_PG_PASSWORD": "env: in dagster.yaml",
    "POSTGRES_USER POSTGRES_PASSWORD": "Postgres's image",
    "LAKEFS_PG_PASSWORD MLFLOW_PG_PASSWORD": "databases.sh",
    "MINIO_ROOT_USER MINIO_ROOT_PASSWORD": "MinIO",
    "REDISCLI_AUTH": "redis-cli",
    "LAKEFS_LISTEN_ADDRESS LAKEFS_DATABASE_TYPE LAKEFS_DATABASE_POSTGRES_CONNECTION_STRING": "lakeFS",
    "LAKEFS_AUTH_ENCRYPT_SECRET_KEY LAKEFS_BLOCKSTORE_TYPE LAKEFS_BLOCKSTORE_S3_ENDPOINT": "lakeFS",
    "LAKEFS_BLOCKSTORE_S3_FORCE_PATH_STYLE LAKEFS_BLOCKSTORE_S3_DISCOVER_BUCKET_REGION": "lakeFS",
    "LAKEFS_BLOCKSTORE_S3_CREDENTIALS_ACCESS_KEY_ID LAKEFS_BLOCKSTORE_S3_CREDENTIALS_SECRET_ACCESS_KEY": "lakeFS",
    "LAKEFS_STATS_ENABLED": "lakeFS",
    "MLFLOW_BACKEND_STORE_URI MLFLOW_ARTIFACTS_DESTINATION MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow server",
    "MLFLOW_DISABLE_TELEMETRY": "MLflow",
    "GF_SERVER_HTTP_PORT GF_SECURITY_ADMIN_PASSWORD": "Grafana",
    "GF_ANALYTICS_REPORTING_ENABLED GF_ANALYTICS_CHECK_FOR_UPDATES": "Grafana",
    "HIVE_SERVER2_THRIFT_PORT": "Spark's Thrift server",
}
"""Variables that are no settings of ours, and who reads them."""


def test_the_file_is_of_todays_compose() -> None:
    assert "version" not in written()


def test_variables_and_their_example_are_the_same_and_secrets_have_no_default() -> None:
    used = dict(variables(written()))
    assert used.keys() == example().keys()
    assert {name: how for name, how in variables(written()) if SECRET.search(name) and how != ":?"} == {}
    assert all(example()[name] for name in used if SECRET.search(name)), "an example starts"


def test_a_secret_that_is_not_set_stops_the_start() -> None:
    told = {name: value for name, value in example().items() if name != "REDIS_PASSWORD"}
    with pytest.raises(KeyError, match="REDIS_PASSWORD"):
        read(told)


def test_passwords_stand_in_the_example_alone() -> None:
    words = sorted({value for name, value in example().items() if SECRET.search(name)})
    command = [
        "git",
        "grep",
        "-lF",
        *(part for word in words for part in ("-e", word)),
        "--",
        ":!deploy/compose/.env.example",
    ]
    found = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, ""), "git grep ends with 1 where it finds nothing"


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_of_a_service_is_one_that_its_program_knows(name: str) -> None:
    known = SETTINGS | {word for words in DOCUMENTED for word in words.split()}
    assert set(SERVICES[name].get("environment", {})) - known == set()


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_ours_are_built_here(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert tag
    assert not tag.startswith("latest")
    if name in OURS:
        assert SERVICES[name]["build"] == {"context": "../..", "dockerfile": f"deploy/images/{image}.Dockerfile"}
    else:
        assert "build" not in SERVICES[name]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_write_nothing_but_their_state(name: str) -> None:
    service = OURS[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in service["security_opt"]
    volumes = [volume.split(":") for volume in service.get("volumes", ())]
    assert {place for source, place, *_ in volumes if not source.startswith(".")} <= {"/var/lib/dfp"}
    assert all(mode == ["ro"] for source, _, *mode in volumes if source.startswith("."))
    assert "/var/lib/dfp" in [*service["tmpfs"], *(place for _, place, *_ in volumes)]


def test_what_is_published_is_what_the_table_says_and_to_this_machine_alone() -> None:
    table = tomllib.loads((PROJECT_ROOT / "deploy" / "ports.toml").read_text())["compose"]
    published = [port.split(":") for service in SERVICES.values() for port in service.get("ports", ())]
    assert {address for address, _, _ in published} == {"127.0.0.1"}
    assert sorted(int(host) for _, host, _ in published) == sorted(table.values())
    assert all(host == inside for _, host, inside in published), "one number for a service, inside and out"
    for name, port in table.items():
        service = name.removesuffix("-console")
        assert f"127.0.0.1:{port}:{port}" in SERVICES[service]["ports"]


def test_services_start_after_what_they_need_is_healthy() -> None:
    order = list(TopologicalSorter({name: waits_for(service) for name, service in SERVICES.items()}).static_order())
    assert order.index("postgres") < order.index("lakefs") < order.index("setup") < order.index("mlflow")
    assert order.index("dagster-code") < order.index("dagster") < order.index("dagster-daemon")
    for name, service in SERVICES.items():
        for needed, condition in waits_for(service).items():
            once = SERVICES[needed]["restart"] == "on-failure"
            assert condition == ("service_completed_successfully" if once else "service_healthy"), (name, needed)


@pytest.mark.parametrize("name", SERVICES)
def test_everything_that_stays_up_says_whether_it_is_healthy(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert ("test" in check) == (SERVICES[name]["restart"] == "unless-stopped")
    assert check.get("disable") or check["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", [name for name, service in OURS.items() if service["command"][:2] in DFP])
def test_dfp_knows_the_commands_of_its_containers(name: str) -> None:
    assert fault(" ".join(OURS[name]["command"])) == ""


def test_a_service_is_told_only_of_services_that_it_may_reach() -> None:
    """Every address names a service and the port on which that listens."""
    address = re.compile(r"(?<=[/@])([a-z-]+):(\d+)")
    listening = {name: {port.split(":")[2] for port in service.get("ports", ())} for name, service in SERVICES.items()}
    parts = [service.get(part, ()) for service in SERVICES.values() for part in ("environment", "command")]
    told = [found for text in _texts(parts) for found in address.findall(text)]
    assert {(name, port) for name, port in told if name != "localhost" and port not in listening[name]} == set()
    assert ("minio", "9000") in told


def _texts(part: Any) -> list[str]:
    if isinstance(part, dict):
        return [text for value in part.values() for text in _texts(value)]
    if isinstance(part, list):
        return [text for value in part for text in _texts(value)]
    return [str(part)]


def test_dagsters_queue_is_that_of_the_checkout() -> None:
    here, there = (yaml.safe_load((place / "dagster.yaml").read_text()) for place in (PROJECT_ROOT, FOLDER))
    for part in ("concurrency", "telemetry", "nux"):
        assert here[part] == there[part]
    told = set(re.findall(r"env: (\w+)", (FOLDER / "dagster.yaml").read_text()))
    for name in ("dagster-code", "dagster", "dagster-daemon", "metrics"):
        assert told - SERVICES[name]["environment"].keys() == set(), name


def test_mounted_files_are_there() -> None:
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert {place for place in mounts if place.startswith(".") and not (FOLDER / place).exists()} == set()
    named = {place for place in mounts if not place.startswith(".")}
    assert named == compose_file.written()["volumes"].keys()
