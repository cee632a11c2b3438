"""The server itself: which path goes to which handler, and how a request becomes a call and an answer a response.

Paths are matched as they came, before decoding: a ``%2F`` within the name of a table separates nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pyiceberg.catalog import WAREHOUSE_LOCATION
from pyiceberg.exceptions import CommitFailedException, ForbiddenError, UnauthorizedError
from pyiceberg.io import SCHEMA_TO_FILE_IO
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dfp_platform.catalog.lake_catalog import LAKE, REF, LakeCatalog
from dfp_platform.catalog.moved import address_of
from dfp_platform.catalog.rest import namespaces, tables, views
from dfp_platform.catalog.rest.access import Access
from dfp_platform.catalog.rest.answers import Answer, error_answer, refusal
from dfp_platform.catalog.rest.call import Call, Handler
from dfp_platform.catalog.rest.metrics import NO_ROUTE, CatalogMetrics
from dfp_platform.errors import ConfigurationError, PermanentError
from dfp_platform.lake.interface import Content
from dfp_platform.schemas import MAIN, CommitId

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Receive, Scope, Send

    from dfp_platform.lake import Lake

_NAMESPACE = "/v1/{prefix}/namespaces/{namespace}"
_TABLE, _VIEW = f"{_NAMESPACE}/tables/{{table}}", f"{_NAMESPACE}/views/{{view}}"

ENDPOINTS: Mapping[str, Handler] = {
    "GET /v1/{prefix}/namespaces": namespaces.list_namespaces,
    "POST /v1/{prefix}/namespaces": namespaces.create_namespace,
    f"GET {_NAMESPACE}": namespaces.load_namespace,
    f"HEAD {_NAMESPACE}": namespaces.namespace_exists,
    f"DELETE {_NAMESPACE}": namespaces.drop_namespace,
    f"POST {_NAMESPACE}/properties": namespaces.update_properties,
    f"GET {_NAMESPACE}/tables": tables.list_tables,
    f"POST {_NAMESPACE}/tables": tables.create_table,
    f"GET {_TABLE}": tables.load_table,
    f"HEAD {_TABLE}": tables.table_exists,
    f"POST {_TABLE}": tables.commit_table,
    f"DELETE {_TABLE}": tables.drop_table,
    f"GET {_TABLE}/credentials": tables.load_credentials,
    f"POST {_TABLE}/metrics": tables.report_metrics,
    f"POST {_NAMESPACE}/register": tables.register_table,
    "POST /v1/{prefix}/tables/rename": tables.rename_table,
    "POST /v1/{prefix}/transactions/commit": tables.commit_transaction,
    f"GET {_NAMESPACE}/views": views.list_views,
    f"POST {_NAMESPACE}/views": views.create_view,
    f"GET {_VIEW}": views.load_view,
    f"HEAD {_VIEW}": views.view_exists,
    f"POST {_VIEW}": views.replace_view,
    f"DELETE {_VIEW}": views.drop_view,
    f"POST {_NAMESPACE}/register-view": views.register_view,
    "POST /v1/{prefix}/views/rename": views.rename_view,
}
"""What the server can do beneath a prefix, by method and path; clients get this list from ``/v1/config``."""

COMMITS = frozenset({f"POST {_TABLE}", f"POST {_VIEW}", "POST /v1/{prefix}/transactions/commit"})
"""Endpoints that answer 409 to a commit that lost to another."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that metrics tell apart."""

Endpoint = Callable[[Request], Awaitable[Response]]
"""Answers a request; what is wrong with it is an answer too."""

IDLE_SECONDS = 600
"""How long an idle connection stays open. A server that closes one just as a client uses it again resets a commit, and
the client cannot know its outcome: that befell Spark with the 5 s of uvicorn."""

LARGEST_BODY = 256 * 2**20
"""Bytes of the longest request; a commit that adds a million files names only its manifest list."""


