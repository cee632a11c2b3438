"""What each image starts, started from what it installs and copies and nothing else: `make images-check` (minutes).

An image's packages go to an environment of their own, its files to a tree without write bits, and its commands run as
an ordinary user where this runs as root. Torch is not installed twice: dfp-dagster has the packages of the project's
own environment.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dfp_platform.lake import open_lake
from dfp_platform.settings import PROJECT_ROOT
from tests.dockerfiles import read
from tests.local_servers import free_port, until

IMAGES = PROJECT_ROOT / "deploy" / "images"
USER, GROUP = pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid  # a user with an entry, as in the images
TOKEN = "a-token-of-this-test"
HIVE = """<configuration>
<property><name>hive.server2.thrift.port</name><value>{port}</value></property>
<property><name>hive.server2.thrift.bind.host</name><value>127.0.0.1</value></property>
</configuration>
"""

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Image:
    """An image, laid out in a folder."""

    name: str
    root: Path
    python: str

    @property
    def home(self) -> Path:
        return self.root / "home"

    def command(self, words: Sequence[str], *, port: int) -> list[str]:
        """What the image starts, as it starts here: its own paths and port, and the environment's interpreter."""
        said = {"8181", "8010", "5000", "4000", "10000"}
        words = [str(port) if word in said else word for word in words]
        words = [str(self.root) + word if word.startswith("/opt/") else word for word in words]
        if words[0] == "python":
            return [self.python, *words[1:]]
        if words[0] == "dfp":
            return [self.python, str(self.root / "opt/venv/bin/dfp"), *words[1:]]
        return [self.python, "-m", *words]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """What a container would know, and how this machine finds programs."""
        code = self.root / "opt" / "dfp"
        return {
            "PATH": f"{Path(self.python).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "DFP_HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PYTHONPATH": f"{code}:{code / 'dbt_datafusion' / 'src'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_PYTHON_REFRESH": "quiet",
            "MPLCONFIGDIR": str(self.home / "matplotlib"),
            **more,
        }


def as_user() -> list[str]:
    return ["setpriv", "--reuid", str(USER), "--regid", str(GROUP), "--clear-groups"] if os.getuid() == 0 else []


def laid_out(name: str, root: Path) -> None:
    """The files that the last stage of an image copies, at their places beneath `root`, read-only."""
    (root / "opt" / "dfp").mkdir(parents=True)
    for each in read(IMAGES / f"{name}.Dockerfile").of("COPY", last=True):
        if "--from=" in each.value:
            continue
        *sources, target = [word for word in each.value.split() if not word.startswith("--")]
        place = Path(f"{root}/{target}" if target.startswith("/") else f"{root}/opt/dfp/{target}")
        for source in map(PROJECT_ROOT.joinpath, sources):
            into = place / source.name if target.endswith("/") else place
            into.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
            else:
                shutil.copy(source, into)
    for path in [root / "opt", *(root / "opt").rglob("*")]:
        path.chmod(0o555)


def interpreter() -> str:
    """This Python's version where the user of the images may start it: not in the home of another."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return shutil.which(name, path="/usr/local/bin:/usr/bin") or sys.executable


def installed(name: str, root: Path) -> str:
    """The interpreter of an environment with what an image installs from its list, or else with the project's own."""
    uv = Path(sys.executable).parent / "uv"
    index = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    ).stdout.strip()
    environment = {**({"UV_DEFAULT_INDEX": index} if index else {}), **os.environ}
    python = root / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", interpreter(), root / "venv"], check=True, env=environment)
    packages = IMAGES / f"{name}.txt"
    if packages.exists():
        pins = ("--constraint", "constraints.txt", "--build-constraint", "constraints.txt")
        command = [uv, "pip", "install", "--quiet", "--python", python, *pins, "--requirement", packages]
        subprocess.run(command, check=True, env=environment, cwd=PROJECT_ROOT)
    else:
        [site] = (root / "venv").glob("lib/*/site-packages")
        (site / "project.pth").write_text(sysconfig.get_path("purelib"))
        dbt = Path(sys.executable).with_name("dbt").read_text().partition("\n")[2]
        python.with_name("dbt").write_text(f"#!{python}\n{dbt}")
        python.with_name("dbt").chmod(0o755)
    return str(python)


@pytest.fixture
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    root = Path(tempfile.mkdtemp(prefix="dfp-image-"))
    try:
        root.chmod(0o755)
        laid_out(request.param, root)
        (root / "home").mkdir()
        yield Image(request.param, root, installed(request.param, root))
    finally:
        shutil.rmtree(root)


