"""Who may ask: a bearer token, which is the server's secret itself or was got for it over OAuth2.

Tokens got over OAuth2 are good for an hour and need no memory: they carry the second they end and a signature of it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from pyiceberg.exceptions import ForbiddenError, UnauthorizedError

from dfp_platform.catalog.rest.answers import Answer

LIFETIME = 3_600
"""Seconds a token is good for."""

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(frozen=True, slots=True)
class Access:
    """The rule of one server; without a secret everybody on this machine may ask.

    Attributes:
        secret: opens everything.
        metrics: opens the page of metrics alone: who watches has no need to write.
    """

    secret: str | None = field(repr=False)
    metrics: str | None = field(default=None, repr=False)

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises UnauthorizedError: no token, a wrong one, or one that ended. ForbiddenError: sent by a web page."""
        if self.secret is None:
            _refuse_pages(headers.get("host", ""), headers.get("origin", ""))
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.knows(token.strip()):
            raise UnauthorizedError("a valid bearer token is needed (property `token` or `credential` of the client)")

    def check_metrics(self, headers: Mapping[str, str]) -> None:
        """As `check`, for the page of metrics, which has a token of its own too."""
        shown = headers.get("authorization", "").encode()
        if self.metrics is None or not hmac.compare_digest(shown, f"Bearer {self.metrics}".encode()):
            self.check(headers)

    def knows(self, token: str) -> bool:
        """Whether a token opens this server."""
        if self.secret is None or hmac.compare_digest(token.encode(), self.secret.encode()):
            return True
        ends, _, _signature = token.partition(".")
        return ends.isdigit() and int(ends) > time.time() and hmac.compare_digest(token.encode(), self._sign(int(ends)))

    def grant(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """A token for the client's secret, or for a token that is still good: OAuth2's two ways that Iceberg uses."""
        asked = dict(parse_qsl(body.decode(errors="replace")))
        _, secret = _basic(headers.get("authorization", ""))
        if asked.get("grant_type") == "client_credentials":
            known = self._is_secret(asked.get("client_secret") or secret)
        elif asked.get("grant_type") == _EXCHANGE:
            known = self.knows(asked.get("subject_token", ""))
        else:
            return _oauth_refusal(400, "unsupported_grant_type", "client_credentials or token-exchange")
        if not known:
            return _oauth_refusal(401, "invalid_client", "the client's secret is not this server's")
        token = self._sign(int(time.time()) + LIFETIME).decode()
        fields = {"token_type": "bearer", "expires_in": LIFETIME, "issued_token_type": _ACCESS_TOKEN}
        return Answer(body={"access_token": token, **fields}, headers={"Cache-Control": "no-store"})

    def _is_secret(self, told: str) -> bool:
        return self.secret is None or hmac.compare_digest(told.encode(), self.secret.encode())

    def _sign(self, ends: int) -> bytes:
        key = hashlib.sha256(b"dfp catalog token 1 " + (self.secret or "").encode()).digest()
        return f"{ends}.{hmac.new(key, str(ends).encode(), hashlib.sha256).hexdigest()}".encode()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_pages(host: str, origin: str) -> None:
    """A browser tells by which name a foreign page sends here, and which page; engines tell no origin."""
    for told in (f"//{host}", origin):
        name = urlsplit(told).hostname
        if told and not (name and is_loopback(name)):
            raise ForbiddenError(f"this server answers to localhost, not to {name!r}; set DFP_CATALOG_TOKEN for others")


def _basic(header: str) -> tuple[str, str]:
    scheme, _, told = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = b64decode(told, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(name), unquote_plus(secret)


def _oauth_refusal(status: int, kind: str, description: str) -> Answer:
    return Answer(status, {"error": kind, "error_description": description})
