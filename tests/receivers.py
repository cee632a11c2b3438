"""Receivers of messages on 127.0.0.1: a web server and a mail server that keep what they get, and misbehave if told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from tests.local_servers import free_port


@dataclass
class Web:
    """A web server. `status`: what it answers with; 0: nothing, until it ends. `refusing`: what a POST gets instead."""

    port: int = 0
    status: int = 200
    answer: bytes = b"ok"
    refusing: tuple[int, bytes] | None = None
    got: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[Any]:
        return [body for _, body in self.got]


@contextmanager
def web_server(**told: Any) -> Iterator[Web]:
    """A web server on a free port that takes JSON."""
    web = Web(**told)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            web.got.append((self.path, json.loads(body)))
            self._answer(*(web.refusing or ()))

        def _answer(self, status: int | None = None, answer: bytes | None = None) -> None:
            web.headers.append(dict(self.headers))
            if web.status == 0:
                web.ending.wait(30)
                return
            said = web.answer if answer is None else answer
            self.send_response(web.status if status is None else status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        web.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Mail:
    """A mail server. `refuses`: what it answers to a message instead of taking it."""

    port: int = 0
    refuses: str = ""
    got: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuses:
            return self.refuses
        self.got.append(BytesParser(policy=default).parsebytes(envelope.content))
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 taken"


@contextmanager
def mail_server(**told: Any) -> Iterator[Mail]:
    """A mail server on a free port."""
    mail = Mail(**told)
    controller = Controller(mail, hostname="127.0.0.1", port=free_port())
    controller.start()
    mail.port = controller.port
    try:
        yield mail
    finally:
        controller.stop()
