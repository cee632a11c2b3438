"""Files for the tests of ingest: small CSVs in the published forms, edited cell by cell, and a server of them."""

from __future__ import annotations

import csv
import io
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl

from dfp_platform.ingest import Landing, land
from dfp_platform.ingest.sample import write_csv
from dfp_platform.lake.interface import Lake

REAL = Path(__file__).resolve().parents[2] / "shared" / "kronodroid" / "real_device_2019.csv"
"""The real rows, where this checkout has them."""

Rows = list[list[str]]


def sample_rows(path: Path, *, rows: int = 40, seed: int = 7, device: str = "real_device") -> Rows:
    """Header and rows of a small sample, as text."""
    return read_rows(write_csv(path / "sample-rows.csv", rows=rows, seed=seed, device=device))


def read_rows(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def write_rows(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def edited(rows: Rows, cells: Mapping[tuple[int, str], str]) -> Rows:
    """A copy with some cells changed, by (row, column); row 1 is the first beneath the header."""
    copy = [list(row) for row in rows]
    for (row, column), value in cells.items():
        copy[row][rows[0].index(column)] = value
    return copy


def without(rows: Rows, *columns: str) -> Rows:
    kept = [i for i, name in enumerate(rows[0]) if name not in columns]
    return [[row[i] for i in kept] for row in rows]


def as_archive(rows: Rows, *, device: str = "real_device", label: int | None = None) -> Rows:
    """The same rows in the 484-column form of the publishers' archives; `label` keeps one class only."""
    first, last = ("EarliestModDate", "HighestModDate") if device == "real_device" else ("FirstModDate", "LastModDate")
    date, malware = rows[0].index("Highest-date"), rows[0].index("Malware")
    kept = [row for row in rows[1:] if label is None or row[malware] == str(label)]
    slim = without([rows[0], *kept], "Categories", "Highest-date", "year_month", "Year")
    at = slim[0].index("sha256") + 1

    def american(day: str) -> str:
        year, month, number = day.split("-")
        return f"{int(month)}/{int(number)}/{year}"

    dates = [[first, last], *([american(row[date])] * 2 for row in kept)]
    return [row[:at] + pair + row[at:] for row, pair in zip(slim, dates, strict=True)]


def zipped(path: Path, member: str, rows: Rows) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return zipped_bytes(path, {member: text.getvalue().encode()})


def zipped_bytes(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def lander(lake: Lake, cache: Path) -> Callable[..., Landing]:
    """Lands on a lake with the small things filled in."""

    def landed(source: str | Path = "sample", dataset: str = "kronodroid_real_device", **options: Any) -> Landing:
        defaults = {"sample_rows": 50, "seed": 7, "cache": cache}
        return land(lake, options.pop("branch", "main"), dataset, source=str(source), **defaults | options)

    return landed


def rows_at(lake: Lake, ref: str, dataset: str = "kronodroid_real_device") -> pl.DataFrame:
    """The landed rows of all files of a data set."""
    files = [stat.path for stat in lake.list(ref, f"raw/{dataset}/") if stat.path.endswith(".parquet")]
    return pl.concat(pl.read_parquet(io.BytesIO(lake.read(ref, path))) for path in files)


@dataclass
class FileServer:
    """A server of one folder that understands ranges and can be told to misbehave.

    Attributes:
        address: its root.
        requests: (path, Range header, Authorization header) of each request so far.
        cut_after: break the connection after so many bytes of an answer, that many times.
    """

    address: str
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    cut_after: int = 0
    cuts: int = 0
    token: str | None = None


@contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """Serves `folder` on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted, authorization = self.headers.get("Range"), self.headers.get("Authorization")
            state.requests.append((self.path, wanted, authorization))
            if state.token and authorization != f"Bearer {state.token}":
                return self._answer(401, b"", {})
            path = folder / self.path.lstrip("/")
            if not path.is_file():
                return self._answer(404, b"", {})
            content = path.read_bytes()
            if wanted:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    return self._answer(416, b"", {})
                span = f"bytes {start}-{len(content) - 1}/{len(content)}"
                return self._answer(206, content[start:], {"Content-Range": span})
            return self._answer(200, content, {})

        def _answer(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if state.cuts and content:
                state.cuts -= 1
                content = content[: state.cut_after]
                self.close_connection = True
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = FileServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
