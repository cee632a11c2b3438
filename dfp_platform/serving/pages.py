"""Reports and other files of the lake as pages of a browser: read only, for this machine."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from dfp_platform.errors import DfpError, NotFoundError, PermanentError
from dfp_platform.reports.folder import Entry, render_folder

if TYPE_CHECKING:
    from starlette.requests import Request

    from dfp_platform.lake import Lake
    from dfp_platform.schemas import ObjectStat

THIS_MACHINE = ["127.0.0.1", "localhost"]
"""Names by which a browser asks this machine; under another name a page elsewhere asks on its own behalf."""

HEADERS = {
    "content-security-policy": "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'self' data: 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""What lies in the lake may come from anyone: it is shown apart from all else of this address, and loads nothing."""

READ = frozenset({".css", ".htm", ".html", ".json", ".md", ".png", ".svg", ".txt", ".yaml", ".yml"})
"""Kinds of files that a browser shows; others are downloads."""

LISTED = 1_000
"""Entries of a folder that its page names at most."""

_PIECE = 1 << 18


def create_pages(lake: Lake, branch: str) -> Starlette:
    """The app: `/` tells what a branch has to read, `/<ref>/<path>` shows a file, or the folder that it is."""

    async def shown(request: Request) -> Response:
        ref, path = request.path_params.get("ref", ""), request.path_params.get("path", "")
        if ref and "path" not in request.path_params:
            return RedirectResponse(f"/{ref}/")
        found = partial(_file_or_folder, lake, ref, path) if ref else partial(_readable, lake, branch)
        try:
            answer = await run_in_threadpool(found)
        except DfpError as error:
            answer = PlainTextResponse(f"{error}\n", _status(error))
        answer.headers.update(HEADERS)
        return answer

    routes = [Route(path, shown) for path in ("/", "/{ref}", "/{ref}/{path:path}")]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=THIS_MACHINE)])


def _status(error: DfpError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    return 400 if isinstance(error, PermanentError) else 503


def _readable(lake: Lake, branch: str) -> Response:
    """The first page: every report and every other page of a branch."""
    pages = [stat for stat in lake.list(branch, "reports/") if stat.path.endswith(".html")]
    entries = [Entry(_title(page.path), f"/{branch}/{quote(page.path)}", page.size) for page in pages]
    lead = f"What branch {branch} has to read, as of its newest commit."
    return HTMLResponse(render_folder("Reports of the lake", lead, entries, column="Report"))


def _title(path: str) -> str:
    return path.removeprefix("reports/").removesuffix(".html").removesuffix("/index").replace("_", " ")


def _file_or_folder(lake: Lake, ref: str, path: str) -> Response:
    commit, folder = lake.resolve(ref), path.rstrip("/")
    prefix = f"{folder}/" if folder else ""
    if not path.endswith("/") and path and lake.exists(commit, path):
        return _file(lake, commit, path)
    inside = list(islice(_children(lake, commit, prefix), LISTED + 1))
    if not inside and lake.exists(commit, folder):
        return RedirectResponse(f"/{ref}/{quote(folder)}")
    if not inside:
        raise NotFoundError(f"nothing lies at {folder or '/'} of {ref}", path=folder, ref=ref)
    if path != prefix:
        return RedirectResponse(f"/{ref}/{quote(prefix)}")
    title = f"{folder or 'Everything'} at {ref[:12]}"
    above = [Entry("..", "../")] if folder else []
    more = len(inside) > LISTED
    return HTMLResponse(render_folder(title, f"Of {lake.uri}.", above + inside[:LISTED], more=more))


def _children(lake: Lake, commit: str, prefix: str) -> Iterator[Entry]:
    """Files and folders right beneath a prefix, each once, in path order."""
    last = ""
    for stat in lake.list(commit, prefix):
        name, below, _ = stat.path.removeprefix(prefix).partition("/")
        if below and name != last:
            last = name
            yield Entry(f"{name}/", f"{quote(name)}/")
        elif not below:
            yield Entry(name, quote(name), stat.size)


def _file(lake: Lake, commit: str, path: str) -> Response:
    suffix = PurePosixPath(path).suffix.lower()
    kind = mimetypes.guess_type(path)[0] if suffix in READ else None
    if suffix in ("", ".md", ".yaml", ".yml"):  # without a suffix it is the pointer of a table
        kind = "text/plain"
    stat = lake.stat(commit, path)
    headers = {"content-length": str(stat.size)}
    if kind is None:
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1])}"
    return StreamingResponse(
        _pieces(lake, commit, stat), media_type=kind or "application/octet-stream", headers=headers
    )


def _pieces(lake: Lake, commit: str, stat: ObjectStat) -> Iterator[bytes]:
    with lake.open(commit, stat.path) as stream:
        while piece := stream.read(_PIECE):
            yield piece
