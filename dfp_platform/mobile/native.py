"""What native libraries print."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_native_output() -> Iterator[None]:
    """Keep what C++ libraries print from both streams: how they look at the processor, their progress to themselves."""
    streams = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with open(os.devnull, "wb") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
    try:
        yield
    finally:
        for stream in streams:
            stream.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without the words of converters and runtimes about themselves: logs, warnings, what their native halves print."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), without_native_output():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
