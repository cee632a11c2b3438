"""A REST catalog over a lake, served on a free port of this machine by a thread of the test's own process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pyiceberg.catalog.rest import RestCatalog

from dfp_platform.catalog import open_catalog
from dfp_platform.catalog.rest.access import Access
from dfp_platform.catalog.rest.app import IDLE_SECONDS, Server, create_app
from dfp_platform.lake import Lake, open_lake
from tests.local_servers import until

SCHEMA = {
    "type": "struct",
    "schema-id": 7,
    "fields": [
        {"id": 11, "name": "id", "type": "long", "required": True},
        {"id": 12, "name": "name", "type": "string", "required": False},
    ],
}
"""A schema as a client may number it."""


@contextmanager
def serving(
    lake: Lake,
    *,
    token: str | None = None,
    metrics: str | None = None,
    storage: Mapping[str, str] | None = None,
    locations: Sequence[str] = (),
) -> Iterator[str]:
    """The address of a server that lives as long as the block."""
    app = create_app(Server(lake, Access(token, metrics), storage or {}, tuple(locations)))
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, ws="none", log_level="warning", timeout_keep_alive=IDLE_SECONDS)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        assert server.started, "the server ended before it answered"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def pyiceberg_client(uri: str, warehouse: str = "main", **properties: str) -> RestCatalog:
    """PyIceberg's own client of a ref."""
    return RestCatalog("rest", uri=uri, warehouse=warehouse, **properties)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A new lake with the namespace `marts`."""
    lake = open_lake(tmp_path / "lake", create=True)
    open_catalog(lake).create_namespace("marts")
    return lake


@pytest.fixture
def uri(lake: Lake) -> Iterator[str]:
    """Where its catalog is served."""
    with serving(lake) as uri:
        yield uri


class Http:
    """Raw requests beneath the prefix of one ref."""

    def __init__(self, uri: str, ref: str = "main", **headers: str) -> None:
        self._client = httpx.Client(base_url=f"{uri}/v1/{ref}", headers=headers, timeout=60)

    def __enter__(self) -> Http:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        """Whatever the server answers."""
        return self._client.request(method, path, json=body, params=params or None)

    def done(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """The JSON of an answer that must be a success; None without a body."""
        response = self.ask(method, path, body, **params)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def refused(self, method: str, path: str, body: Any = None, **params: Any) -> tuple[int, str, str]:
        """Status, type and message of an answer that must be an error."""
        response = self.ask(method, path, body, **params)
        error = response.json()["error"]
        assert response.status_code == error["code"]
        return error["code"], error["type"], error["message"]
