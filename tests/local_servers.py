"""Servers of this machine in tests: a port for each, and waiting until what they do has come about."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds that anything is waited for. It says nothing of speed: a machine may be busy with much else."""

_PORTS = range(15_000, 32_000)
"""Below those that systems give to whoever asks for any, so that none of these is taken meanwhile."""

_CHOICE = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens, for a server that is started soon, or again."""
    while True:
        port = _CHOICE.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(
    found: Callable[[], T | None],
    *,
    ignore: tuple[type[Exception], ...] = (),
    seconds: float = PATIENCE,
    said: Callable[[], str] = lambda: "it did not come about",
) -> T:
    """What is found at last, asked for again and again, and less often the longer it takes.

    Args:
        found: whose true answer ends the wait; it may itself assert that there is still something to wait for.
        ignore: what `found` may raise meanwhile.
        seconds: how long at most.
        said: what to say of a wait in vain, as a log.

    Raises:
        AssertionError: nothing was found in that time.
    """
    end, pause = time.monotonic() + seconds, 0.02
    while True:
        with suppress(*ignore):
            if answer := found():
                return answer
        assert time.monotonic() < end, said()
        time.sleep(pause)
        pause = min(1.2 * pause, 0.5)
