"""Promises of `deploy/images`: what the Dockerfiles say, and that what they copy, install and start exists."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dfp_platform.settings import PROJECT_ROOT
from tests.dockerfiles import Dockerfile, offences, parsed, read

IMAGES = PROJECT_ROOT / "deploy" / "images"
FILES = {path.name.removesuffix(".Dockerfile"): read(path) for path in sorted(IMAGES.glob("*.Dockerfile"))}
PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
PINS = {canonicalize_name(line.split("==")[0]) for line in (PROJECT_ROOT / "constraints.txt").read_text().split()}
DEBIAN = {"openjdk-17-jre-headless", "tini"}
"""Packages of Debian 12 that were looked up there."""

every_image = pytest.mark.parametrize("name", FILES)


def test_there_is_an_image_for_every_part() -> None:
    assert set(FILES) == {"dfp-api", "dfp-catalog", "dfp-dagster", "dfp-mlflow", "dfp-spark"}


@every_image
def test_no_rule_is_broken(name: str) -> None:
    assert offences(FILES[name]) == []


GOOD = (IMAGES / "dfp-catalog.Dockerfile").read_text()


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("tag", "ARG PYTHON=3.11.14-slim-bookworm", "ARG PYTHON=latest"),
        ("tag", "ARG PYTHON=3.11.14-slim-bookworm", "ARG PYTHON=3"),
        ("user", "USER 10001:10001", "USER root"),
        ("user", "USER 10001:10001", ""),
        ("health", "HEALTHCHECK", "# HEALTHCHECK"),
        ("shell", 'CMD ["dfp", "catalog", "serve", "--host", "0.0.0.0", "--port", "8181"]', "CMD dfp catalog serve"),
        ("signal", "STOPSIGNAL SIGTERM", ""),
        ("added", "COPY constraints.txt ./", "ADD https://example.org/constraints.txt ./"),
        ("fetched", "RUN python -m compileall -q dfp_platform", "RUN curl -O https://example.org/x"),
        ("sudo", "RUN python -m compileall", "RUN sudo python -m compileall"),
        ("pip", "-c constraints.txt -r", "-r"),
        ("pip", "--no-cache-dir ", ""),
        ("pip", " UV_NO_CACHE=1", ""),
        ("apt", "--no-install-recommends ", ""),
        ("apt", " && rm -rf /var/lib/apt/lists/*", ""),
        ("compiler", "recommends tini", "recommends tini gcc"),
        ("processor", "RUN python -m compileall", "RUN ln -s /usr/lib/x86_64-linux-gnu /l && python -m compileall"),
        ("secret", "ARG VERSION=0.0.0", "ARG VERSION=0.0.0 DB_PASSWORD=x"),
        ("secret", "DFP_HOME=/var/lib/dfp", "DFP_HOME=/var/lib/dfp DFP_CATALOG_TOKEN=x"),
        ("label", "org.opencontainers.image.licenses", "licenses"),
        ("layers", "COPY constraints.txt ./", "COPY dfp_platform ./"),
    ],
)
def test_each_rule_finds_its_offence(rule: str, good: str, bad: str) -> None:
    assert good in GOOD
    assert {found.split(":")[0] for found in offences(parsed(GOOD.replace(good, bad)))} == {rule}


@every_image
def test_what_is_copied_exists_and_is_not_ignored(name: str) -> None:
    admitted = [line[1:] for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in FILES[name].sources():
        assert (PROJECT_ROOT / source).exists(), source
        assert any(source == entry or source.startswith(f"{entry}/") for entry in admitted), source


@every_image
def test_packages_of_debian_are_known(name: str) -> None:
    assert set(FILES[name].packages()) <= DEBIAN


@every_image
def test_packages_of_python_are_declared_and_pinned(name: str) -> None:
    declared = {
        canonicalize_name(Requirement(line).name)
        for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for line in lines
    }
    alone = {"boto3", "numpy", "psycopg2-binary"}  # what others of the project's packages bring along
    listed = IMAGES / f"{name}.txt"
    lines = [line for line in listed.read_text().splitlines() if not line.startswith("#")] if listed.exists() else []
    assert {canonicalize_name(Requirement(line).name) for line in lines} <= (declared | alone) & PINS
    extras = re.findall(r"--extra (\S+)", " ".join(run.value for run in FILES[name].of("RUN")))
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    assert bool(lines) != bool(extras)


def test_spark_and_its_jars_are_of_one_release() -> None:
    from dfp_platform.resources.spark import RUNTIME

    said = " ".join(run.value for run in FILES["dfp-spark"].of("RUN"))
    assert RUNTIME in said
    iceberg, spark = RUNTIME.rpartition(":")[2], re.search(r"runtime-(\d+\.\d+)", RUNTIME)
    assert f"iceberg-aws-bundle:{iceberg}" in said
    assert spark is not None
    assert f"\npyspark=={spark[1]}." in (PROJECT_ROOT / "constraints.txt").read_text()
    jars = {
        f"{name}-{version}.jar"
        for name, version in re.findall(r"[\w.]+:([\w.-]+):([\d.]+)", said)
        if "maven" not in name
    }
    sums = dict(reversed(line.split()) for line in (IMAGES / "spark.sha256").read_text().splitlines())
    assert set(sums) == jars
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in sums.values())


# -- what they start -------------------------------------------------------------------------------------------------


def started_by(file: Dockerfile) -> list[list[str]]:
    """The commands of an image, without the process that collects children."""
    started = file.started()
    assert started[:2] == ["tini", "--"]
    return [started[2:], file.asked()]


@every_image
def test_programs_exist(name: str) -> None:
    for command in started_by(FILES[name]):
        program = Path(sys.executable).parent / command[0]
        assert program.exists() or shutil.which(command[0]), command


@every_image
def test_files_of_ours_that_are_started_are_copied(name: str) -> None:
    ours = {word for command in started_by(FILES[name]) for word in command if word.startswith("/opt/")}
    copied = {f"/opt/{Path(source).name}" for source in FILES[name].sources()}
    assert ours <= copied


@pytest.mark.parametrize("name", ["dfp-api", "dfp-catalog"])
def test_dfp_takes_what_it_is_told(name: str) -> None:
    from dfp_platform.cli.app import app

    [dfp, *words], _ = started_by(FILES[name])
    assert dfp == "dfp"
    command = typer.main.get_command(app)
    for depth, word in enumerate(words):
        if word.startswith("-"):
            break
        command = command.commands[word]
        rest = words[depth + 1 :]
    context = command.make_context(words[0], list(rest))
    assert context.params["host"] == "0.0.0.0"
    assert f"{context.params['port']}" in FILES[name].of("EXPOSE")[0].value


def test_dagster_takes_what_it_is_told() -> None:
    from dagster._cli.api import grpc_health_check_command
    from dagster._cli.code_server import start_command

    [_, *start], [_, *check] = started_by(FILES["dfp-dagster"])
    assert start[:2] == ["code-server", "start"]
    assert start_command.make_context("start", start[2:]).params["port"] == 4000
    assert check[:2] == ["api", "grpc-health-check"]
    assert grpc_health_check_command.make_context("check", check[2:]).params["port"] == 4000


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"image_{name}", IMAGES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_a_spark_pod_starts_what_kubernetes_asks_for() -> None:
    command = module("spark").command
    home = {"SPARK_HOME": "/opt/spark"}
    driver = command(["driver", "--class", "X", "local:///x.jar"], {**home, "SPARK_DRIVER_BIND_ADDRESS": "10.0.0.7"})
    assert driver == [
        "/opt/spark/bin/spark-submit",
        *("--conf", "spark.driver.bindAddress=10.0.0.7", "--conf", "spark.executorEnv.SPARK_DRIVER_POD_IP=10.0.0.7"),
        *("--deploy-mode", "client", "--class", "X", "local:///x.jar"),
    ]
    told = {variable: variable.lower() for variable in module("spark").TOLD.values()}
    options = {"SPARK_JAVA_OPT_10": "-Dten", "SPARK_JAVA_OPT_2": "-Dtwo=a b", "SPARK_EXECUTOR_MEMORY": "1g"}
    executor = command(["executor"], {**home, **told, **options})
    assert executor[:6] == ["java", "-Dtwo=a b", "-Dten", "-Xms1g", "-Xmx1g", "-cp"]
    assert executor[6] == "/opt/spark/conf:/opt/spark/jars/*:."
    assert executor[8:12] == ["--driver-url", "spark_driver_url", "--executor-id", "spark_executor_id"]
    assert command(["thrift", "--conf", "a=b"], home)[1:] == [
        *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "--conf", "a=b", "spark-internal")
    ]
    assert command(["history"], home) == ["/opt/spark/bin/spark-class", "org.apache.spark.deploy.history.HistoryServer"]
    assert command(["python", "-V"], home) == ["python", "-V"]


def test_a_spark_pod_says_what_it_was_not_told() -> None:
    done = subprocess.run(
        [sys.executable, IMAGES / "spark.py", "executor"],
        env={"SPARK_HOME": "/opt/spark"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "needs the variable SPARK_EXECUTOR_MEMORY" in done.stderr


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_health_check_tells_who_lives() -> None:
    status = module("healthy").status
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        port = server.server_port
        assert [status(port, path) for path in ("/200", "/401", "/503")] == [200, 401, 503]
        codes = [
            subprocess.run([sys.executable, IMAGES / "healthy.py", str(port), *path], check=False).returncode
            for path in (["/200"], ["/503"], [])
        ]
        server.shutdown()
        thread.join()
    assert codes == [0, 1, 0]
    gone = subprocess.run(
        [sys.executable, IMAGES / "healthy.py", str(port)], capture_output=True, text=True, check=False
    )
    assert gone.returncode == 1
    assert "does not answer" in gone.stderr
