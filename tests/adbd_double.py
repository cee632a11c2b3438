"""A double of a phone's adb daemon for the real adb: shell commands run on this machine, files are this machine's.

Speaks as much of adb's protocol as `adb` needs to connect, run, push and pull (version 1.0.41 was tried). The programs
that only phones have (am, pm, getprop …) are looked for in a folder of the test.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

VERSION, LARGEST = 0x01000001, 65_536
BANNER = b"device::ro.product.name=double;ro.product.model=Double;ro.product.device=double;features=shell_v2"
PIECE = 30_000
OUT, ERROR, EXIT = 1, 2, 3  # kinds of packets of a shell


class Stream:
    """One conversation of a connection: bytes come in pieces; each piece sent is acknowledged."""

    def __init__(self, connection: Connection, here: int, there: int) -> None:
        self.connection, self.here, self.there = connection, here, there
        self.arrived: queue.Queue[bytes | None] = queue.Queue()
        self.acknowledged: queue.Queue[None] = queue.Queue()
        self.rest = b""

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            self.connection.send(b"WRTE", self.here, self.there, data[at : at + PIECE])
            self.acknowledged.get()

    def read(self, size: int) -> bytes:
        while len(self.rest) < size:
            piece = self.arrived.get()
            if piece is None:
                raise EOFError
            self.rest += piece
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


class Connection:
    """What one adb server says, and what it is answered."""

    def __init__(self, wire: socket.socket, programs: Path) -> None:
        self.wire, self.programs = wire, programs
        self.lock = threading.Lock()
        self.streams: dict[int, Stream] = {}

    def send(self, command: bytes, here: int, there: int, data: bytes = b"") -> None:
        number = int.from_bytes(command, "little")
        head = struct.pack("<6I", number, here, there, len(data), sum(data) & 0xFFFFFFFF, number ^ 0xFFFFFFFF)
        with self.lock, suppress(OSError):
            self.wire.sendall(head + data)

    def run(self) -> None:
        with self.wire, suppress(EOFError, OSError):
            while True:
                number, there, here, size, _, _ = struct.unpack("<6I", self._exactly(24))
                self._take(number.to_bytes(4, "little"), there, here, self._exactly(size))
        for stream in self.streams.values():
            stream.arrived.put(None)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            piece = self.wire.recv(size - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found

    def _take(self, command: bytes, there: int, here: int, data: bytes) -> None:
        if command == b"CNXN":
            self.send(b"CNXN", VERSION, LARGEST, BANNER)
        elif command == b"OPEN":
            stream = Stream(self, len(self.streams) + 1, there)
            self.streams[stream.here] = stream
            self.send(b"OKAY", stream.here, there)
            service = data.rstrip(b"\0").decode()
            threading.Thread(target=self._serve, args=(stream, service), daemon=True).start()
        elif command == b"WRTE":
            self.send(b"OKAY", here, there)
            self.streams[here].arrived.put(data)
        elif command == b"OKAY":
            self.streams[here].acknowledged.put(None)
        elif command == b"CLSE":
            self.streams[here].arrived.put(None)
            self.streams[here].acknowledged.put(None)

    def _serve(self, stream: Stream, service: str) -> None:
        kind, _, command = service.partition(":")
        with suppress(EOFError):
            if kind == "sync":
                synchronise(stream)
            else:
                self._shell(stream, command)
        self.send(b"CLSE", stream.here, stream.there)

    def _shell(self, stream: Stream, command: str) -> None:
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        ran = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PATH": path},
            start_new_session=True,
        )
        threading.Thread(target=end_with, args=(stream, ran), daemon=True).start()
        pumps = [
            threading.Thread(target=pump, args=(stream, pipe.fileno(), kind))
            for pipe, kind in ((ran.stdout, OUT), (ran.stderr, ERROR))
            if pipe
        ]
        with ran:
            for thread in pumps:
                thread.start()
            for thread in pumps:
                thread.join()
        stream.write(struct.pack("<BIB", EXIT, 1, ran.returncode & 0xFF))


def pump(stream: Stream, descriptor: int, kind: int) -> None:
    for piece in iter(lambda: os.read(descriptor, PIECE - 5), b""):
        stream.write(struct.pack("<BI", kind, len(piece)) + piece)


def end_with(stream: Stream, ran: subprocess.Popen[bytes]) -> None:
    """A command ends when the conversation does."""
    with suppress(EOFError):
        while True:
            stream.read(1)
    if ran.poll() is None:
        os.killpg(ran.pid, signal.SIGKILL)


def synchronise(stream: Stream) -> None:
    """Files: what there is, what comes, what goes."""
    while True:
        command, size = struct.unpack("<4sI", stream.read(8))
        if command == b"QUIT":
            return
        path = stream.read(size).decode()
        if command == b"STAT":
            told = os.stat(path) if os.path.exists(path) else None
            figures = (told.st_mode, told.st_size, int(told.st_mtime)) if told else (0, 0, 0)
            stream.write(struct.pack("<4s3I", b"STAT", *figures))
        elif command == b"LIST":
            for entry in os.scandir(path):
                told, name = entry.stat(), entry.name.encode()
                figures = (told.st_mode, told.st_size, int(told.st_mtime), len(name))
                stream.write(struct.pack("<4s4I", b"DENT", *figures) + name)
            stream.write(struct.pack("<4s4I", b"DONE", 0, 0, 0, 0))
        elif command == b"SEND":
            place = Path(path.rpartition(",")[0])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"".join(received(stream)))
            stream.write(struct.pack("<4sI", b"OKAY", 0))
        elif command == b"RECV":
            data = Path(path).read_bytes()
            for at in range(0, len(data), PIECE):
                piece = data[at : at + PIECE]
                stream.write(struct.pack("<4sI", b"DATA", len(piece)) + piece)
            stream.write(struct.pack("<4sI", b"DONE", 0))


def received(stream: Stream) -> Iterator[bytes]:
    while True:
        command, size = struct.unpack("<4sI", stream.read(8))
        if command == b"DONE":
            return
        yield stream.read(size)


@contextmanager
def daemon(programs: Path) -> Iterator[str]:
    """The serial of a device whose programs lie in a folder; `adb connect` knows it."""
    talks: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    wire, _ = server.accept()
                    talks.append(threading.Thread(target=Connection(wire, programs).run, daemon=True))
                    talks[-1].start()

        waiting = threading.Thread(target=answer, daemon=True)
        waiting.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for thread in (waiting, *talks):
            thread.join(timeout=10)
