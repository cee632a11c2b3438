"""The way to Redis: one server, TLS or a cluster by its address; its errors in our words; many commands, one trip."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dfp_platform.errors import ConfigurationError, DiskFullError, UnreachableError

if TYPE_CHECKING:
    from redis import Redis

CONNECT_WITHIN = 0.5
READ_WITHIN = 1.0
"""Seconds that a reader waits for an answer; an address may say others (``?socket_timeout=2``)."""

WRITE_WITHIN = 20.0
"""Seconds for a batch of thousands of rows."""

Command = Sequence[Any]


class RedisClient:
    """Connections to one Redis. Nothing is connected before the first command; safe from many threads."""

    def __init__(self, url: str, *, patience: float = READ_WITHIN) -> None:
        parts = urlsplit(url)
        self.cluster = parts.scheme.endswith("+cluster")
        self.address = f"{parts.hostname}:{parts.port or 6379}"
        self._url = url.replace("+cluster://", "://", 1)
        self._patience = patience
        self._client: Redis | None = None
        self._idle: deque[Any] = deque()
        if parts.scheme.removesuffix("+cluster") not in ("redis", "rediss", "unix") or not (
            parts.hostname or parts.path
        ):
            raise ConfigurationError(
                "the address of Redis is none",
                hint="redis://user:password@host:6379/0, rediss://… (TLS), redis+cluster://…",
                setting="redis_url",
            )

    @property
    def client(self) -> Any:
        """redis-py's client. Raises UnreachableError: a cluster that does not tell its nodes."""
        if self._client is None:
            self._client = self._connected()
        return self._client

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """The raw replies of commands that are sent at once, in their order.

        They only read, or may be done twice: after a connection was lost they are sent again, once.

        Raises:
            UnreachableError, ConfigurationError, DiskFullError: see `told_in_our_words`.
        """
        from redis.exceptions import ConnectionError as Lost

        with self.told_in_our_words():
            if self.cluster:
                with self.client.pipeline(transaction=False) as pipeline:
                    for command in commands:
                        pipeline.execute_command(*command)
                    return pipeline.execute()
            try:
                return self._sent(commands)
            except Lost:
                self._release_idle()  # what the server has closed, it has closed for all of them
                return self._sent(commands)

    def script(self, code: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """What a Lua script answers; it runs alone in the server."""
        with self.told_in_our_words():
            return self.client.register_script(code)(keys=keys, args=arguments)

    def close(self) -> None:
        """Let the connections go; the next command makes new ones."""
        self._release_idle()
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @contextmanager
    def told_in_our_words(self) -> Iterator[None]:
        """Translate what redis-py raises.

        Raises:
            UnreachableError: no answer in time. ConfigurationError: the password is wrong. DiskFullError: no memory or
            disk left there.
        """
        from redis import exceptions as theirs

        try:
            yield
        except (theirs.AuthenticationError, theirs.AuthorizationError, theirs.NoPermissionError) as error:
            raise ConfigurationError(
                f"Redis at {self.address} refuses the login: {error}",
                hint="check user and password in DFP_REDIS_URL",
                setting="redis_url",
            ) from error
        except (
            theirs.ConnectionError,
            theirs.TimeoutError,
            theirs.ClusterError,
            theirs.RedisClusterException,
            OSError,
        ) as error:
            raise UnreachableError(
                f"Redis at {self.address} does not answer: {type(error).__name__}: {error}",
                hint="start it, or check DFP_REDIS_URL; readers go on by themselves once it is back",
                address=self.address,
            ) from error
        except theirs.ResponseError as error:
            if not str(error).startswith(_FULL):
                raise
            raise DiskFullError(
                f"Redis at {self.address} takes no more: {error}",
                hint="give it memory or disk, or `dfp features prune`; nothing is visible of what was begun",
                place=self.address,
            ) from error

    def _sent(self, commands: Sequence[Command]) -> list[Any]:
        """Past redis-py's pipeline, and past its pool, which looks at each connection before it gives it out."""
        connection = self._idle.pop() if self._idle else self.client.connection_pool.get_connection()
        try:
            connection.send_packed_command([b"".join(connection.pack_commands(commands))])  # one send, not many
            replies = [_raised(connection.read_response()) for _ in commands]
        except BaseException:
            connection.disconnect()  # answers may still be on their way: nobody else may get them
            self.client.connection_pool.release(connection)
            raise
        self._idle.append(connection)
        return replies

    def _release_idle(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            connection.disconnect()
            self.client.connection_pool.release(connection)

    def _connected(self) -> Any:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        told: dict[str, Any] = {"socket_connect_timeout": CONNECT_WITHIN, "socket_timeout": self._patience}
        try:
            if self.cluster:
                with self.told_in_our_words():
                    return redis.RedisCluster.from_url(self._url, **told, retry=Retry(NoBackoff(), 1))
            return redis.Redis.from_url(self._url, **told, retry=Retry(NoBackoff(), 0), protocol=2)
        except ValueError as error:
            raise ConfigurationError(
                f"the address of Redis at {self.address} cannot be used: {error}", setting="redis_url"
            ) from error


_FULL = ("OOM", "MISCONF", "command not allowed when used memory")


def _raised(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply
