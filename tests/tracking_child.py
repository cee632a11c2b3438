"""A process that dies by SIGKILL between the beginning and the end of its MLflow run: `<uri> <home> <Dagster run>`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from dfp_platform.models.data import TrainingData
from dfp_platform.models.tracking import DAGSTER_RUN, track_training
from dfp_platform.models.training import train
from tests.apps import tiny_table
from tests.configured import tiny


class Deadly(Mapping[str, float]):
    """Figures that kill whoever looks at them."""

    def __getitem__(self, name: str) -> float:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        os.kill(os.getpid(), signal.SIGKILL)
        return iter(())

    def __len__(self) -> int:
        return 1


if __name__ == "__main__":
    uri, home, run = sys.argv[1:]
    trained = train(TrainingData.from_arrow(tiny_table()), tiny("xgboost", "training.epochs=2"))
    track_training(
        trained,
        uri=uri,
        artifacts=Path(home) / "artifacts",
        key=f"{run}/xgboost",
        tags={DAGSTER_RUN: run},
        metrics=Deadly(),
    )
