"""Where alerts go, and sending one: a webhook, an incoming webhook as Slack has it, and all that Apprise knows.

No address is ever logged or returned whole: user names, passwords, paths and queries of addresses are secrets.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from dfp_platform.alerts.alert import Alert

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 5.0
"""How long a channel may take to be reached, and to answer."""

_SEPARATOR = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)|\s+")
_SLACK = ("slack+http", "slack+https")
_WEBHOOK = ("http", "https")
_MAIL = ("mailto", "mailtos")
_SHORTEST = 4
"""Letters of a part of an address that is looked for in what came back, to leave it out."""

_apprise_log = threading.Lock()


@dataclass(frozen=True, slots=True)
class Channel:
    """One address of `DFP_ALERT_URLS`. Printed, it shows no secret.

    Attributes:
        number: its place in the setting, from 1.
    """

    number: int
    address: str

    @property
    def scheme(self) -> str:
        return self.address.partition("://")[0].lower()

    @property
    def id(self) -> str:
        """Names the channel across restarts, and tells nothing of its address."""
        return hashlib.sha256(self.address.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Scheme and host; of services whose addresses carry keys in the place of a host, the scheme alone."""
        parts = urlsplit(self.address)
        known = (*_WEBHOOK, *_SLACK, *_MAIL)
        host = _host(self.address) if self.scheme in known else "…"
        return f"{parts.scheme}://{host}/…" if host != "…" else f"{parts.scheme}://…"

    def __repr__(self) -> str:
        return f"Channel({self.number}, {self.name})"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending one alert over one channel.

    Attributes:
        said: what came back, without secrets.
        again: whether it may go through later: the channel was not reached, or is out of order.
    """

    delivered: bool
    said: str
    again: bool = False


def channels_of(addresses: str) -> tuple[Channel, ...]:
    """The channels of a setting: addresses apart by spaces or commas, each once."""
    found = dict.fromkeys(address for address in _SEPARATOR.split(addresses.strip()) if address)
    return tuple(Channel(number, address) for number, address in enumerate(found, start=1))


def send(channel: Channel, alert: Alert) -> Answer:
    """Send one alert over one channel, once. Never raises; whatever goes wrong is the answer."""
    way: Callable[[Channel, Alert], Answer] = _by_apprise
    if channel.scheme in _WEBHOOK:
        way = _to_webhook
    elif channel.scheme in _SLACK:
        way = _to_slack
    try:
        answer = way(channel, alert)
    except Exception as error:  # a foreign service must not end whoever only tells of something
        answer = Answer(False, f"{type(error).__name__}: {error}", again=True)
    return Answer(answer.delivered, without_secrets(answer.said, channel), answer.again)


def without_secrets(text: str, channel: Channel) -> str:
    """`text` without any part of the channel's address that may be a secret."""
    parts = urlsplit(channel.address)
    places = [parts.path, parts.query, parts.fragment, parts.netloc.rpartition("@")[0]]
    if channel.scheme not in (*_WEBHOOK, *_SLACK, *_MAIL):
        places.append(parts.netloc)
    pieces = {piece for place in places for piece in re.split(r"[/?&=:@,;]", place)}
    secret = {channel.address, *places, *pieces, *map(unquote, pieces)}
    for piece in sorted(secret, key=len, reverse=True):
        if len(piece) >= _SHORTEST:
            text = text.replace(piece, "***")
    return text


def _host(address: str) -> str:
    """Host and port of an address, without the user; ``…`` where there is none that can be read."""
    return urlsplit(address).netloc.rpartition("@")[2] or "…"


def _to_webhook(channel: Channel, alert: Alert) -> Answer:
    return _post(channel.address, alert.payload())


def _to_slack(channel: Channel, alert: Alert) -> Answer:
    return _post(channel.address.partition("+")[2], {"text": slack_text(alert)})


def slack_text(alert: Alert) -> str:
    """An alert in Slack's markup, which Mattermost, Rocket.Chat and others read too."""
    told = f"{alert.title}\n{alert.text()}"
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        told = told.replace(letter, entity)
    title, _, rest = told.partition("\n")
    return f"*{title}*\n{rest}"


def _post(address: str, body: Any) -> Answer:
    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each address whole, and paths here are secrets
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    try:
        answer = httpx.post(address, json=body, timeout=timeout)
    except httpx.TimeoutException:
        return Answer(False, f"no answer within {ANSWER_SECONDS:g} s", again=True)
    except httpx.TransportError as error:
        return Answer(False, f"{type(error).__name__}: {error}", again=not isinstance(error, httpx.UnsupportedProtocol))
    except (httpx.InvalidURL, ValueError) as error:
        return Answer(False, f"the address cannot be used: {error}")
    said = f"{answer.status_code} {answer.text[:200]}".strip()
    return Answer(answer.is_success, said, again=answer.is_server_error or answer.status_code in (408, 425, 429))


def _by_apprise(channel: Channel, alert: Alert) -> Answer:
    """By Apprise, which says no more than whether it went; the reason is in its log, which goes nowhere else."""
    import apprise

    kinds = {"error": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}
    for name in ("apprise", "urllib3"):  # at DEBUG both log addresses whole
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("apprise").propagate = False
    with _apprise_log, apprise.LogCapture(level=logging.INFO, fmt="%(message)s") as log:
        service = apprise.Apprise.instantiate(_with_timeouts(channel.address))
        if not isinstance(service, apprise.NotifyBase):
            return Answer(False, f"Apprise cannot use this address: {' '.join(log.getvalue().split())}")
        kind = kinds.get(alert.severity, apprise.NotifyType.INFO)
        delivered = bool(service.notify(body=alert.text(), title=alert.title, notify_type=kind))
        said = " ".join(log.getvalue().split())
    return Answer(delivered, said or ("accepted" if delivered else "refused, for no reason it gives"), not delivered)


def _with_timeouts(address: str) -> str:
    if re.search(r"[?&][cr]to=", address):
        return address
    return f"{address}{'&' if '?' in address else '?'}cto={CONNECT_SECONDS:g}&rto={ANSWER_SECONDS:g}"
