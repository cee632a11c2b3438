"""Presets tuned by one budget on the real apps of 2019, then judged beside the untuned ones on the unseen future.

The study looks at the past alone. Afterwards each preset, as it is and as tuned, is trained by the usual split with
`--judges` seeds and scored on the test. `--write FOLDER` keeps the study's report and a preset file for each.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from dfp_platform.models.configs import Configuration
from dfp_platform.models.data import TrainingData
from dfp_platform.models.metrics import Ranking, average_precision, roc_auc
from dfp_platform.models.presets import resolve
from dfp_platform.models.studies import Budget, preset_file, study
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from tests.apps import real_table


def on_the_test(apps: TrainingData, told: Configuration, seeds: range) -> np.ndarray:
    """ROC-AUC and average precision on the test, shape ``(seeds, 2)``."""
    figures = []
    for seed in seeds:
        seeded = told.model_copy(update={"training": told.training.model_copy(update={"seed": seed})})
        counts = Ranking.of(
            apps.test.labels, load_model(train(apps, seeded, progress=False).files).score(apps.test.matrix)
        ).counts()
        figures.append((roc_auc(*counts), average_precision(*counts)))
    return np.array(figures, dtype=float)


def told_of(name: str, figures: np.ndarray) -> str:
    """One row: mean and range over seeds."""
    parts = (f"{column.mean():.3f} ({column.min():.3f}-{column.max():.3f})" for column in figures.T)
    return f"| {name} | " + " | ".join(parts) + " |"


def main() -> int:
    """Search, then print both tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--models", default="xgboost,detector,ae_small,vae")
    options.add_argument("--trials", type=int, default=30)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--judges", type=int, default=5)
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    apps = TrainingData.from_arrow(real_table())
    budget, begin = Budget(trials=chosen.trials, seeds=chosen.seeds), time.perf_counter()
    found = study(
        apps,
        chosen.models.split(","),
        budget,
        seed=chosen.seed,
        chosen={"training.accelerator": "cpu"},
        unfinished=chosen.write,
        told=lambda preset, done, best: print(
            f"{preset} {done}/{budget.trials} best {best:.4f} {time.perf_counter() - begin:.0f} s", file=sys.stderr
        ),
    )
    print(f"{time.perf_counter() - begin:.0f} s; judged by {found.slices['judged']}")
    for one in found.presets:
        print(f"| {one.preset} | {one.baseline:.3f} | {one.best_value:.3f} | {one.best} |")
        if chosen.write:
            (chosen.write / f"{one.preset}_tuned.yaml").write_bytes(preset_file(found, one))
    if chosen.write:
        (chosen.write / "report.json").write_bytes(found.to_json())
    for one in found.presets:
        for name, told in (
            (one.preset, resolve({"model": one.preset})),
            (f"{one.preset}, tuned", Configuration.model_validate(one.configuration)),
        ):
            print(told_of(name, on_the_test(apps, told, range(chosen.seed, chosen.seed + chosen.judges))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
