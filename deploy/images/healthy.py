"""Ask a server of this container whether it lives: `healthy.py PORT [PATH]`. Exit code 0: it answered below 500.

Without a path it is enough that somebody listens.

With TLS the certificate names the server as others know it, and this asks for it by loopback: it is not looked at.
"""

from __future__ import annotations

import sys
from contextlib import closing
from http.client import BadStatusLine, HTTPConnection, HTTPException, HTTPSConnection
from socket import create_connection
from ssl import _create_unverified_context

SECONDS = 4
"""How long an answer may take; the checks of the images give up after 5."""


def status(port: int, path: str) -> int:
    """The status of GET `path`, by HTTP or else by HTTPS. Raises OSError, HTTPException: nobody answers."""
    try:
        return _asked(HTTPConnection("127.0.0.1", port, timeout=SECONDS), path)
    except (BadStatusLine, ConnectionResetError):  # what a server that speaks TLS does to one that does not
        context = _create_unverified_context()
        return _asked(HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context), path)


def _asked(door: HTTPConnection, path: str) -> int:
    with closing(door):
        door.request("GET", path)
        return door.getresponse().status


if __name__ == "__main__":
    port, *path = sys.argv[1:]
    try:
        if path:
            sys.exit(status(int(port), *path) >= 500)
        create_connection(("127.0.0.1", int(port)), timeout=SECONDS).close()
    except (HTTPException, OSError) as error:
        sys.exit(f"port {port} does not answer: {error!r}")
