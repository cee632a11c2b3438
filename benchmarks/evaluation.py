"""What judging a model over time costs on all public apps of one device: CPU and wall seconds, and the peak of memory.

The apps are generated (the sample), the model is XGBoost as preset, the resamples are the evaluation's own, spread over
as many seeds as `--seeds` says; training is not counted. There is no limit to hold; figures go into docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

from dfp_platform.models.evaluation import RESAMPLES, evaluate_model
from dfp_platform.models.parts import parts
from dfp_platform.models.presets import resolve
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from tests.apps import sample_table


def main() -> None:
    """Train, judge, print what that took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=78_137)
    options.add_argument("--seeds", type=int, default=5)
    told = options.parse_args()
    configuration = resolve({"model": "xgboost", "training.epochs": 50})
    apps = parts(sample_table(told.rows), configuration.data, configuration.split)
    model = load_model(train(apps, configuration, synthetic=True, progress=False).files)
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall, cpu = time.perf_counter(), time.process_time()
    judged = evaluate_model("xgboost", [model] * told.seeds, apps, seed=7)
    after = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "rows": told.rows,
        "test apps": judged.overall.apps,
        "months": judged.over_months.periods,
        "seeds": told.seeds,
        "resamples": RESAMPLES,
        "wall_s": round(time.perf_counter() - wall, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_before_mb": round(before.ru_maxrss / 1e3),
        "peak_mb": round(after.ru_maxrss / 1e3),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