@dataclass(frozen=True)
class Server:
    """What one server serves, to whom.

    Attributes:
        lake: its refs are the catalogs.
        access: who may ask.
        storage: properties that clients need to reach the warehouse; keys among them go only to those who ask.
        locations: where metadata may be read and written besides the lake's warehouse, by prefix of the address.
    """

    lake: Lake
    access: Access
    storage: Mapping[str, str] = field(default_factory=dict)
    locations: Sequence[str] = ()

    def catalog(self, ref: str) -> LakeCatalog:
        """The tables at a ref."""
        allowed = tuple(_folder(place) for place in (self.lake.warehouse, *self.locations))
        return ServedCatalog(self.lake, ref, self.storage, allowed)


class ServedCatalog(LakeCatalog):
    """The catalog as others may use it: they choose where tables lie, but not anywhere on the server's disk."""

    def __init__(self, lake: Lake, ref: str, storage: Mapping[str, str], allowed: Sequence[str]) -> None:
        super().__init__("lake", **{**storage, LAKE: lake.uri, REF: ref, WAREHOUSE_LOCATION: lake.warehouse})
        self._lake, self._allowed = lake, allowed

    def _swap(
        self,
        change: Callable[[CommitId], Mapping[str, Content]],
        *,
        message: str,
        metadata: Mapping[str, str] | None = None,
    ) -> CommitId:
        """What takes long, reading and writing files, is done for many requests at once, before it is their turn."""
        self.refuse_read_only()
        with self.lake.lease(message):
            try:
                change(self.head())
            except FileNotFoundError as error:
                raise CommitFailedException(f"{message}: a file is gone, write the rows again: {error}") from error
            return super()._swap(change, message=message, metadata=metadata)

    def refuse_location(self, location: str) -> None:
        if not self._may_hold(location):
            raise PermanentError(
                f"tables may not lie at {location}",
                hint=f"leave the location out, choose one beneath {self._allowed[0]}, or start with --allow-location",
            )

    def _may_hold(self, location: str) -> bool:
        scheme = urlsplit(location).scheme
        if scheme and scheme not in SCHEMA_TO_FILE_IO:
            return False
        place = address_of(location, self._load_file_io(location=location))
        return ".." not in place.split("/") and any(place.startswith(folder) for folder in self._allowed)


def create_app(server: Server) -> ASGIApp:
    """The server as an ASGI application."""
    counted = CatalogMetrics(COMMITS, server.lake.operations.here)

    async def config(request: Request) -> Response:
        return await _answered(request, server, _config)

    async def token(request: Request) -> Response:
        try:
            return _response(server.access.grant(await _body(request), request.headers))
        except ValueError as error:
            return _response(error_answer(error))

    async def metrics(request: Request) -> Response:
        try:
            server.access.check_metrics(request.headers)
        except (UnauthorizedError, ForbiddenError) as error:
            return _response(error_answer(error))
        page, kind = counted.page()
        return Response(page, media_type=kind)

    async def no_endpoint(request: Request, error: Exception) -> Response:
        return await unknown(request)

    unknown = _counted(counted, NO_ROUTE, _no_endpoint)

    def route(path: str, method: str, endpoint: Endpoint) -> Route:
        return Route(path, _counted(counted, path, endpoint), methods=[method])

    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "ok"})  # to anyone: probes carry no token

    routes = [route("/v1/config", "GET", config), route("/v1/oauth/tokens", "POST", token)]
    routes += [
        route(path, method, _endpoint(server, handler))
        for (method, path), handler in ((told.split(), handler) for told, handler in ENDPOINTS.items())
    ]
    routes += [route("/metrics", "GET", metrics), Route("/healthz", alive, methods=["GET"])]
    # Starlette lets GET answer HEAD too, so what is asked for by HEAD comes first
    routes.sort(key=lambda route: "HEAD" not in (route.methods or ()) or "GET" in (route.methods or ()))
    app = Starlette(routes=routes, exception_handlers={404: no_endpoint, 405: no_endpoint})
    return _RawPaths(app)


