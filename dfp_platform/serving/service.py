"""What every service of this room shares: the guarded door, probes, metrics, and how a model is loaded anew."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from dfp_platform.errors import DfpError, PermanentError
from dfp_platform.serving.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

THIS_MACHINE = ("127.0.0.1", "::1")

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json"})
"""Answered to anyone: probes carry no token, and the description tells no secret."""

PAGE_FILES = "/docs-files"
"""Beneath it lie the style and script of the page at `/docs`, open to anyone too."""


PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/model", "/admin/reload"})
"""Paths that metrics tell apart, beside those of the service's own answers."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that metrics tell apart."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take.

    Attributes:
        apps: apps at most.
        bytes: of its body.
        seconds: until its body has arrived.
    """

    apps: int = 1_024
    bytes: int = 16_000_000
    seconds: float = 2.0


class Health(BaseModel):
    """Alive: the process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether it can answer, and how each of its parts does."""

    ready: bool
    parts: dict[str, str]


class Reloaded(BaseModel):
    """What a reload came to: the commit of the lake whose model answers now, and whether it is another model."""

    lake_commit: str
    changed: bool


class Refused(BaseModel):
    """Why a request was not answered, in words."""

    detail: str


TAGS = [{"name": "answers"}, {"name": "operation"}]
"""Groups of operations, in the order in which the description shows them."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refused, "description": "The bearer token is missing or another one."},
    403: {"model": Refused, "description": "No token is set, so only this machine may ask."},
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What makes a service of its own of the common door.

    Attributes:
        ready: whether it can answer, and how its parts do, in words.
        reload: take what is published now; returns the commit of the lake and whether another model answers.
            On a DfpError the one before goes on answering.
    """

    ready: Callable[[], tuple[bool, Mapping[str, str]]]
    reload: Callable[[], tuple[str, bool]]


Handler = Callable[[Request], Awaitable[Response]]
"""Answers a request; what is wrong with it is an answer too, never an exception."""


def create_service(
    title: str,
    description: str,
    parts: Parts,
    *,
    token: str,
    metrics_token: str = "",
    metrics: Metrics,
    hot: Mapping[str, Handler],
) -> FastAPI:
    """A service with probes, metrics and reload behind the guarded door; its own routes are added to what is returned.

    Args:
        hot: by path, what answers POST without FastAPI's routing, which costs half as much as an answer. FastAPI has
            the same routes, to describe them.
        token: what requests show as bearer token; empty: only this machine may ask.
        metrics_token: what opens `/metrics` too, and nothing else; empty: nothing.
    """
    from fastapi_offline import FastAPIOffline  # its page needs nothing of the internet

    api = FastAPIOffline(title=title, description=description, redoc_url=None, static_url=PAGE_FILES, openapi_tags=TAGS)
    api.openapi = partial(_guarded, api.openapi)

    @api.get("/healthz", summary="Is it alive?", tags=["operation"])
    async def healthz() -> Health:
        """Whether the process answers at all."""
        return Health()

    @api.get(
        "/readyz",
        summary="Can it answer?",
        tags=["operation"],
        responses={503: {"model": Readiness, "description": "It cannot answer yet."}},
    )
    async def readyz(response: Response) -> Readiness:
        """Whether there is a model to answer with, and how the other parts do."""
        ready, told = parts.ready()
        response.status_code = 200 if ready else 503
        return Readiness(ready=ready, parts=dict(told))

    @api.get("/metrics", summary="Counts and times", tags=["operation"], responses=REFUSALS, response_class=Response)
    async def shown() -> Response:
        """Counts and times, for Prometheus."""
        page, kind = metrics.page()
        return Response(page, media_type=kind)

    _add_reload(api, parts.reload)
    api.add_middleware(Door, token=token, metrics_token=metrics_token, metrics=metrics, hot=hot)
    return api


def _add_reload(api: FastAPI, take: Callable[[], tuple[str, bool]]) -> None:
    """The route by which somebody says that another model was published."""

    @api.post(
        "/admin/reload",
        summary="Take the model that is published now",
        tags=["operation"],
        responses={
            **REFUSALS,
            409: {"model": Refused, "description": "What is published cannot answer; the model before goes on."},
            503: {"model": Refused, "description": "The lake does not answer; the model before goes on."},
        },
    )
    def reload() -> Reloaded:
        """Answer with the model that is published now. If that cannot be loaded, the one before goes on answering."""
        try:
            commit, changed = take()
        except DfpError as error:
            code = 409 if isinstance(error, PermanentError) else 503
            raise HTTPException(status_code=code, detail=f"the model before goes on answering: {error}") from error
        return Reloaded(lake_commit=commit, changed=changed)


def _guarded(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI description, which says what wants the token."""
    described = describe()
    described.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in OPEN else [{"token": []}]
    return described