@contextmanager
def running(image: Image, *, port: int, seconds: float = 400, **environment: str) -> Iterator[None]:
    """The image's own command, from when its own health check is content until the block ends; it ends on SIGTERM."""
    file = read(IMAGES / f"{image.name}.Dockerfile")
    log = image.root / "log"
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{USER}:{GROUP}", image.home], check=True)
    told = image.environment(environment)
    command = [*as_user(), *image.command(file.started()[2:], port=port)]
    check = [*as_user(), *image.command(file.asked(), port=port)]
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=image.root / "opt/dfp", env=told, stdout=said, stderr=said)
        try:

            def healthy() -> bool:
                assert process.poll() is None, log.read_text()[-3_000:]
                return subprocess.run(check, cwd="/", env=told, capture_output=True, check=False).returncode == 0

            until(healthy, seconds=seconds, said=lambda: log.read_text()[-3_000:])
            yield
            process.terminate()
            assert process.wait(timeout=60) in (0, -15, 143)
        finally:
            process.kill()
            process.wait()


def asked(port: int, path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("image", ["dfp-catalog"], indirect=True)
def test_the_catalog_serves_a_lake(image: Image) -> None:
    open_lake(image.home / "lake", create=True)
    port = free_port()
    with running(image, port=port, DFP_CATALOG_TOKEN=TOKEN):
        assert asked(port, "/v1/config")[0] == 401
        status, said = asked(port, "/v1/config?warehouse=main", authorization=f"Bearer {TOKEN}")
    assert status == 200
    assert json.loads(said)["overrides"] == {"prefix": "main"}


@pytest.mark.parametrize("image", ["dfp-api"], indirect=True)
def test_the_api_answers_before_anything_is_published(image: Image) -> None:
    open_lake(image.home / "lake", create=True)
    port = free_port()
    with running(image, port=port, DFP_SERVING_TOKEN=TOKEN):
        assert asked(port, "/model")[0] == 401
        assert asked(port, "/readyz")[0] == 503


@pytest.mark.parametrize("image", ["dfp-mlflow"], indirect=True)
def test_mlflow_tracks_and_answers_to_the_names_it_was_told(image: Image) -> None:
    port = free_port()
    told = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{image.home}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": str(image.home / "artifacts"),
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"mlflow,mlflow:{port}",
    }
    search = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    with running(image, port=port, **told):
        assert asked(port, search, host=f"mlflow:{port}")[0] == 200
        assert asked(port, search, host="elsewhere.example")[0] == 403


@pytest.mark.parametrize("image", ["dfp-dagster"], indirect=True)
def test_the_code_server_loads_every_asset(image: Image) -> None:
    from dagster._grpc.client import DagsterGrpcClient

    port = free_port()
    with running(image, port=port):
        found = DagsterGrpcClient(port=port).list_repositories()
    assert '"__class__": "ListRepositoriesResponse"' in found, found[:2_000]
    assert "dfp_platform.definitions" in found


@pytest.mark.parametrize("image", ["dfp-spark"], indirect=True)
def test_the_thrift_server_has_iceberg_and_s3(image: Image) -> None:
    """Spark's package and the jars, laid out as the image lays them out."""
    file = read(IMAGES / "dfp-spark.Dockerfile")
    said = " ".join(run.value for run in file.of("RUN"))
    jars = [word for word in said.replace(";", " ").split() if word.count(":") == 2 and "maven" not in word]
    [package] = (image.root / "venv").glob("lib/*/site-packages/pyspark")
    home = image.root / "spark"
    home.mkdir()
    for folder in ("bin", "sbin", "jars"):
        (package / folder).rename(home / folder)
    for jar in jars:
        maven = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={jar}", f"-DoutputDirectory={home / 'jars'}"]
        subprocess.run(maven, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", IMAGES / "spark.sha256"], cwd=home / "jars", check=True
    )
    (home / "conf").mkdir()
    shutil.copy(IMAGES / "spark-defaults.conf", home / "conf")
    port = free_port()
    told = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": image.python}
    told["JAVA_TOOL_OPTIONS"] = f"-Duser.home={image.home}"
    (home / "conf").joinpath("hive-site.xml").write_text(HIVE.format(port=port))
    with running(image, port=port, **told):
        ask = (
            "from pyhive import hive; c = hive.connect('127.0.0.1', {}).cursor(); c.execute({!r}); print(c.fetchall())"
        )
        done = subprocess.run(
            [image.python, "-c", ask.format(port, "select 6 * 7")],
            env=image.environment(told), capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert done.stdout.strip() == "[(42,)]"
