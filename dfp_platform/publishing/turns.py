"""Runs of one machine publish to a target one after another, so that none merges in vain what another moves meanwhile.

A courtesy, not a safeguard: compare-and-swap on the target's head keeps publications apart, also of other machines.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dfp_platform.lake.durable import locked_file

PATIENCE_SECONDS = 60.0
"""How long a run waits for its turn before it goes ahead without: whoever has it may be stuck."""


@contextmanager
def turn_to_publish(folder: Path, target: str, *, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Inside, no other run of this machine publishes to `target`, unless it lost its patience."""
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    with ExitStack() as held:
        while not held.enter_context(locked_file(folder / f"{target}.lock", wait=False)):
            held.close()
            if time.monotonic() >= until:
                break
            time.sleep(random.uniform(0.005, 0.03))
        yield
