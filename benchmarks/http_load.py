"""Open-loop load on an HTTP service: requests are due at a fixed rate, and each is timed from when it was due.

A client that waits for an answer before it asks again (closed loop) hides every pause of the service: while it waits,
it does not ask. Here a request that finds all connections busy waits, and its wait counts. (Tene, "How not to measure
latency", calls the mistake coordinated omission.)
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to. Latencies in milliseconds, of every request, answered or not.

    Attributes:
        requests: sent.
        refused: answered by another status than 200, or not at all.
        asked: requests a second that were due.
        reached: requests a second that were answered, from the first due to the last answer.
    """

    requests: int
    refused: int
    asked: float
    reached: float
    p50: float
    p95: float
    p99: float
    p999: float
    most: float


def request_bytes(path: str, body: bytes, *, port: int) -> bytes:
    """A POST of JSON as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def load(port: int, requests: Sequence[bytes], *, count: int, rate: float, connections: int = 32) -> Load:
    """Send `count` requests, taken from `requests` in turn, at `rate` a second to a port of this machine."""
    return asyncio.run(_load(port, requests, count, rate, connections))


class _Connection(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self, run: _Run) -> None:
        self.run, self.buffer, self.due = run, b"", 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, due: float, request: bytes) -> None:
        assert self.transport is not None
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        start = self.buffer.find(b"content-length: ") + 16
        length = int(self.buffer[start : self.buffer.find(b"\r\n", start)])
        if len(self.buffer) >= head + 4 + length:
            good, self.buffer = self.buffer.startswith(b"HTTP/1.1 200"), b""
            self.run.answered(self, good=good)

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.lost(exc)


class _Run:
    def __init__(self, requests: Sequence[bytes], count: int, rate: float) -> None:
        self.requests, self.count, self.rate = requests, count, rate
        self.latencies = np.zeros(count)
        self.done, self.refused, self.sent = 0, 0, 0
        self.free: deque[_Connection] = deque()
        self.waiting: deque[float] = deque()
        self.finished = asyncio.get_running_loop().create_future()

    def due(self, moment: float) -> None:
        if self.free:
            self.send(self.free.popleft(), moment)
        else:
            self.waiting.append(moment)

    def send(self, connection: _Connection, moment: float) -> None:
        connection.ask(moment, self.requests[self.sent % len(self.requests)])
        self.sent += 1

    def answered(self, connection: _Connection, *, good: bool) -> None:
        self.latencies[self.done] = time.perf_counter() - connection.due
        self.done += 1
        self.refused += not good
        if self.waiting:
            self.send(connection, self.waiting.popleft())
        else:
            self.free.append(connection)
        if self.done == self.count and not self.finished.done():
            self.finished.set_result(None)

    def lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(error or ConnectionError("the service closed a connection"))


async def _load(port: int, requests: Sequence[bytes], count: int, rate: float, connections: int) -> Load:
    run = _Run(requests, count, rate)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        _, protocol = await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port)
        run.free.append(protocol)
    begun, next_due = time.perf_counter(), 0
    while next_due < count and not run.finished.done():
        now = time.perf_counter() - begun
        while next_due < count and next_due / rate <= now:
            run.due(begun + next_due / rate)
            next_due += 1
        await asyncio.sleep(max(0.0, next_due / rate - (time.perf_counter() - begun)))
    await run.finished
    seconds = time.perf_counter() - begun
    p50, p95, p99, p999, most = np.percentile(run.latencies * 1e3, [50, 95, 99, 99.9, 100])
    for connection in run.free:
        if connection.transport is not None:
            connection.transport.abort()
    return Load(count, run.refused, rate, count / seconds, *map(float, (p50, p95, p99, p999, most)))
