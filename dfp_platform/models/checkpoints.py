"""Where a training that was killed goes on. Checkpoints are local files, read by the same program only."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dfp_platform.models.configs import Configuration
from dfp_platform.models.data import TrainingData
from dfp_platform.models.parts import Parts

SECONDS_BETWEEN = 10.0
"""Between two checkpoints of a training at least: what a kill may cost. The demo's trainings are over before."""

_KEPT = 30 * 24 * 3600  # seconds after which nobody goes on with a training


@dataclass(slots=True)
class Checkpoint:
    """One training's checkpoint: the last epoch that was kept, in a file of its own."""

    file: Path
    _last: float = field(default_factory=time.monotonic, init=False)

    def due(self) -> bool:
        """Whether enough time has passed since the last, or since the beginning."""
        return time.monotonic() - self._last >= SECONDS_BETWEEN

    def found(self) -> Path | None:
        """The file to go on from; None: begin anew."""
        return self.file if self.file.exists() else None

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A file to write; it becomes the checkpoint whole, or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        yield unfinished
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(self.file)
        self._last = time.monotonic()

    def remove(self) -> None:
        """The training is over."""
        self.file.unlink(missing_ok=True)


def checkpoint_of(home: Path, apps: Parts, configuration: Configuration, libraries: dict[str, str]) -> Checkpoint:
    """The checkpoint of exactly this training beneath `home`: same configuration, apps, libraries; others never fit.

    Checkpoints that nobody has touched for thirty days are removed on the way.
    """
    for old in home.glob("*"):
        if time.time() - old.stat().st_mtime > _KEPT:
            old.unlink(missing_ok=True)
    told = (configuration.to_json(), repr(sorted(libraries.items())).encode())
    return Checkpoint(home / f"{configuration.name}-{fingerprint(told, (apps.training, apps.calibration))}.ckpt")


def fingerprint(told: Iterable[bytes], apps: Iterable[TrainingData]) -> str:
    """Sixteen hex digits that name words and apps: another word, row, label or feature is another name."""
    digest = hashlib.sha256()
    for word in told:
        digest.update(word)
    for part in apps:
        digest.update(repr(part.features).encode())
        digest.update(np.ascontiguousarray(part.matrix).data)
        digest.update(np.ascontiguousarray(part.labels).data)
    return digest.hexdigest()[:16]
