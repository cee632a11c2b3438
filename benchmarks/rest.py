"""The REST catalog under load: `python -m benchmarks.rest [--json] [--spark] [--nessie JAR --s3 URL] [--folder DIR]`.

Commits and loads by 1, 4 and 16 clients at once: threads of this process that send raw requests with httpx, each to a
table of its own (20 columns) of one branch; the server is a process of its own. A commit sets a property: the client
has no work with it, the server all that is not reading data. Each of our commits is on the disk (fsync) when it is
answered.

`--nessie` adds Nessie's server (its runner jar; Java 21 or newer, which NESSIE_JAVA names if `java` is older) in the
same run, with the same clients: its history in memory, then in RocksDB. It wants its warehouse in an S3 store at
`--s3`, with the usual AWS_… keys and a bucket `bench`. RocksDB outlives the end of the process; Nessie has nothing
synced before it answers.

`--spark` adds small appends (`insert into … values`) by one Spark session to a table of our catalog and, by turns, to
one of Spark's own hadoop catalog, which syncs nothing. Needs the `spark` extra and Java 17.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import Row, milliseconds, parser, row, show

COLUMNS = 20
CLIENTS = (1, 4, 16)
SPARK_LIMIT = 1.4
"""How many times as long as with the hadoop catalog a small append may take."""


@dataclass(frozen=True, slots=True)
class Served:
    """A catalog that answers: its name, and the address beneath which its namespaces lie."""

    name: str
    address: str


@contextmanager
def ours(folder: Path) -> Iterator[Served]:
    """`dfp catalog serve` over a new embedded lake."""
    from dfp_platform.lake import open_lake

    lake = open_lake(folder / "lake", create=True)
    command = [sys.executable, "-m", "dfp_platform.cli", "catalog", "serve", "--port", "0", "--json"]
    with ended(subprocess.Popen([*command, "--lake", lake.uri], stdout=subprocess.PIPE, text=True)) as server:
        assert server.stdout is not None
        told = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")
        yield Served("dfp", f"{told['uri']}/v1/main")


@contextmanager
def nessie(folder: Path, jar: Path, s3: str, *, store: str) -> Iterator[Served]:
    """Nessie's server over a new store: IN_MEMORY or ROCKSDB."""
    port, management = free_port(), free_port()
    options = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": port,
        "quarkus.management.host": "127.0.0.1",
        "quarkus.management.port": management,
        "quarkus.otel.sdk.disabled": "true",
        "quarkus.log.level": "ERROR",
        "nessie.version.store.type": store,
        "nessie.version.store.persist.rocks.database-path": folder / f"nessie-{store}",
        "nessie.catalog.default-warehouse": "bench",
        "nessie.catalog.warehouses.bench.location": f"s3://bench/{folder.name}-{store}",
        "nessie.catalog.service.s3.default-options.endpoint": s3,
        "nessie.catalog.service.s3.default-options.path-style-access": "true",
        "nessie.catalog.service.s3.default-options.region": "us-east-1",
        "nessie.catalog.service.s3.default-options.access-key": "urn:nessie-secret:quarkus:bench.key",
        "bench.key.name": os.environ["AWS_ACCESS_KEY_ID"],
        "bench.key.secret": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    settings = folder / f"{store}.properties"  # secrets are no arguments, which everybody on the machine can read
    settings.write_text("".join(f"{name}={value}\n" for name, value in options.items()))
    command = [os.environ.get("NESSIE_JAVA", "java"), f"-Dquarkus.config.locations={settings}", "-jar", str(jar)]
    with ended(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)) as server:
        config = f"http://127.0.0.1:{port}/iceberg/v1/config"
        told = _answer(server, config, seconds=180)
        prefix = {**told["defaults"], **told["overrides"]}["prefix"]
        yield Served(f"Nessie, {store}", f"http://127.0.0.1:{port}/iceberg/v1/{prefix}")


