"""The MLflow that tests talk to: a database of their own, or a real server on a free port of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from tests.local_servers import free_port, until

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True, slots=True)
class Place:
    """An MLflow: its address, and the folder that a database's artifacts lie in."""

    uri: str
    artifacts: Path

    @property
    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)


@contextmanager
def sqlite(home: Path) -> Iterator[Place]:
    """A database in a file."""
    yield Place(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")


@contextmanager
def server(home: Path) -> Iterator[Place]:
    """`mlflow server` over such a database; it is ended with all it started."""
    port = free_port()
    started = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{home / 'server.db'}", "--artifacts-destination", str(home / "kept")),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}", started)
        yield Place(f"http://127.0.0.1:{port}", home / "never")
    finally:
        family = [*psutil.Process(started.pid).children(recursive=True)] if started.poll() is None else []
        started.kill()
        for process in family:
            process.kill()
        started.wait(timeout=20)


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    """The server makes its tables first."""

    def answers() -> bool:
        assert process.poll() is None, f"mlflow server at {address} ended by itself"
        return httpx.get(f"{address}/health", timeout=5).is_success

    until(answers, ignore=(httpx.HTTPError,), seconds=150)


PLACES = {"sqlite": sqlite, "server": server}


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow and its dependencies warn of one another as they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
