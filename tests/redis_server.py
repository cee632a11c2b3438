"""A real Redis for tests: on a free port of this machine, without persistence, ended by its process."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.local_servers import free_port, until

PATIENT = "?socket_timeout=20&socket_connect_timeout=20"
"""Behind an address: whether a machine is busy is not what is tested."""

NEEDS_REDIS = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed (Debian: apt install redis-server)"
)


@dataclass(slots=True)
class RedisServer:
    """A running server; `stop` and `start` let a test take it away and bring it back, empty, on the same port."""

    folder: Path
    port: int
    options: Sequence[str] = ()
    url: str = ""
    process: subprocess.Popen | None = None

    def start(self) -> None:
        log = (self.folder / "redis.log").open("ab")
        told = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            ["redis-server", *told, "--dir", str(self.folder), *self.options], stdout=log, stderr=log
        )
        log.close()
        until(self._listens)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            self.process = None

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "redis.log").read_text()
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def redis_server(folder: Path, *options: str, password: str = "") -> Iterator[RedisServer]:
    """A server that lasts as long as the block; `options` go to `redis-server` as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    login = f":{password}@" if password else ""
    told = (*options, "--requirepass", password) if password else options
    port = free_port()
    server = RedisServer(folder, port, told, f"redis://{login}127.0.0.1:{port}/0")
    server.start()
    try:
        yield server
    finally:
        server.stop()
