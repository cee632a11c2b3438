"""Where a training that was killed goes on. Checkpoints are local files, read by the same program only."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dfp_platform.models.configs import Configuration
from dfp_platform.models.parts import Parts

_FILE = "last.ckpt"
_KEPT = 30 * 24 * 3600  # seconds after which nobody goes on with a training


@dataclass(slots=True)
class Checkpoint:
    """One training's checkpoint: the last epoch that was kept.

    Attributes:
        folder: of this training alone.
        interval: seconds between two that are kept; 0: every epoch.
    """

    folder: Path
    interval: float = 10.0
    _last: float = field(default_factory=time.monotonic, init=False)

    def due(self) -> bool:
        """Whether enough time has passed since the last, or since the beginning."""
        return time.monotonic() - self._last >= self.interval

    def found(self) -> Path | None:
        """The file to go on from; None: begin anew."""
        file = self.folder / _FILE
        return file if file.exists() else None

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A file to write; it becomes the checkpoint whole, or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f".{_FILE}.{os.getpid()}"
        yield unfinished
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(self.folder / _FILE)
        self._last = time.monotonic()

    def remove(self) -> None:
        """The training is over."""
        shutil.rmtree(self.folder, ignore_errors=True)


def checkpoint_of(home: Path, apps: Parts, configuration: Configuration, libraries: dict[str, str]) -> Checkpoint:
    """The checkpoint of exactly this training beneath `home`: same configuration, apps, libraries; others never fit.

    Checkpoints that nobody has touched for thirty days are removed on the way.
    """
    for old in home.glob("*"):
        if time.time() - old.stat().st_mtime > _KEPT:
            shutil.rmtree(old, ignore_errors=True)
    digest = hashlib.sha256(configuration.to_json())
    digest.update(repr((sorted(libraries.items()), apps.features)).encode())
    for part in (apps.training, apps.calibration):
        digest.update(part.matrix.tobytes())
        digest.update(part.labels.tobytes())
    return Checkpoint(home / f"{configuration.name}-{digest.hexdigest()[:16]}")
