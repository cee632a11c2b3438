"""The shape of a cluster without a cluster: `make journey` runs what compose.yaml describes as processes here.

A run that is launched in Dagster's UI, from Postgres, S3, Redis, MLflow and lakeFS to an answer of the inference API.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg2
import pytest
import redis
from pyarrow import fs
from pyiceberg.catalog.rest import RestCatalog

from tests.local_servers import until
from tests.native_stack import NativeStack, running

pytestmark = pytest.mark.timeout(900)

LAUNCH = """mutation($told: ExecutionParams!) { launchRun(executionParams: $told) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = """query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"""
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeStack]:
    with running(tmp_path_factory.mktemp("stack"), DFP_SOURCE="sample", DFP_SAMPLE_ROWS="2000") as started:
        yield started


def asked(stack: NativeStack, question: str, **variables: Any) -> dict[str, Any]:
    """What Dagster's webserver answers."""
    body = {"query": question, "variables": variables}
    answer = httpx.post(f"{stack.address(3000)}/graphql", json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()["data"]


@pytest.fixture(scope="module")
def run_id(stack: NativeStack) -> str:
    """A run of the main line, launched in the UI, that has succeeded."""
    job = {"jobName": "main_line", "repositoryName": "__repository__", "repositoryLocationName": "dfp"}
    launched = asked(stack, LAUNCH, told={"selector": job, "runConfigData": {}})["launchRun"]
    run = launched["run"]["runId"]
    while (status := asked(stack, STATUS, run=run)["runOrError"]["status"]) not in ENDED:
        time.sleep(1)
    assert status == "SUCCESS", stack.log("dagster-code")
    return run


def rows(stack: NativeStack, database: str, question: str) -> list[tuple[Any, ...]]:
    """What Postgres answers to the owner of a database."""
    login = {"user": database, "password": stack.values[f"{database.upper()}_PG_PASSWORD"]}
    connection = psycopg2.connect(host="127.0.0.1", port=stack.ports[5432], dbname=database, **login)
    try:
        with connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall()
    finally:
        connection.close()


def kept(stack: NativeStack, folder: str) -> list[str]:
    """Files in the object store."""
    selector = fs.FileSelector(folder, recursive=True)
    return [found.path for found in stack.store().get_file_info(selector) if found.is_file]


def tables(stack: NativeStack) -> RestCatalog:
    """The tables of main, as any client of the catalog server sees them."""
    keys = {"access-key-id": stack.values["MINIO_ROOT_USER"], "secret-access-key": stack.values["MINIO_ROOT_PASSWORD"]}
    told = {"uri": stack.address(8181), "warehouse": "main", "token": stack.values["DFP_CATALOG_TOKEN"]}
    return RestCatalog("journey", **told, **{f"s3.{name}": value for name, value in keys.items()})


def test_a_run_that_a_person_launches_is_published_from_postgres_to_s3(stack: NativeStack, run_id: str) -> None:
    [newest] = json.loads(stack.dfp("lake", "log", "-n", "1", "--json").stdout)
    assert newest["metadata"]["run"] == run_id
    assert rows(stack, "dagster", "select status from runs") == [("SUCCESS",)]
    assert any(path.endswith("report.json") or "/data/" in path for path in kept(stack, "lakefs-data/dfp"))
    assert any(path.endswith(".parquet") for path in kept(stack, "lakefs-data/dfp/dfp-warehouse"))
    assert any(run_id in path for path in kept(stack, "dagster-logs")), "what its steps wrote to the console"


def test_mlflow_keeps_models_in_postgres_and_their_files_on_s3(stack: NativeStack, run_id: str) -> None:
    answer = httpx.get(f"{stack.address(5000)}/api/2.0/mlflow/registered-models/search", timeout=60).json()
    names = {model["name"] for model in answer["registered_models"]}
    assert "autoencoder" in names
    assert {name for (name,) in rows(stack, "mlflow", "select name from registered_models")} == names
    assert any(path.endswith("weights.safetensors") for path in kept(stack, "mlflow/artifacts"))


def test_the_api_answers_by_id_with_features_from_redis(stack: NativeStack, run_id: str) -> None:
    scanned = tables(stack).load_table("marts.fct_malware_samples").scan(selected_fields=("sha256",), limit=1)
    [app] = scanned.to_arrow()["sha256"].to_pylist()
    token = {"Authorization": f"Bearer {stack.values['DFP_SERVING_TOKEN']}"}
    question = {"apps": [{"sha256": app}]}
    assert httpx.post(f"{stack.address(8010)}/predict", json=question, timeout=60).status_code == 401
    answer = httpx.post(f"{stack.address(8010)}/predict", json=question, headers=token, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["sha256"] == app
    with redis.Redis(port=stack.ports[6379], password=stack.values["REDIS_PASSWORD"]) as client:
        assert client.dbsize() > 0
    with redis.Redis(port=stack.ports[6379]) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
        stranger.ping()


def test_every_door_is_open(stack: NativeStack, run_id: str) -> None:
    done = stack.dfp("doctor", "--json")
    found = {door["door"]: door for door in json.loads(done.stdout)}
    assert done.returncode == 0, found
    wanted = "lake,lake content,warehouse,catalog,s3,redis,mlflow,features,inference,dagster,daemon,code,dead runs"
    assert {name: found[name] for name in wanted.split(",") if found[name]["status"] != "ok"} == {}
    assert found["dagster"]["facts"]["runs"] == 1, "the records that the webserver shows"


def test_what_sets_the_stack_up_may_run_again(stack: NativeStack, run_id: str) -> None:
    stack.make_databases()
    done = stack.dfp("lake", "setup", "--bucket", "mlflow", "--bucket", "dagster-logs", "--json")
    assert json.loads(done.stdout) == {"administrator": [], "buckets": [], "lake": []}, done.stderr
    assert rows(stack, "lakefs", "select current_user") == [("lakefs",)]
    login = {"user": "mlflow", "password": stack.values["MLFLOW_PG_PASSWORD"]}
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        psycopg2.connect(host="127.0.0.1", port=stack.ports[5432], dbname="dagster", **login)


def test_prometheus_is_let_in_by_its_token(stack: NativeStack, run_id: str) -> None:
    if "prometheus" not in stack.services:
        pytest.skip("no Prometheus here (Debian: apt install prometheus)")

    def health() -> dict[str, tuple[str, str]]:
        answer = httpx.get(f"{stack.address(9090)}/api/v1/targets", timeout=60).raise_for_status()
        found = answer.json()["data"]["activeTargets"]
        return {target["labels"]["job"]: (target["health"], target["lastError"]) for target in found}

    until(lambda: health().get("dfp-api") == ("up", ""), ignore=(httpx.HTTPError,), said=lambda: str(health()))
