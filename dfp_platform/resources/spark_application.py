"""dbt as the driver of a SparkApplication: what stands where a run expects the program `dbt`, on Kubernetes.

The chart describes the application (image, rights, memory); here it gets the name, the ref and the arguments of one
run, is submitted to the Spark Operator, watched, and removed. The driver (`spark_driver`) speaks through its log alone:
dbt's own events, one JSON object a line, which go to standard output as dbt's would, and the files that dbt wrote.
"""

import base64
import json
import os
import secrets
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from dfp_platform.errors import ConfigurationError, DfpError, TransientError
from dfp_platform.resources.kubernetes_access import api_client, namespace_here
from dfp_platform.settings import settings

PROGRAM = "dfp-spark-dbt"
"""What takes dbt's place (pyproject.toml)."""

OPERATOR = {"group": "sparkoperator.k8s.io", "version": "v1beta2", "plural": "sparkapplications"}

FILE, EXIT = "dfp_file", "dfp_exit"
"""Keys of the driver's own lines: a piece of a file that dbt wrote; how dbt ended."""

_ENDED = {"COMPLETED", "FAILED", "SUBMISSION_FAILED", "INVALIDATING", "UNKNOWN"}
_PIECE = 8_000
"""Letters of a file in one line of the log: container runtimes cut lines of 16 kB."""

_POLL_SECONDS = 2.0


