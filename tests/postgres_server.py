"""A PostgreSQL server of a test's own, from Debian's package."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.local_servers import free_port, until

PASSWORD = "a password of tests"


def programs() -> Path:
    """Where Debian puts `initdb` and `postgres`, which are not on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "no PostgreSQL. next: apt install postgresql"
    return found[-1].parent


def new_cluster(password: str) -> Path:
    """An empty folder of a server's data, whose superuser `postgres` has this password."""
    data = Path(tempfile.mkdtemp(prefix="dfp-postgres-"))
    secret = data / "password"
    secret.write_text(password)
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        shutil.chown(secret, "postgres", "postgres")
    make = [programs() / "initdb", "-D", data / "data", "-U", "postgres", "--auth=scram-sha-256", "--no-sync"]
    subprocess.run([*_as_user(), *make, f"--pwfile={secret}"], check=True, capture_output=True, cwd="/")
    return data


def server_command(data: Path, port: int) -> list[str]:
    """What serves the folder that `new_cluster` made, on this machine alone."""
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": data, "fsync": "off"}
    told = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    return [*_as_user(), *map(str, [programs() / "postgres", "-D", data / "data", "-p", port]), *told]


def _as_user() -> list[str]:
    """Postgres refuses to be root."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []


@dataclass(frozen=True)
class Postgres:
    """A server that answers at 127.0.0.1."""

    port: int

    @property
    def environment(self) -> Mapping[str, str]:
        """What Postgres's own programs read."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGPASSWORD": PASSWORD}

    def tell(self, program: str, *words: str | Path) -> None:
        """Run one of Postgres's programs on this server."""
        command: Sequence[str | Path] = [programs() / program, *words]
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server as long as the block lasts, with no databases of its own."""
    data, port = new_cluster(PASSWORD), free_port()
    process = subprocess.Popen(server_command(data, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Postgres(port)
    try:
        ready = [programs() / "pg_isready", "--quiet"]

        def answers() -> bool:
            assert process.poll() is None, "PostgreSQL ended by itself"
            return subprocess.run(ready, env={**os.environ, **server.environment}, check=False).returncode == 0

        until(answers)
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # without waiting for clients
        process.wait(timeout=30)
        shutil.rmtree(data, ignore_errors=True)
