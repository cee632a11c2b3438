"""Who may reach the servers that `dfp` starts, and by what: tokens and HTTPS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import ConfigurationError

if TYPE_CHECKING:
    from dfp_platform.settings import Settings


def tls_of(at: Settings) -> dict[str, Any]:
    """What uvicorn is told of certificate and key; nothing: the server speaks HTTP.

    Raises ConfigurationError: one is set without the other, or they are no pair.
    """
    if at.tls_cert is None and at.tls_key is None:
        return {}
    try:
        if at.tls_cert is None or at.tls_key is None:
            raise ValueError("one is set without the other")
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(at.tls_cert, at.tls_key)
    except (OSError, ValueError) as error:  # ssl's own errors are among the first
        raise ConfigurationError(
            f"certificate {at.tls_cert} and key {at.tls_key} cannot be used: {error}",
            hint="DFP_TLS_CERT and DFP_TLS_KEY name the PEM files of a certificate and of its key",
            setting="tls_cert",
        ) from error
    return {"ssl_certfile": str(at.tls_cert), "ssl_keyfile": str(at.tls_key)}


def refuse_open_door(host: str, token: str | None, *, setting: str) -> None:
    """Raises ConfigurationError: other machines could ask, and nobody asks them for a token.

    Args:
        setting: the one that holds the token.
    """
    from dfp_platform.catalog.rest.access import is_loopback

    if not token and not is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached from other machines, and there is no token",
            hint=f"set DFP_{setting.upper()}, or listen on 127.0.0.1",
            setting=setting,
        )
