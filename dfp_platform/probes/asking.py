"""Asking servers, so that who does not answer is named: by HTTP, or only whether anybody listens."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import UnreachableError

if TYPE_CHECKING:
    import httpx


def get(address: str, *, seconds: float, **options: Any) -> httpx.Response:
    """What a server answers to GET, whatever its status; redirections are not followed.

    Raises:
        UnreachableError: no answer within `seconds`, or nobody can be at such an address.
    """
    import httpx

    try:
        return httpx.get(address, timeout=seconds, **options)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(f"{address} does not answer: {_words(error)}", address=address) from error


def reach(host: str, port: int, *, seconds: float) -> None:
    """Connect and hang up. Raises UnreachableError: nobody listens there."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        address = f"{host}:{port}"
        raise UnreachableError(f"{address} does not answer: {_words(error)}", address=address) from error


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
