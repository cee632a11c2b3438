"""The inference API under open-loop load: `dfp serve` in a process of its own, features by id from a Redis of its own.

Requests are due at a fixed rate and timed from when they were due (see `http_load`). One app by raw values and by id, a
hundred of each, then how many a second there can be at most. Client and service share this machine's cores.

Run: ``python -m benchmarks.predict_load [--requests 100000] [--rate 1000] [--store plain|feast] [--json]``
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks.figures import Row, parser, show
from benchmarks.http_load import Load, load, request_bytes
from benchmarks.online_features import made_lake, made_rows, own_redis
from benchmarks.training import made_apps
from dfp_platform.features.interface import Rows
from dfp_platform.lake import Lake

FEATURES, APPS = 474, 2_000
ONE_MS, HUNDRED_MS, PER_SECOND = 5.0, 15.0, 1_000.0
"""What issue 6 asks: p99 of one app, of a hundred, and requests a second."""


def made_model(lake: Lake, features: Sequence[str]) -> None:
    """Publish an autoencoder that was trained a little on as many features."""
    from dfp_platform.mobile.interface import EXPORTERS
    from dfp_platform.models.parts import SplitData
    from dfp_platform.models.presets import resolve
    from dfp_platform.models.training import train

    made = made_apps(4_000, features=len(features))
    parts = (replace(part, features=tuple(features)) for part in (made.training, made.calibration, made.test))
    trained = train(SplitData(*parts), resolve({"model": "ae_small", "training.epochs": 1}), progress=False)
    files = EXPORTERS["onnx"].export(trained.files).files
    changes = {f"mobile/autoencoder_onnx/{name}": data for name, data in files.items()}
    lake.commit("main", changes, message="a model")


@contextmanager
def serving(folder: Path, redis_url: str, store: str) -> Iterator[tuple[int, psutil.Process]]:
    """`dfp serve` over the lake in the folder: its port, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {"DFP_HOME": str(folder), "DFP_REDIS_URL": redis_url, "DFP_FEATURE_STORE": store, "DFP_SERVING_TOKEN": ""}
    command = [sys.executable, "-m", "dfp_platform.cli", "serve", "--port", str(port)]
    service = subprocess.Popen(command, env={**os.environ, **told}, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield port, psutil.Process(service.pid)
    finally:
        service.terminate()
        service.wait(timeout=30)


def materialize(folder: Path, redis_url: str, store: str, lake: Lake) -> None:
    """Serve the features of the lake's main branch."""
    from dfp_platform.features import open_keeper
    from dfp_platform.settings import Settings

    told = {"home": folder, "redis_url": redis_url, "feature_store": store}
    with closing(open_keeper(Settings.model_validate(told))) as keeper:
        keeper.switch("main", keeper.materialize(lake, "main").version, lake.resolve("main"))


def questions(rows: Rows, features: Sequence[str], *, apps: int, by_id: bool, port: int) -> list[bytes]:
    """Some questions of so many apps each, as they go over the wire; values are whole, as counts are."""
    values = (rows.matrix * 100).astype(np.int64)
    found = []
    for first in range(0, apps * 10, apps):
        asked = range(first, first + apps)
        told = [
            {"sha256": rows.keys[app]}
            if by_id
            else {"sha256": rows.keys[app], "features": dict(zip(features, values[app].tolist(), strict=True))}
            for app in asked
        ]
        body = json.dumps({"apps": told}, separators=(",", ":")).encode()
        found.append(request_bytes("/predict", body, port=port))
    return found


def measured(
    what: str, asked: tuple[int, psutil.Process], requests: Sequence[bytes], *, count: int, rate: float, most: float
) -> Row:
    """One load, and the service's own CPU time a request. Raises SystemExit: a request was refused."""
    port, process = asked
    load(port, requests, count=max(50, count // 100), rate=rate)  # warm
    before = sum(process.cpu_times()[:2])
    told: Load = load(port, requests, count=count, rate=rate)
    if told.refused:
        raise SystemExit(f"{what}: {told.refused} of {told.requests} requests were refused")
    facts: Mapping[str, float] = {
        "due a second": rate,
        "answered a second": round(told.reached, 1),
        "p99.9": round(told.p999, 2),
        "max": round(told.most, 1),
        "service CPU us": round((sum(process.cpu_times()[:2]) - before) / count * 1e6),
    }
    made = Row(what, told.p50, told.p95, told.p99, told.requests, dict(facts))
    return made.limited(told.p99, most, f"p99 at most {most:.0f} ms") if most else made


def most_a_second(what: str, port: int, requests: Sequence[bytes], *, count: int) -> Row:
    """Requests a second with eight of them always under way."""
    told = load(port, requests, count=count, rate=1e9, connections=8)
    made = Row(what, told.p50, told.p95, told.p99, told.requests, {"answered a second": round(told.reached)})
    return replace(
        made, limit=f"at least {PER_SECOND:,.0f} a second", holds=told.reached >= PER_SECOND and not told.refused
    )


def main() -> int:
    """Print the table; return 1 if a limit does not hold."""
    options = parser(__doc__)
    options.add_argument("--requests", type=int, default=100_000, help="of one app, for each of the two ways to ask")
    options.add_argument("--rate", type=float, default=1_000.0, help="requests of one app that are due a second")
    options.add_argument("--store", choices=("plain", "feast"), default="plain")
    told = options.parse_args()
    rows = made_rows(APPS, FEATURES)
    features = tuple(f"sys_f{place}" for place in range(FEATURES))
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, own_redis() as redis_url:
        lake = made_lake(Path(folder), rows)
        made_model(lake, features)
        materialize(Path(folder), redis_url, told.store, lake)
        with serving(Path(folder), redis_url, told.store) as asked:
            probe = [f"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:{asked[0]}\r\n\r\n".encode()]
            alone = "GET /healthz: the server and this client alone"
            found.append(measured(alone, asked, probe, count=told.requests // 10, rate=told.rate, most=0.0))
            for apps, most, rate, count in (
                (1, ONE_MS, told.rate, told.requests),
                (100, HUNDRED_MS, told.rate / 50, max(200, told.requests // 100)),
            ):
                for by_id, way in ((False, "by raw values"), (True, "by id")):
                    sent = questions(rows, features, apps=apps, by_id=by_id, port=asked[0])
                    what = f"/predict, {apps} app{'s' * (apps > 1)} {way}"
                    found.append(measured(what, asked, sent, count=count, rate=rate, most=most))
                    if apps == 1:
                        found.append(most_a_second(f"  at most, {way}", asked[0], sent, count=max(500, count // 10)))
    return show(found, as_json=told.json)


def _wait(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit("dfp serve was not ready within 60 s")


if __name__ == "__main__":
    sys.exit(main())
