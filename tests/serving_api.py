"""The inference API in tests: a lake with an exported model, a service over it, clients with and without a socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI

from dfp_platform.features import Vectors
from dfp_platform.lake import Lake
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from dfp_platform.serving.answering import AppService
from dfp_platform.serving.api import create_api
from dfp_platform.serving.loaded import ServedModel
from dfp_platform.serving.lookup import Lookup
from tests.apps import tiny_table
from tests.configured import tiny
from tests.local_servers import until

EXPORT = "mobile/autoencoder_onnx"
HERE = ("127.0.0.1", 4_000)
AWAY = ("10.0.0.9", 4_000)
ONE_APP = {"apps": [{"sha256": "0" * 64, "features": {}}]}


@cache
def tiny_data() -> TrainingData:
    return TrainingData.from_arrow(tiny_table())


@cache
def tiny_artifact() -> MobileArtifact:
    trained = train(tiny_data(), tiny("ae_small", "training.epochs=1"), progress=False)
    return EXPORTERS["onnx"].export(trained.files)


def publish(lake: Lake, files: dict[str, Any]) -> str:
    return lake.commit("main", {f"{EXPORT}/{name}": data for name, data in files.items()}, message="a model")


class Vectored:
    """Served features of the tiny apps; `fail` is what a read raises."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.data, self.fail, self.reads = tiny_data(), None, 0
        self.names = tuple(names or self.data.features)

    def read(self, keys: Sequence[str]) -> Vectors:
        self.reads += 1
        if self.fail is not None:
            raise self.fail
        rows = {str(key): row for row, key in enumerate(self.data.ids)}
        columns = [self.data.features.index(name) for name in self.names]
        found = np.array([key in rows for key in keys])
        vectors = np.full((len(keys), len(columns)), np.nan, dtype=np.float32)
        for at, key in enumerate(keys):
            if key in rows:
                vectors[at] = self.data.matrix[rows[key], columns]
        return Vectors(vectors, found, self.names, "v1-test", "c" * 40, found.astype(np.int64))

    def close(self) -> None:
        pass


def service(lake: Any, **options: Any) -> AppService:
    reader = options.pop("reader", None) or Vectored()
    model = {name: options.pop(name) for name in ("alias", "shadow") if name in options}
    return AppService(served=ServedModel(lake, "main", **model), lookup=Lookup(lambda: reader), **options)


class Client:
    """Asks an API without a socket, as if from `host`."""

    def __init__(self, api: FastAPI, *, host: tuple[str, int] = HERE) -> None:
        self.transport = httpx.ASGITransport(app=api, client=host, raise_app_exceptions=False)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://service") as client:
                return await client.request(method, path, **options)

        return asyncio.run(asked())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("POST", path, **options)


def client(
    lake: Any, *, token: str = "", metrics_token: str = "", host: tuple[str, int] = HERE, **options: Any
) -> Client:
    return Client(create_api(service(lake, **options), token=token, metrics_token=metrics_token), host=host)


@contextmanager
def listening(api: FastAPI) -> Iterator[str]:
    """The API on a free port of this machine; its address."""
    server = uvicorn.Server(uvicorn.Config(api, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def question(rows: Sequence[int]) -> dict[str, Any]:
    """Raw values of some tiny apps."""
    data = tiny_data()
    return {
        "apps": [
            {"sha256": str(data.ids[row]), "features": dict(zip(data.features, data.matrix[row].tolist(), strict=True))}
            for row in rows
        ]
    }


def ids(rows: Sequence[int]) -> list[str]:
    return [str(tiny_data().ids[row]) for row in rows]