def _counted(counted: CatalogMetrics, route: str, endpoint: Endpoint) -> Endpoint:
    """An endpoint whose answers are counted and timed."""

    async def call(request: Request) -> Response:
        began = time.perf_counter()
        answer = await endpoint(request)
        method = request.method if request.method in METHODS else NO_ROUTE
        counted.count(route, method, answer.status_code, time.perf_counter() - began)
        return answer

    return call


def _config(call: Call) -> Answer:
    """Which prefix a client shall use, and what can be asked for. Raises NotFoundError: no such branch, tag, commit."""
    call.catalog.head()
    return Answer(
        body={
            "defaults": {},
            "overrides": {"prefix": call.catalog.ref},
            "endpoints": list(ENDPOINTS),
        }
    )


def _endpoint(server: Server, handler: Handler) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await _answered(request, server, handler)

    return endpoint


async def _answered(request: Request, server: Server, handler: Handler) -> Response:
    try:
        server.access.check(request.headers)
        ref = request.path_params.get("prefix") or request.query_params.get("warehouse") or MAIN
        call = Call(
            catalog=server.catalog(ref),
            segments=dict(request.path_params),
            query=dict(request.query_params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await _body(request),
            storage=server.storage,
        )
        return _response(await run_in_threadpool(handler, call))
    except Exception as error:  # one place turns every error of every layer into the specification's words
        return _response(error_answer(error))


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > LARGEST_BODY:
            raise ValueError(f"the request is longer than {LARGEST_BODY} bytes")
    return bytes(found)


def _response(answer: Answer) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status, headers=dict(answer.headers))
    return JSONResponse(dict(answer.body), answer.status, headers=dict(answer.headers))


async def _no_endpoint(request: Request) -> Response:
    path = request.scope["path"]
    message = f"{request.method} {path} is no endpoint; paths begin with /v1/<branch, tag or commit>/"
    return _response(refusal(404, "NoSuchEndpointException", message))


def _folder(location: str) -> str:
    """An address as a prefix of what lies beneath it: a local one without its scheme, with an end."""
    parts = urlsplit(location)
    return (parts.path if parts.scheme == "file" else location).rstrip("/") + "/"


class _RawPaths:
    """Hands the path on as it came over the wire."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].split(b"?")[0].decode("ascii")}
        await self._app(scope, receive, send)


def run(
    server: Server,
    *,
    host: str,
    port: int,
    ready: Callable[[str, int], Any] = lambda host, port: None,
    tls: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Serve until the process is told to end.

    Args:
        port: 0 for any free one; `ready` is told which.
        tls: what uvicorn is told of certificate and key; nothing: it speaks HTTP.
    Raises:
        ConfigurationError: somebody listens there already, or the address is not this machine's.
    """
    import asyncio

    with _listening(host, port) as door:
        ready(host, door.getsockname()[1])
        asyncio.run(_uvicorn(server, tls).serve(sockets=[door]))


@contextmanager
def served(server: Server, tls: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """The address of a server on a free port of this machine, by a thread of this process, as long as the block."""
    import asyncio
    from threading import Thread

    with _listening("127.0.0.1", 0) as door:
        running = _uvicorn(server, tls)
        thread = Thread(target=lambda: asyncio.run(running.serve(sockets=[door])), name="rest catalog", daemon=True)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{door.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once only over sockets that say they speak TCP; answers of others wait 40 ms
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint="choose another --host or --port",
                setting="port",
            ) from error
        door.listen(2_048)  # from here on whoever connects waits for the answer
        yield door


def _uvicorn(server: Server, tls: Mapping[str, Any] = MappingProxyType({})) -> uvicorn.Server:
    import uvicorn

    config = uvicorn.Config(
        create_app(server),
        log_level="warning",
        ws="none",
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=5,  # what has begun is answered; whoever keeps a connection open does not keep it
        **tls,
    )
    return uvicorn.Server(config)