def filled(
    template: Mapping[str, Any],
    *,
    name: str,
    ref: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    labels: Mapping[str, str],
    owner: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """The application of one run.

    Args:
        template: a SparkApplication; what it says of image, accounts, resources and secrets stands.
        name: of the application; its driver's pod is called `<name>-driver`.
        ref: branch of the lake that dbt works on.
        arguments: of dbt.
        environment: what the driver gets beside what the template gives it.
        labels: of the application and its driver.
        owner: name and uid of the pod with which the application goes.
    """
    application = json.loads(json.dumps(template))
    metadata, spec = application.setdefault("metadata", {}), application["spec"]
    metadata["name"] = name
    metadata["labels"] = {**metadata.get("labels", {}), **labels}
    if owner is not None:
        pod = {"apiVersion": "v1", "kind": "Pod", "name": owner[0], "uid": owner[1]}
        metadata["ownerReferences"] = [pod]
    driver = spec.setdefault("driver", {})
    driver["labels"] = {**driver.get("labels", {}), **labels}
    given = {"DFP_REF": ref, **environment}
    kept = [variable for variable in driver.get("env", []) if variable["name"] not in given]
    driver["env"] = [*kept, *({"name": key, "value": value} for key, value in given.items())]
    spec["arguments"] = list(arguments)
    spec["restartPolicy"] = {"type": "Never"}  # a run decides what is tried again
    return application


def pieces(name: str, content: bytes) -> Iterator[str]:
    """A file as lines of a log."""
    text = base64.b64encode(zlib.compress(content)).decode()
    for start in range(0, len(text), _PIECE):
        yield json.dumps({FILE: name, "piece": text[start : start + _PIECE]})


def read_log(lines: Iterable[str], say: Callable[[str], None]) -> tuple[dict[str, bytes], int | None]:
    """Hand dbt's events on as they come; the files that the driver sent, and how dbt ended (None: it never said)."""
    found: dict[str, str] = {}
    ended: int | None = None
    for line in lines:
        event = _event(line)
        if event is None:
            sys.stderr.write(f"{line}\n")  # Spark's own
        elif FILE in event:
            found[event[FILE]] = found.get(event[FILE], "") + event["piece"]
        elif EXIT in event:
            ended = int(event[EXIT])
        else:
            say(line)
    return {name: zlib.decompress(base64.b64decode(text)) for name, text in found.items()}, ended


def _event(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    with suppress(ValueError):
        return json.loads(line)
    return None


class Operator:
    """The Spark Operator of one namespace, as far as one application needs it."""

    def __init__(self, namespace: str) -> None:
        from kubernetes import client

        self._where = {**OPERATOR, "namespace": namespace}
        self._applications: Any = client.CustomObjectsApi(api_client())
        self._pods: Any = client.CoreV1Api(api_client())

    def submit(self, application: Mapping[str, Any]) -> None:
        """Hand an application to the operator. Raises ConfigurationError: it is refused."""
        from kubernetes.client import ApiException

        try:
            self._applications.create_namespaced_custom_object(**self._where, body=application)
        except ApiException as error:
            hint = "is the Spark Operator installed, and may this pod's service account create sparkapplications?"
            raise ConfigurationError(
                f"the SparkApplication was refused: {error.status} {error.reason} {str(error.body)[:300]}",
                hint=hint,
                setting="spark_application",
            ) from error

    def status(self, name: str) -> dict[str, Any]:
        """What the operator says of an application; empty before it has seen it."""
        found = self._applications.get_namespaced_custom_object(**self._where, name=name)
        return found.get("status") or {}

    def remove(self, name: str) -> None:
        """Take an application away with all of its pods; it may be gone already."""
        from kubernetes.client import ApiException

        try:
            self._applications.delete_namespaced_custom_object(**self._where, name=name)
        except ApiException as error:
            if error.status != 404:
                raise

    def driver_log(self, name: str) -> Iterator[str]:
        """The lines of the driver's log from the first to the last, across broken connections, while it runs."""
        seen = 0
        while True:
            pod = self._wait_for_driver(name)
            if pod is None:
                return
            with suppress(OSError, _broken()):  # what was read is skipped on the next try
                for number, line in enumerate(self._log(pod)):
                    if number >= seen:
                        seen += 1
                        yield line
            if state_of(self.status(name)) in _ENDED or self._phase(pod) in ("Succeeded", "Failed"):
                yield from islice(self._log(pod, follow=False), seen, None)
                return
            time.sleep(_POLL_SECONDS)

    def wait_for_end(self, name: str) -> tuple[str, str]:
        """The state in which an application ended, and what the operator says of it."""
        while (state := state_of(status := self.status(name))) not in _ENDED:
            time.sleep(_POLL_SECONDS)
        return state, status.get("applicationState", {}).get("errorMessage", "")

    def _wait_for_driver(self, name: str) -> str | None:
        """The driver's pod once it can be read; None if the application ended without one."""
        said = ""
        while True:
            status = self.status(name)
            pod = status.get("driverInfo", {}).get("podName")
            phase = self._phase(pod) if pod else None
            if pod and phase in ("Running", "Succeeded", "Failed"):
                return pod
            if state_of(status) in _ENDED:
                return None
            now = f"SparkApplication {name}: {state_of(status) or 'not seen by the operator yet'}, driver {phase}"
            if now != said:
                sys.stderr.write(f"{now}\n")
                said = now
            time.sleep(_POLL_SECONDS)

    def _phase(self, pod: str) -> str | None:
        from kubernetes.client import ApiException

        try:
            return self._pods.read_namespaced_pod(pod, self._where["namespace"]).status.phase
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def _log(self, pod: str, *, follow: bool = True) -> Iterator[str]:
        answer = self._pods.read_namespaced_pod_log(
            pod, self._where["namespace"], container="spark-kubernetes-driver", follow=follow, _preload_content=False
        )
        rest = b""
        for chunk in answer.stream():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
        if rest:
            yield rest.decode(errors="replace")


def _broken() -> type[Exception]:
    from urllib3.exceptions import HTTPError

    return HTTPError


def state_of(status: Mapping[str, Any]) -> str:
    """The state of an application as the operator names it (RUNNING, COMPLETED, …); empty before it names one."""
    return status.get("applicationState", {}).get("state", "")


def template(path: Path) -> dict[str, Any]:
    """The SparkApplication that a file describes. Raises ConfigurationError: there is none, or it is none."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text())
        if found["kind"] != "SparkApplication" or "spec" not in found:
            raise ValueError("it is no SparkApplication")
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"DFP_SPARK_APPLICATION={path} cannot be used: {error}",
            hint="the Helm chart mounts one at /etc/dfp/spark-application.yaml (values: sparkApplications.enabled)",
            setting="spark_application",
        ) from error
    return found


def run_dbt(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Run dbt in a SparkApplication of its own; what it wrote lies in `folder` afterwards.

    Args:
        arguments: of dbt.
        environment: of this process: the ref, dbt's options, the run.
        folder: dbt's target folder here.

    Returns dbt's exit code: 0; 1 where a model or a test failed. Raises TransientError: the application failed before
    dbt said how it ended.
    """
    given = template(settings().spark_application or Path("unset"))
    operator = Operator(given.get("metadata", {}).get("namespace") or namespace_here())
    run = environment.get("DFP_RUN", "")
    name = f"dfp-dbt-{run[:8]}-{secrets.token_hex(3)}".replace("--", "-")
    pod = environment.get("DFP_POD_NAME"), environment.get("DFP_POD_UID")
    application = filled(
        given,
        name=name,
        ref=environment["DFP_REF"],
        arguments=arguments,
        environment=dbt_options(environment),
        labels={"app.kubernetes.io/component": "spark-dbt", **({"dagster/run-id": run} if run else {})},
        owner=(pod[0], pod[1]) if pod[0] and pod[1] else None,
    )
    try:
        operator.submit(application)
        files, ended = read_log(operator.driver_log(name), lambda line: print(line, flush=True))  # noqa: T201 # as dbt
        state, why = operator.wait_for_end(name)
    except BaseException:  # also where the answer to the submission was lost, or this process is told to end
        with suppress(Exception):
            operator.remove(name)
        raise
    if ended is None:  # it stays to be looked at, until its time
        raise TransientError(
            f"SparkApplication {name} ended as {state} before dbt did: {why or 'the operator gives no reason'}",
            hint=f"kubectl describe sparkapplication {name}; kubectl logs {name}-driver",
        )
    operator.remove(name)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return ended


def dbt_options(environment: Mapping[str, str]) -> dict[str, str]:
    """dbt's own options among environment variables, but for places on this machine."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("DBT_") and not name.endswith(("_PATH", "_DIR")) and "SECRET" not in name
    }


def main() -> None:
    """What dagster-dbt starts in dbt's place; it asks which dbt that is first."""
    if sys.argv[1:] == ["--version"]:
        dbt = Path(sys.executable).parent / "dbt"
        os.execv(dbt, [str(dbt), "--version"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the application is removed
    try:
        sys.exit(run_dbt(sys.argv[1:], os.environ, Path(os.environ["DBT_TARGET_PATH"])))
    except DfpError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
