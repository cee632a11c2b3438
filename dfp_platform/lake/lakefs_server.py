"""The border to a lakeFS server: where it is, how it is asked again, and what its refusals mean in our words."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from dfp_platform.errors import ConfigurationError, PermanentError, ReadOnlyError, UnreachableError
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from lakefs import Client
    from lakefs_sdk.client import LakeFSClient

Answer = TypeVar("Answer")

OLDEST = (1, 0)
"""The first server version whose HTTP interface lakeFS keeps stable; the keeper needs nothing that came later."""

TRIES = 6
"""How often a server that does not answer is asked."""

PATIENCE_S = 0.1
"""Pause before the second try, doubled before each further one and varied by half, so that clients drift apart."""

TIMEOUT_S = (5.0, 300.0)
"""To connect, and between two packets of an answer: a merge of many objects takes its time."""

_dice = secrets.SystemRandom()  # not `random`: trainings seed it alike in every process
_BUSY = {423, 429, 500, 502, 503, 504}


class Refused(PermanentError):
    """The server understood a call and said no; whoever made the call knows what that means, and mostly handles it.

    Fields: `status` (HTTP), `said` (the server's own words), `repeated`: an earlier try of the same call got no answer,
    so it may have been done already.
    """

    @property
    def status(self) -> int:
        return self.fields["status"]

    @property
    def said(self) -> str:
        return self.fields["said"]

    @property
    def repeated(self) -> bool:
        return self.fields["repeated"]

    @property
    def nothing_to_do(self) -> bool:
        """The two sides hold the same already."""
        return self.status == 400 and "no changes" in self.said.lower()

    @property
    def dirty(self) -> bool:
        """The branch holds objects that were uploaded and not committed."""
        return self.status == 400 and re.search(r"uncommitted|dirty", self.said, re.IGNORECASE) is not None


class LostAnswerError(UnreachableError):
    """The server was sent a call and did not answer it: the call may have been done."""


class Server:
    """One lakeFS server. Args: `open_client` makes a client of it, with connections of its own."""

    def __init__(self, open_client: Callable[[], Client]) -> None:
        self._open_client = open_client
        self._client, self._process = open_client(), os.getpid()
        self.address = self._client.config.host.removesuffix("/api/v1")
        try:
            config = self.ask(self.sdk.config_api.get_config)
        except (Refused, ValueError) as error:
            raise ConfigurationError(
                f"what answers at {self.address} is no lakeFS server: {error}",
                hint="set LAKECTL_SERVER_ENDPOINT_URL to one, without a path",
                setting="lakefs_endpoint_url",
            ) from error
        version = config.version_config.version if config.version_config else None
        self.version = version or ""
        storage = config.storage_config
        self.storage = storage.blockstore_type if storage else "s3"
        self.default_namespace = (storage.default_namespace_prefix or "") if storage else ""
        self._refuse_if_too_old()

    @property
    def client(self) -> Client:
        """lakeFS's own client. A forked child has another: it must not speak over its parent's connections."""
        if self._process != os.getpid():
            self._client, self._process = self._open_client(), os.getpid()
        return self._client

    @property
    def sdk(self) -> LakeFSClient:
        """lakeFS's interface as generated; asked for anew each time, because that is when tokens are renewed."""
        return self.client.sdk_client

    def ask(self, function: Callable[..., Answer], *args: Any, once: bool = False, **options: Any) -> Answer:
        """Call the server, again after a growing pause while it does not answer.

        Args:
            once: a call that must not be made twice: asked again only if it never reached the server.
        Raises:
            Refused: the server said no. UnreachableError: it did not answer (LostAnswerError: it may have acted).
            ConfigurationError: wrong keys. ReadOnlyError: the keys' owner may not do this.
        """
        sent = False
        for again in range(TRIES):
            wait_for_server(again)
            try:
                return function(*args, **{"_request_timeout": TIMEOUT_S, **options})
            except Exception as error:
                failure = error
            never_sent = self._judge(failure, repeated=sent)
            sent = sent or not never_sent
            if sent and once:
                break
        raise self._unreachable(LostAnswerError if sent else UnreachableError, failure) from failure

    def _judge(self, failure: Exception, *, repeated: bool) -> bool:
        """Whether a failed call never reached the server. Raises what cannot be better the next time."""
        import lakefs_sdk
        import urllib3

        if isinstance(failure, urllib3.exceptions.HTTPError):
            cause = getattr(failure, "reason", failure)
            return isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
        if not isinstance(failure, lakefs_sdk.ApiException):
            raise failure
        if not failure.status:
            raise self._unreachable(UnreachableError, failure)
        if failure.status == 401:
            raise ConfigurationError(
                f"the lakeFS server at {self.address} does not know these keys",
                hint="set LAKECTL_CREDENTIALS_ACCESS_KEY_ID and LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY, or mend "
                "~/.lakectl.yaml",
                setting="lakefs_access_key_id",
            ) from failure
        if failure.status == 403:
            raise ReadOnlyError(
                f"the lakeFS server at {self.address} forbids this: {words_of(failure)}",
                hint="ask for a policy that allows it, or look at the protection rules of the branch",
                address=self.address,
            ) from failure
        if failure.status not in _BUSY:
            raise refusal(failure.status, words_of(failure), repeated=repeated) from failure
        return failure.status in (423, 429)

    def _unreachable(self, kind: type[UnreachableError], failure: Exception) -> UnreachableError:
        return kind(
            f"the lakeFS server at {self.address} does not answer: {words_of(failure)}",
            hint="look whether it runs and is the right one (LAKECTL_SERVER_ENDPOINT_URL), then try again",
            address=self.address,
        )

    def _refuse_if_too_old(self) -> None:
        found = re.match(r"v?(\d+)\.(\d+)", self.version)
        if found and tuple(map(int, found.groups())) < OLDEST:
            raise ConfigurationError(
                f"the lakeFS server at {self.address} is version {self.version}, too old for this lake",
                hint=f"upgrade it to {'.'.join(map(str, OLDEST))} or later",
                setting="lakefs_endpoint_url",
            )


def wait_for_server(again: int) -> None:
    """Pause before the `again`-th repetition of a call; not before the first try (0)."""
    if again:
        time.sleep(PATIENCE_S * 2 ** (again - 1) * _dice.uniform(0.5, 1.5))


def refusal(status: int, said: str, *, repeated: bool = False) -> Refused:
    """The error for an answer other than success."""
    return Refused(
        f"lakeFS refused a call ({status}): {said}",
        hint="its log says more, under the same words",
        status=status,
        said=said,
        repeated=repeated,
    )


def connect() -> Server:
    """The server that lakeFS's standard places name, one connection pool a process.

    The settings' own names (``LAKEFS_…``) are put under lakeFS's where those are not set, for child processes too.
    Raises ConfigurationError: no server or no keys named, the package `lakefs` is missing, or the server is too old.
    """
    offer_keys()
    named = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("LAKECTL_")))
    return _connect(named)


