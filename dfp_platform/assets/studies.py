"""models/study: presets tuned by one budget. Beyond the main line: made where it is asked for."""

import sys
import time
from collections.abc import Mapping

import dagster as dg
import pyarrow as pa
from pydantic import Field

from dfp_platform.assets.choices import STUDY
from dfp_platform.assets.models import TRAINING, origin_of
from dfp_platform.assets.plots import study_plots
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings

PRESETS = ("xgboost", "detector", "ae_small", "vae")
"""What a study tunes unless it is told otherwise."""

SECONDS_BETWEEN = 10.0
"""Between two lines of progress."""


class StudyConfig(dg.Config):
    """What a study is told."""

    presets: list[str] = Field(list(PRESETS), min_length=1, description="model presets, each tuned by the same budget")
    trials: int = Field(20, ge=1, description="trials of each preset")
    seconds: float | None = Field(
        None, gt=0, description="no trial begins later than this after its preset's first; a clock decides then"
    )
    seeds: int = Field(1, ge=1, description="trainings a trial; its value is their mean")
    seed: int = Field(7, ge=0, description="seed of the sampler and of each trial's first training")
    choices: dict[str, str] = Field({}, description="keys fixed for all trials: data, data.features, training.epochs")


@dg.asset(
    key=STUDY.split("/"),
    ins=TRAINING,
    io_manager_key="report",
    group_name="studies",
    code_version="1",
    kinds={"python"},
)
def study(
    context: dg.AssetExecutionContext,
    config: StudyConfig,
    lake: LakeResource,
    dataset: pa.Table,
    places: pa.Table,
) -> Mapping[str, bytes]:
    """The best configuration that each preset finds within one budget, judged on the newest apps of the past."""
    from dfp_platform.models import studies
    from dfp_platform.models.data import placed
    from dfp_platform.reports.study_page import render_study, verdict

    apps = studies.apps_of(placed(dataset, places), config.choices)
    telling = Telling(config.trials)
    found = studies.study(
        apps,
        config.presets,
        studies.Budget(trials=config.trials, seconds=config.seconds, seeds=config.seeds),
        seed=config.seed,
        chosen=config.choices,
        synthetic=origin_of(lake, apps.device)[1],
        unfinished=settings().home / "checkpoints",
        told=telling,
    )
    told = found.model_dump(mode="json")
    files = {one.preset: studies.preset_file(found, one) for one in found.presets}
    context.add_output_metadata(study_plots(told))
    context.add_output_metadata({"verdict": verdict(told), **telling.seconds_by_preset})
    context.add_output_metadata({f"{one.preset} best": one.best_value for one in found.presets})
    page = render_study(told, {preset: file.decode() for preset, file in files.items()})
    presets = {f"presets/{preset}_tuned.yaml": file for preset, file in files.items()}
    return {"report.json": found.to_json(), "index.html": page, **presets}


class Telling:
    """Progress on stderr: a line when a preset's trials are done, and before no more often than every ten seconds."""

    def __init__(self, trials: int) -> None:
        self.seconds_by_preset: dict[str, float] = {}
        self._trials, self._begin, self._last = trials, time.monotonic(), 0.0

    def __call__(self, preset: str, done: int, best: float | None) -> None:
        now = time.monotonic()
        before = sum(spent for name, spent in self.seconds_by_preset.items() if name != f"{preset} (s)")
        self.seconds_by_preset[f"{preset} (s)"] = round(now - self._begin - before, 1)
        if done == self._trials or now - self._last >= SECONDS_BETWEEN:
            reached = "all failed" if best is None else f"best {best:.3f}"
            sys.stderr.write(f"    {preset}: trial {done} of {self._trials}, {reached}\n")
            self._last = now


beyond = [study]
"""Made where a person asks for it."""