def follow(reload: Callable[[], object], seconds: float, stop: threading.Event) -> threading.Thread:
    """Load what is published every few seconds, in a thread that ends with `stop`; what fails is tried again."""

    def work() -> None:
        while not stop.wait(seconds):
            try:
                reload()
            except Exception as error:  # whatever it is, the next look may do
                known = isinstance(error, DfpError)
                logger.warning("no other model was loaded, the one before goes on: %s", error, exc_info=not known)

    thread = threading.Thread(target=work, name="follow-model", daemon=True)
    thread.start()
    return thread


class Door:
    """Lets in who may ask, and counts and times what was answered."""

    def __init__(
        self, app: ASGIApp, *, token: str, metrics_token: str = "", metrics: Metrics, hot: Mapping[str, Handler]
    ) -> None:
        self._app, self._token, self._metrics, self._hot = app, token, metrics, hot
        self._watcher = f"Bearer {metrics_token}".encode() if metrics_token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        free = scope["path"] in OPEN or scope["path"].startswith(f"{PAGE_FILES}/") or self._watches(scope)
        refused = 0 if free else refusal(shown_by(scope), host_of(scope), token=self._token)
        scope["dfp.begun"] = begun
        try:
            if refused:
                await _refuse(sent, refused)
            elif scope["method"] == "POST" and (handler := self._hot.get(scope["path"])):
                await (await handler(Request(scope, receive)))(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except ClientDisconnect:
            status = 499  # nobody waits for the answer
        finally:
            path = scope["path"] if scope["path"] in PATHS or scope["path"] in self._hot else "other"
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.count_request(path, method, status, time.perf_counter() - begun)

    def _watches(self, scope: Scope) -> bool:
        """Whether this asks for metrics, with the token for them."""
        shown = self._watcher
        return shown is not None and scope["path"] == "/metrics" and compare_digest(shown_by(scope), shown)


def shown_by(scope: Mapping[str, Any]) -> bytes:
    """The header `Authorization` of a request; empty: it has none."""
    return next((value for name, value in scope["headers"] if name == b"authorization"), b"")


def host_of(scope: Mapping[str, Any]) -> str:
    """The address that a request came from."""
    return scope["client"][0] if scope.get("client") else ""


def refusal(shown: bytes, host: str, *, token: str) -> int:
    """The status by which a request is refused; 0: it may ask.

    Args:
        shown: its header `Authorization`.
        host: address it came from.
        token: the bearer token it has to show; empty: it has to come from this machine.
    """
    if token:
        return 0 if compare_digest(shown, f"Bearer {token}".encode()) else 401
    return 0 if host in THIS_MACHINE else 403


async def _refuse(send: Send, status: int) -> None:
    why = {
        401: "this needs the bearer token DFP_SERVING_TOKEN",
        403: "without DFP_SERVING_TOKEN only the service's own machine may ask",
    }
    body = orjson.dumps({"detail": why[status]})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def body_of(request: Request, limits: Limits) -> bytes:
    """A request's body, within its limits.

    Raises:
        HTTPException: 408 it did not arrive in time, 413 it is too large, 415 it says that it is no JSON.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, f"the body is {kind or 'of no type'}; send application/json")
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > limits.bytes:
        raise _too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for part in request.stream():
                body += part
                if len(body) > limits.bytes:
                    raise _too_large(limits)
    except TimeoutError as error:
        raise HTTPException(408, f"the body did not arrive within {limits.seconds:g} s") from error
    return bytes(body)


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"a body may have {limits.bytes:,} bytes at most; ask for fewer apps at a time")
