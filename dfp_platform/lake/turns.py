"""Writers of one machine take turns at a branch, so that none does in vain what another overtakes meanwhile.

A courtesy, not a safeguard: compare-and-swap on the branch's head keeps writes apart, also of other machines. The
turn of a process that dies ends with it.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dfp_platform.lake.durable import locked_file

PATIENCE_SECONDS = 60.0
"""How long a writer waits for its turn before it goes ahead without: whoever has it may be stuck."""

_threads: dict[Path, threading.Lock] = {}
_mine = threading.local()
os.register_at_fork(after_in_child=_threads.clear)  # a thread that is not in the child gives nothing back there


@contextmanager
def turn_at(file: Path, *, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Inside, no other thread or process of this machine has the turn that `file` stands for.

    Unless it lost its patience. Within a turn of the same thread there is nothing to wait for.
    """
    mine = vars(_mine)
    if str(file) in mine:
        yield
        return
    until = time.monotonic() + patience
    lock = _threads.setdefault(file, threading.Lock())
    first = lock.acquire(timeout=patience)  # among threads, who come at once; a file can only be looked at now and then
    try:
        with ExitStack() as held:
            file.parent.mkdir(parents=True, exist_ok=True)
            while not held.enter_context(locked_file(file, wait=False)) and time.monotonic() < until:
                held.close()
                time.sleep(random.uniform(0.002, 0.02))
            mine[str(file)] = True
            yield
    finally:
        mine.pop(str(file), None)
        if first:
            lock.release()
