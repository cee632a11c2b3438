"""A Kubernetes API on this machine, as far as Dagster's run workers, step pods and one SparkApplication need it.

Jobs and drivers run as processes here: the image is this environment. What a cluster adds (admission, scheduling,
networks, quotas) it does not judge.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml


@dataclass
class Pod:
    """One process, with its log."""

    manifest: dict[str, Any]
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def phase(self) -> str:
        code = self.process.poll()
        return "Running" if code is None else "Failed" if code else "Succeeded"

    def shown(self) -> dict[str, Any]:
        state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        if (code := self.process.poll()) is not None:
            state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
        container = self.manifest["spec"]["containers"][0]["name"]
        status = {"name": container, "image": "", "imageID": "", "ready": True, "restartCount": 0, "state": state}
        return {**self.manifest, "status": {"phase": self.phase, "containerStatuses": [status]}}

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@dataclass
class Cluster:
    """What the double holds.

    Attributes:
        folder: of logs.
        environment: what every process gets whatever its manifest says: a laptop's places instead of mounted ones.
        secrets: values by secret and key.
        spark_submit: the command that runs a driver, before its arguments.
        loses_answers: what is made is made, and who asked for it does not hear of it.
    """

    folder: Path
    environment: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    spark_submit: Sequence[str] = ()
    loses_answers: bool = False
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)

    def create_job(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["metadata"]["name"]
        template = body["spec"]["template"]
        labels = {**template["metadata"].get("labels", {}), "job-name": name}
        container = template["spec"]["containers"][0]
        self.start_pod(f"{name}-x", labels, container, [*container.get("command", []), *container.get("args", [])])
        self.jobs[name] = body
        return self.job(name)

    def job(self, name: str) -> dict[str, Any]:
        phase = self.pods[f"{name}-x"].phase
        return {**self.jobs[name], "status": {_COUNTED[phase]: 1}}

    def delete_job(self, name: str) -> None:
        self.jobs.pop(name)
        self.deleted.append(name)
        self.pods[f"{name}-x"].end()

    def create_application(self, body: dict[str, Any]) -> dict[str, Any]:
        name, spec = body["metadata"]["name"], body["spec"]
        driver = {"name": "spark-kubernetes-driver", "env": spec["driver"].get("env", [])}
        self.start_pod(f"{name}-driver", spec["driver"]["labels"], driver, [*self.spark_submit, *spec["arguments"]])
        self.applications[name] = body
        return body

    def application(self, name: str) -> dict[str, Any]:
        phase = self.pods[f"{name}-driver"].phase
        state = {"state": _STATES[phase], **({"errorMessage": "driver failed"} if phase == "Failed" else {})}
        status = {"driverInfo": {"podName": f"{name}-driver"}, "applicationState": state}
        return {**self.applications[name], "status": status}

    def delete_application(self, name: str) -> None:
        self.applications.pop(name)
        self.deleted.append(name)
        self.pods[f"{name}-driver"].end()

    def start_pod(
        self, name: str, labels: Mapping[str, str], container: Mapping[str, Any], command: Sequence[str]
    ) -> None:
        log = self.folder / f"{name}.log"
        given = {variable["name"]: self._value(variable) for variable in container.get("env") or []}
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": dict(labels), "uid": f"uid-{name}"},
            "spec": {"containers": [{"name": container["name"]}]},
        }
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                env={**os.environ, "HOSTNAME": name, **given, **self.environment},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pods[name] = Pod(manifest, process, log)

    def _value(self, variable: Mapping[str, Any]) -> str:
        if (source := variable.get("valueFrom")) is None:
            return variable.get("value", "")
        wanted = source["secretKeyRef"]
        return self.secrets[wanted["name"]][wanted["key"]]

    def said(self) -> str:
        """The logs of all pods, for the message of a test that fails."""
        return "\n".join(f"== {name} {pod.phase}\n{pod.log.read_text()[-3_000:]}" for name, pod in self.pods.items())


_COUNTED = {"Running": "active", "Succeeded": "succeeded", "Failed": "failed"}
_STATES = {"Running": "RUNNING", "Succeeded": "COMPLETED", "Failed": "FAILED"}


class _Api(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        at = urlsplit(self.path)
        kind, name, part = _named(at.path)
        if kind == "pods" and part == "log":
            self._stream(self.cluster.pods[name], follow=parse_qs(at.query).get("follow") == ["True"])
        elif kind == "pods" and not name:
            wanted = dict(
                pair.split("=") for pair in parse_qs(at.query).get("labelSelector", [""])[0].split(",") if pair
            )
            found = [pod.shown() for pod in self.cluster.pods.values()]
            items = [pod for pod in found if wanted.items() <= pod["metadata"]["labels"].items()]
            self._answer({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items})
        else:
            read: dict[str, tuple[Mapping[str, Any], Callable[[str], Any]]] = {
                "pods": (self.cluster.pods, lambda name: self.cluster.pods[name].shown()),
                "jobs": (self.cluster.jobs, self.cluster.job),
                "sparkapplications": (self.cluster.applications, self.cluster.application),
            }
            known, show = read[kind]
            self._answer(show(name)) if name in known else self._missing(kind, name)

    def do_POST(self) -> None:
        kind, _, _ = _named(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        make = {"jobs": self.cluster.create_job, "sparkapplications": self.cluster.create_application}[kind]
        made = make(body)
        if self.cluster.loses_answers:
            self.close_connection = True
        else:
            self._answer(made, status=201)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, name, _ = _named(urlsplit(self.path).path)
        known, remove = {
            "jobs": (self.cluster.jobs, self.cluster.delete_job),
            "sparkapplications": (self.cluster.applications, self.cluster.delete_application),
        }[kind]
        if name not in known:
            self._missing(kind, name)
            return
        remove(name)
        self._answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _missing(self, kind: str, name: str) -> None:
        told = {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": f"{kind} {name!r} not found"}
        self._answer(told, status=404)

    def _answer(self, body: Any, *, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, pod: Pod, *, follow: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with pod.log.open("rb") as stream:
            while True:
                ended = pod.process.poll() is not None  # asked first: what it wrote last is read then
                if chunk := stream.read():
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    self.wfile.flush()
                if ended or not follow:
                    break
                time.sleep(0.05)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _named(path: str) -> tuple[str, str, str]:
    """Kind, name and sub-resource of `/apis/…/namespaces/<namespace>/<kind>[/<name>[/<part>]]`."""
    rest = path.partition("/namespaces/")[2].split("/")[1:]
    kind, name, part = [*rest, "", "", ""][:3]
    return kind, name, part


@contextmanager
def kubernetes(cluster: Cluster) -> Iterator[Path]:
    """The double answers as long as the block lasts; yields a kubeconfig that leads to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Api", (_Api,), {"cluster": cluster}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "me", "user": {"token": "none"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "dfp"}}],
    }
    kubeconfig = cluster.folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    try:
        yield kubeconfig
    finally:
        for pod in cluster.pods.values():
            pod.end()
        server.shutdown()
        server.server_close()
