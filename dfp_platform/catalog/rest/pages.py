"""Long lists, a page at a time: every page of one walk is of the commit that the first one saw."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

from pyiceberg.exceptions import BadRequestError

from dfp_platform.catalog.lake_catalog import LakeCatalog, open_catalog
from dfp_platform.catalog.names import Identifier
from dfp_platform.catalog.rest.answers import Answer
from dfp_platform.catalog.rest.call import Call

PAGE = 1_000
"""Names on a page of a client that asks for pages and names no size."""


def paged(
    call: Call, key: str, found_by: Callable[[LakeCatalog], Sequence[Identifier]], shown: Callable[[Identifier], Any]
) -> Answer:
    """The names that `found_by` finds, under `key`: all of them, or from the token on if the client asks for pages.

    Raises BadRequestError: a token or a size that is none.
    """
    if "pageToken" not in call.query:
        return Answer(body={key: [shown(name) for name in found_by(call.catalog)]})
    commit, after = _opened(call.query["pageToken"])
    commit = commit or call.catalog.head()
    names = sorted(found_by(open_catalog(call.catalog.lake, commit)))
    rest = [name for name in names if after is None or name > after]
    page = rest[: _size(call.query.get("pageSize"))]
    token = _token(commit, page[-1]) if len(page) < len(rest) else None
    return Answer(body={key: [shown(name) for name in page], "next-page-token": token})


def _size(told: str | None) -> int:
    if told is None:
        return PAGE
    if not told.isdigit() or int(told) < 1:
        raise BadRequestError(f"pageSize is a number of at least 1, not {told!r}")
    return int(told)


def _token(commit: str, last: Identifier) -> str:
    return urlsafe_b64encode(json.dumps([commit, *last]).encode()).decode()


def _opened(token: str) -> tuple[str | None, Identifier | None]:
    if not token:
        return None, None
    try:
        commit, *last = json.loads(urlsafe_b64decode(token.encode()))
    except ValueError as error:
        raise BadRequestError("that pageToken did not come from here") from error
    return str(commit), tuple(map(str, last))
