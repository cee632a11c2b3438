"""The compose stack without containers: commands, environment, mounted files and health checks of compose.yaml, as
processes of this machine. Each service has a folder that stands for its root, and a free port for each that it names.

MinIO is stood for by moto and lakeFS by its double, which are in no package registry; Grafana and Spark are left out.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pyarrow import fs

from dfp_platform.settings import PROJECT_ROOT
from tests.compose_file import FOLDER, example, read, waits_for
from tests.lakefs_double import Double
from tests.local_servers import free_port
from tests.postgres_server import new_cluster, server_command

BIN = Path(sys.executable).parent
MOTO = PROJECT_ROOT / ".cache" / "s3" / "bin" / "python"
IN_IMAGES = {"/opt/healthy.py": PROJECT_ROOT / "deploy" / "images" / "healthy.py"}
"""Files that images bring, and where they come from."""

LEFT_OUT = ("grafana", "spark-thrift")
SECONDS = 240.0
"""Within which every service has to be healthy: that one never comes is said, how quick a machine is, is not judged."""

_INSIDE = re.compile(r"(?<![\w.])/(?:var/lib/dfp|opt|data|prometheus|etc/prometheus|run/secrets|tmp)(?=[/\s\"']|$)")
"""Paths within a container that lie in the folder of its service here."""


class NativeStack:
    """Services by name; `values` are those of `.env`. Started and ended by `running`."""

    def __init__(self, folder: Path, values: Mapping[str, str]) -> None:
        self.folder, self.values = folder, {**example(), **values}
        self.services: dict[str, Any] = read(self.values)["services"]
        for name in (*LEFT_OUT, *([] if shutil.which("prometheus") else ["prometheus"])):
            self.services.pop(name)
        inside = {port.rpartition(":")[2] for service in self.services.values() for port in service.get("ports", ())}
        self.ports = {int(port): free_port() for port in (*inside, "4000")}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.lakefs = Double(folder / "lakefs", fresh=True, storage="s3", shared=self._put)
        self.ports[8000] = int(self.lakefs.endpoint.rpartition(":")[2])

    # -- what compose.yaml says, here ------------------------------------------------------------------------------

    def root(self, name: str) -> Path:
        """The folder that stands for the root of a service's container."""
        return self.folder / "roots" / name

    def here(self, name: str, text: str) -> str:
        """A word of a service's description, its hosts, ports and paths replaced by those of this machine."""
        hosts = "|".join(sorted(self.services, key=len, reverse=True))
        text = re.sub(
            rf"(?<![\w.-])(?:{hosts})(?=:\d)|(?<=host: )(?:{hosts})$|0\.0\.0\.0", "127.0.0.1", text, flags=re.M
        )
        text = re.sub(r"(?<![\w.-])\d{4,5}(?![\w.])", lambda port: str(self.ports.get(int(port[0]), port[0])), text)
        return _INSIDE.sub(lambda path: f"{self.root(name)}{path[0]}", text)

    def environment(self, name: str) -> dict[str, str]:
        """What a process of a service is told, and nothing of the environment of these tests but where programs are."""
        told = self.services[name].get("environment", {})
        ours = {key: "127.0.0.1" if key.endswith("_PG_HOST") else self.here(name, value) for key, value in told.items()}
        state = self.root(name) / "var" / "lib" / "dfp"
        base = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(state), "DFP_HOME": str(state), "LANG": "C.UTF-8"}
        java = {"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}
        quick = {"DFP_RETRIES": "0", "DFP_EVALUATION_SEEDS": "1"}
        return {**base, **java, **quick, **ours}

    def address(self, port: int) -> str:
        """Where the service answers that listens on `port` in its container."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def store(self) -> fs.S3FileSystem:
        """The object store."""
        keys = {"access_key": self.values["MINIO_ROOT_USER"], "secret_key": self.values["MINIO_ROOT_PASSWORD"]}
        return fs.S3FileSystem(endpoint_override=self.address(9000), region="us-east-1", **keys)

    def dfp(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`dfp` as in the container of the code server."""
        told = {**self.environment("dagster-code"), **environment}
        command = [BIN / "dfp", *words]
        return subprocess.run(command, env=told, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)

    def log(self, name: str) -> str:
        """The end of what a service said."""
        file = self.folder / f"{name}.log"
        return f"{name}:\n{file.read_text(errors='replace')[-3_000:]}" if file.exists() else f"{name} said nothing"

    # -- starting --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every service once what it waits for is healthy, as Compose does."""
        here = self.services.keys()
        order = TopologicalSorter({name: waits_for(service).keys() & here for name, service in self.services.items()})
        order.prepare()
        going: set[str] = set()
        until = time.monotonic() + SECONDS
        while order.is_active():
            for name in order.get_ready():
                self._begin(name)
                going.add(name)
            for name in sorted(going):
                if self._is_there(name):
                    order.done(name)
                    going.remove(name)
            if going:
                assert time.monotonic() < until, "\n".join(map(self.log, sorted(going)))
                time.sleep(0.2)

    def _begin(self, name: str) -> None:
        self._mount(name)
        begin = {"postgres": self._begin_postgres, "minio": self._begin_minio, "lakefs": lambda: None}
        begin.get(name, partial(self._begin_described, name))()

    def _begin_described(self, name: str) -> None:
        words = [self.here(name, word) for word in self.services[name]["command"]]
        self.run(name, ["prometheus", *words] if name == "prometheus" else words)

    def run(self, name: str, command: Sequence[str | Path]) -> None:
        """Start a process that ends with the stack."""
        with (self.folder / f"{name}.log").open("ab") as said:
            self.processes[name] = subprocess.Popen(
                [*map(str, command)],
                cwd=PROJECT_ROOT,
                env=self.environment(name) if name in self.services else None,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def _mount(self, name: str) -> None:
        """Lay out the folder of a service: its state, what is mounted, what its image brings, its secrets."""
        service, root = self.services[name], self.root(name)
        for place in ("var/lib/dfp", "tmp", "data", "prometheus", "etc/prometheus/rules", "run/secrets", "opt/dagster"):
            (root / place).mkdir(parents=True)
        for source, place in (volume.split(":")[:2] for volume in service.get("volumes", ())):
            if source.startswith("./") and (FOLDER / source).is_file():
                target = root / place.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(self.here(name, (FOLDER / source).read_text()))
        for place, source in IN_IMAGES.items():
            shutil.copy(source, root / place.lstrip("/"))
        for secret in service.get("secrets", ()):
            (root / "run/secrets" / secret).write_text(self.values["DFP_METRICS_TOKEN"])

    def _begin_minio(self) -> None:
        self.run("minio", [MOTO, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.ports[9000])])

    def _begin_postgres(self) -> None:
        """What Postgres's image does: a cluster with a password, then the script, then the server by TCP."""
        self.records = new_cluster(self.values["POSTGRES_PASSWORD"])
        self.run("postgres", server_command(self.records, self.ports[5432]))

    def make_databases(self) -> None:
        """Run the script that Postgres's image runs on an empty folder."""
        told = {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports[5432]), "PGPASSWORD": self.values["POSTGRES_PASSWORD"]}
        environment = {**self.environment("postgres"), **told}
        done = subprocess.run([FOLDER / "databases.sh"], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr

    # -- health ----------------------------------------------------------------------------------------------------

    def _is_there(self, name: str) -> bool:
        """Whether what waits for a service may start. Raises AssertionError: its process is gone."""
        process = self.processes.get(name)
        ended = process.poll() if process else None
        once = self.services[name]["restart"] == "on-failure"
        assert ended is None or (once and ended == 0), self.log(name)
        if once:
            return ended == 0
        healthy = name == "lakefs" or self._check(name)
        if healthy and name == "postgres":
            self.make_databases()
        return healthy

    def _check(self, name: str) -> bool:
        how, *words = self.services[name]["healthcheck"]["test"]
        if name == "minio":  # its own client is in its image alone
            how, words = "CMD-SHELL", [f"wget -q -O /dev/null {self.address(9000)}"]
        command = [self.here(name, word) for word in words]
        told = ["sh", "-c", command[0]] if how == "CMD-SHELL" else command
        done = subprocess.run(told, env=self.environment(name), cwd=PROJECT_ROOT, capture_output=True, check=False)
        return done.returncode == 0

    def stop(self) -> None:
        """End every process, the last one first."""
        for process in reversed(self.processes.values()):
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            _signal(process, signal.SIGKILL)  # children that outlived it
            process.wait()
        self.lakefs.stop()
        if records := getattr(self, "records", None):
            shutil.rmtree(records, ignore_errors=True)

    def _put(self, file: Path, path: str) -> None:
        with file.open("rb") as content, self.store().open_output_stream(path) as written:
            shutil.copyfileobj(content, written)


def _signal(process: subprocess.Popen[bytes], kind: signal.Signals) -> None:
    """Signal a process of ours and those that it started."""
    try:
        os.killpg(process.pid, kind)
    except ProcessLookupError:
        return


@contextmanager
def running(folder: Path, **values: str) -> Iterator[NativeStack]:
    """The stack, every service healthy, until the block ends."""
    stack = NativeStack(folder, values)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
