"""The double's HTTP side: routes, keys, pages, and faults that a test may order."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.lakefs_double import routes
from tests.lakefs_double.state import Entry, Refusal, Repository


@dataclass
class Fault:
    """What goes wrong with the next `times` calls whose "METHOD /path" matches.

    `kind`: `status` answers with a status and does nothing; `lost` does the work and drops the connection; `dropped`
    drops it at once; `then` runs something after the work was done and before it is answered.
    """

    matches: str
    kind: str
    times: int = 1
    status: int = 503
    then: Callable[[], None] | None = None


class Double:
    """One server in a thread of this process. Of an older version, it knows no squashing, hiding or empty merges.

    `shared`: puts a file into the store at a path, for engines to read; the server's own bytes lie in `folder`.
    `fresh`: it has no administrator yet, and so no keys.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: str = "1.70.0",
        storage: str = "local",
        shared: Callable[[Path, str], None] = lambda file, path: None,
        fresh: bool = False,
    ) -> None:
        self.shared = shared
        self.folder, self.version, self.storage = folder, version, storage
        self.young = tuple(map(int, version.split(".")[:2])) >= (1, 70)
        self.keys: tuple[str, str] | None = None if fresh else ("AKIAIOSFODNN7EXAMPLE", uuid.uuid4().hex)
        self.repositories: dict[str, Repository] = {}
        self.lock = threading.Lock()
        self.faults: list[Fault] = []
        self.calls: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.double = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self) -> dict[str, str]:
        """lakeFS's own names for where this server is."""
        assert self.keys is not None, "a fresh server has no keys"
        return {
            "LAKECTL_SERVER_ENDPOINT_URL": self.endpoint,
            "LAKECTL_CREDENTIALS_ACCESS_KEY_ID": self.keys[0],
            "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": self.keys[1],
        }

    def repository(self, name: str) -> Repository:
        if name not in self.repositories:
            raise Refusal(404, "repository not found")
        return self.repositories[name]

    def file_of(self, address: str) -> Path:
        """The file behind a physical address."""
        return self.folder / address.partition("://")[2]

    def keep(self, repository: Repository, stream: Any, size: int, content_type: str, metadata: dict) -> Entry:
        """Store an upload."""
        address = f"{repository.namespace}/data/{uuid.uuid4().hex}"
        file = self.file_of(address)
        file.parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.md5(usedforsecurity=False), size
        with file.open("wb") as out:
            while left and (chunk := stream.read(min(left, 1 << 20))):
                digest.update(chunk)
                out.write(chunk)
                left -= len(chunk)
        if left:
            file.unlink()
            raise Refusal(400, "unexpected EOF")
        self.shared(file, address.partition("://")[2])
        return Entry(address, digest.hexdigest(), size, int(time.time()), content_type, metadata)

    def fault(self, call: str) -> Fault | None:
        with self.lock:
            self.calls.append(call)
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.matches, call):
                    fault.times -= 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    double: Double

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


@dataclass
class Request:
    """A call as the routes see it."""

    double: Double
    query: dict[str, list[str]]
    headers: Any
    stream: Any
    size: int

    def text(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        return self.text(name).lower() == "true"  # clients write True, too

    def json(self) -> dict[str, Any]:
        return json.loads(self.stream.read(self.size) or b"{}")

    def page(self, items: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        """One page of items that are in order, each with its offset."""
        amount = min(int(self.text("amount", "100")), 1000)
        if amount < 0:
            amount = 100
        start = 0
        if after := self.text("after"):
            offsets = [offset for offset, _ in items]
            start = offsets.index(after) + 1 if after in offsets else sum(1 for offset in offsets if offset <= after)
        shown = items[start : start + amount]
        more = start + amount < len(items)
        return {
            "pagination": {
                "has_more": more,
                "next_offset": shown[-1][0] if more else "",
                "results": len(shown),
                "max_per_page": 1000,
            },
            "results": [item for _, item in shown],
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        call = f"{self.command} {parts.path.removeprefix('/api/v1')}"
        size = int(self.headers.get("Content-Length") or 0)
        request = Request(self.server.double, parse_qs(parts.query), self.headers, _Body(self.rfile, size), size)
        fault = self.server.double.fault(call)
        if fault and fault.kind == "dropped":
            self.close_connection = True
            return
        if fault and fault.kind == "status":
            request.stream.read(size)
            self._send(fault.status, {}, json.dumps({"message": "the double was told to fail"}).encode())
            return
        answer = self._act(call, request)
        request.stream.read()
        if fault and fault.then:
            fault.then()
        if fault and fault.kind == "lost":
            self.close_connection = True
            return
        self._send(*answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer

    def _act(self, call: str, request: Request) -> tuple[int, dict[str, str], bytes]:
        try:
            if call not in routes.OPEN:
                self._check_keys()
            for pattern, route in routes.ROUTES:
                if found := re.fullmatch(pattern, call):
                    return routes.answer(route(request, *(unquote(part) for part in found.groups())))
            raise Refusal(404, f"the double has no {call}")
        except Refusal as refusal:
            return refusal.status, {}, json.dumps({"message": refusal.message}).encode()

    def _check_keys(self) -> None:
        given = self.headers.get("Authorization", "")
        wanted = base64.b64encode(":".join(self.server.double.keys or ()).encode()).decode()
        if self.server.double.keys is None or given != f"Basic {wanted}":
            raise Refusal(401, "error authenticating request")

    def _send(self, status: int, headers: dict[str, str], body: bytes | Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Type" not in headers:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(0 if status == 204 else len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)
        self.wfile.flush()


class _Body:
    """A request's body and nothing beyond it."""

    def __init__(self, stream: Any, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data