def _answer(server: subprocess.Popen[Any], address: str, *, seconds: float) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < until:
        try:
            answer = httpx.get(address, timeout=10)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return answer.raise_for_status().json()
    raise TimeoutError(f"the server at {address} did not answer")


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """The process, which ends with the block."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


def loaded(served: Served, *, seconds: float) -> list[Row]:
    """Commits and loads by several clients, each for so many seconds after a warm-up."""
    fields = [{"id": n, "name": f"c{n}", "type": "double", "required": False} for n in range(1, COLUMNS + 1)]
    made = {
        "schema": {"type": "struct", "schema-id": 0, "fields": fields},
        "partition-spec": {"spec-id": 0, "fields": []},
        "write-order": {"order-id": 0, "fields": []},
        "stage-create": False,
        "properties": {},
    }  # what the specification lets a client leave out Nessie wants nevertheless
    with httpx.Client(timeout=60) as client:
        client.post(f"{served.address}/namespaces", json={"namespace": ["bench"]}).raise_for_status()
        for n in range(max(CLIENTS)):
            answer = client.post(f"{served.address}/namespaces/bench/tables", json={"name": f"t{n}", **made})
            answer.raise_for_status()

    def commit(client: httpx.Client, table: str, number: int) -> httpx.Response:
        updates = [{"action": "set-properties", "updates": {"count": str(number)}}]
        return client.post(table, json={"requirements": [], "updates": updates})

    def load(client: httpx.Client, table: str, number: int) -> httpx.Response:
        return client.get(table)

    at_once(served, commit, clients=max(CLIENTS), seconds=seconds / 2)  # a JVM needs it
    rows = []
    for what, call in (("commits", commit), ("loads", load)):
        for clients in CLIENTS:
            taken = at_once(served, call, clients=clients, seconds=seconds)
            name = f"{served.name}: {what} by {clients} client{'s' if clients > 1 else ''}"
            rows.append(row(name, taken, per_s=round(len(taken) / seconds, 1)))
    return rows


Ask = Callable[[httpx.Client, str, int], httpx.Response]


def at_once(served: Served, call: Ask, *, clients: int, seconds: float) -> list[float]:
    """Milliseconds of every call that so many threads make, one after the other each, until the time is over."""
    begin = threading.Barrier(clients)

    def one(number: int) -> list[float]:
        table, taken = f"{served.address}/namespaces/bench/tables/t{number}", []
        with httpx.Client(timeout=60) as client:
            begin.wait()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                n = len(taken)
                taken.append(milliseconds(lambda n=n: call(client, table, n).raise_for_status()))
        return taken

    with ThreadPoolExecutor(clients) as threads:
        return [figure for taken in threads.map(one, range(clients)) for figure in taken]


def spark_appends(served: Served, folder: Path, *, times: int) -> list[Row]:
    """Small appends by one warm Spark session, to a table of ours and to one of its hadoop catalog by turns."""
    from pyspark.sql import SparkSession  # type: ignore[import-not-found]

    from dfp_platform.resources.spark import catalog_configuration, session_configuration

    told = {
        **session_configuration(),
        **catalog_configuration(served.address.removesuffix("/v1/main"), "main", name="ours"),
        "spark.sql.catalog.hadoop": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.hadoop.type": "hadoop",
        "spark.sql.catalog.hadoop.warehouse": str(folder / "hadoop"),
    }
    builder = SparkSession.builder
    for name, value in told.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    catalogs = ("ours", "hadoop")
    taken: dict[str, list[float]] = {name: [] for name in catalogs}
    try:
        for name in catalogs:
            spark.sql(f"create namespace if not exists {name}.spark")
            spark.sql(f"create table {name}.spark.events (id bigint, name string) using iceberg")
        for n in range(times + 10):
            for name in sorted(catalogs, reverse=n % 2 == 1):
                insert = f"insert into {name}.spark.events values ({n}, 'event')"
                taken[name].append(milliseconds(lambda insert=insert: spark.sql(insert)))
    finally:
        spark.stop()
    hadoop, rest = (row(f"Spark: append, {name}", taken[name][10:]) for name in ("hadoop", "ours"))
    ratio = round(rest.p50_ms / hadoop.p50_ms, 2)
    rest.facts["ratio"] = ratio
    return [hadoop, rest.limited(ratio, SPARK_LIMIT, f"p50 <= {SPARK_LIMIT} x hadoop's")]


def measure(folder: Path, *, seconds: float, spark: bool, jar: Path | None, s3: str) -> list[Row]:
    """Every row of the table."""
    rows: list[Row] = []
    with ours(folder) as served:
        rows += loaded(served, seconds=seconds)
        if spark:
            rows += spark_appends(served, folder, times=30)
    for store in ("IN_MEMORY", "ROCKSDB") if jar else ():
        assert jar is not None
        with nessie(folder, jar, s3, store=store) as served:
            rows += loaded(served, seconds=seconds)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    asked = parser(__doc__)
    asked.add_argument("--seconds", type=float, default=10, help="how long each number of clients is at it")
    asked.add_argument("--spark", action="store_true", help="appends by Spark too")
    asked.add_argument("--nessie", type=Path, help="nessie-quarkus-…-runner.jar, to be measured too")
    asked.add_argument("--s3", default="http://127.0.0.1:9000", help="the S3 store of Nessie's warehouse")
    asked.add_argument("--folder", type=Path, help="where to keep lake and stores (default: a temporary folder)")
    options = asked.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(dir=options.folder, prefix="dfp-bench-"))
    try:
        rows = measure(folder, seconds=options.seconds, spark=options.spark, jar=options.nessie, s3=options.s3)
    finally:
        shutil.rmtree(folder)
    return show(rows, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
