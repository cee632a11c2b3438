"""A process that brings logged predictions into the lake, so that whoever answers only appends to a file.

Making parquet takes a core for moments, and in the process that answers it would take the interpreter from the answers.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Seconds between two looks whether the process still lives."""

NICENESS = 10
"""Answers go first."""


class Shipper:
    """The process, started again if it dies. It ends when whoever started it does, however that ends."""

    def __init__(self, lake_uri: str, spool: Path) -> None:
        """Start it.

        Args:
            lake_uri: the lake that predictions are brought into.
            spool: folder of the files of this machine.
        """
        self._command = [sys.executable, "-m", "dfp_platform.serving.shipping", lake_uri, str(spool)]
        self._stop = threading.Event()
        self._process = self._started()
        self._thread = threading.Thread(target=self._watch, name="prediction-shipper", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int:
        """Of the process that ships now."""
        return self._process.pid

    def close(self, *, patience: float = 30.0) -> None:
        """Let it bring what lies there into the lake and end; after `patience` seconds it is ended."""
        self._stop.set()
        self._thread.join()
        self._hang_up()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            logger.warning("predictions wait in the spool: the process that ships them did not end in time")
            self._process.kill()
            self._process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)  # ctrl-c is not for it

    def _hang_up(self) -> None:
        """Close the pipe: a process that lives ends by that."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            if self._process.poll() is not None:
                logger.warning(
                    "the process that ships predictions ended (%s); another starts", self._process.returncode
                )
                self._hang_up()
                try:
                    self._process = self._started()
                except OSError as error:  # no memory just now; the spool keeps what comes
                    logger.warning("it cannot be started, and is tried again: %s", error)


def ship(lake_uri: str, spool: Path) -> None:
    """Bring files of a spool into the lake until standard input ends: when the process at its other end does."""
    from dfp_platform.lake import open_lake
    from dfp_platform.serving.prediction_log import PredictionLog

    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    log = PredictionLog(open_lake(lake_uri), spool=spool, seconds=1.0)
    sys.stdin.buffer.read()
    log.close(patience=25.0)


if __name__ == "__main__":
    ship(sys.argv[1], Path(sys.argv[2]))