def offer_keys() -> None:
    """Put what the settings say of lakeFS under its own names, where those are not set."""
    for name, value in settings().lakectl_environment().items():
        os.environ.setdefault(name, value)


@lru_cache(maxsize=16)
def _connect(named: tuple[tuple[str, str], ...]) -> Server:
    return Server(open_client)


def open_client() -> Client:
    """A client with the keys of lakeFS's own standard places (``LAKECTL_…``, ``~/.lakectl.yaml``).

    Raises ConfigurationError: no server or no keys named, or the package `lakefs` is missing.
    """
    try:
        import lakefs
    except ImportError as error:
        raise ConfigurationError(
            "this environment cannot speak to lakeFS", hint="pip install 'dfp-platform[lakefs]'", setting="lake"
        ) from error
    try:
        client = lakefs.Client()
    except lakefs.exceptions.NoAuthenticationFound as error:
        raise ConfigurationError(
            "no keys for lakeFS are set",
            hint="set LAKECTL_CREDENTIALS_ACCESS_KEY_ID and LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY, or `lakectl config`",
            setting="lakefs_access_key_id",
        ) from error
    if not client.config.host:
        raise ConfigurationError(
            "no lakeFS server is named", hint="set LAKECTL_SERVER_ENDPOINT_URL", setting="lakefs_endpoint_url"
        )
    pool = client.sdk_client.objects_api.api_client.rest_client.pool_manager
    pool.connection_pool_kw["retries"] = False  # a retry that `ask` does not know of would hide a lost answer
    return client


def words_of(failure: Exception) -> str:
    """What a failure says of itself; the server wraps its words in JSON."""
    body = getattr(failure, "body", None)
    if not body:
        return str(getattr(failure, "reason", None) or failure)
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(body)[:500]
