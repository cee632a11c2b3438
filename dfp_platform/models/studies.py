"""Studies: every preset is tuned by the same budget and the same judge, on the past alone.

The judge is a cut in time inside the past: a trial is fitted on its oldest apps, stopped by the next and judged by its
newest, so early stopping and judgement never share an app, and the future stays unseen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from platform import machine
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dfp_platform.errors import CalibrationError, CorruptLakeError, InputError
from dfp_platform.models.card import Slice
from dfp_platform.models.checkpoints import Checkpoint, fingerprint
from dfp_platform.models.configs import Configuration
from dfp_platform.models.data import TrainingData
from dfp_platform.models.metrics import Ranking, average_precision
from dfp_platform.models.parts import SplitData, with_features
from dfp_platform.models.presets import resolve
from dfp_platform.models.records import Record
from dfp_platform.models.search_spaces import Space, Value, no_optuna, space_of, suggest
from dfp_platform.models.training import slice_of, train, versions

if TYPE_CHECKING:
    import pyarrow as pa

FITTED, STOPPED = 0.45, 0.6
"""Shares of the past: the oldest apps up to the first fit a trial, those up to the second stop it, the rest judges it.

Malware comes in waves, so that a short slice may hold none: the usual 80 % of 80 % left none to stop by in the 1,622
real apps of 2019.
"""

_THRESHOLD_RATE = 0.05
"""False positive rate of trials: their thresholds are never used, and a slice of the past is small."""

_DIGITS = 6

Told = Callable[[str, int, float | None], None]
"""Called after each trial with the preset, how many are done and the best value so far."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What each preset may spend.

    Attributes:
        trials: at most.
        seconds: no trial begins later than this after the preset's first; None: however long. A clock decides then,
            so that two studies may differ.
        seeds: trainings a trial; its value is their mean.
    """

    trials: int = 20
    seconds: float | None = None
    seeds: int = 1


class Trial(Record):
    """One training, or one a seed.

    Attributes:
        parameters: what it was told, beside the preset, by dotted key.
        value: average precision on the judging apps; None: it failed.
        reason: why it failed.
    """

    parameters: dict[str, Value]
    value: float | None
    reason: str = ""


class PresetStudy(Record):
    """All trials of one preset.

    Attributes:
        preset: whose space was searched.
        kind: of the model.
        baseline: value of the preset as it is, outside the budget.
        trials: in order; the first is number 0.
        best: number of the best trial; None: none was better than the preset as it is.
        best_value: of that trial, or of the preset.
        ended_by: what ended the search.
        configuration: the best one, whole.
    """

    preset: str
    kind: str
    baseline: float
    trials: tuple[Trial, ...]
    best: int | None
    best_value: float
    ended_by: Literal["trials", "seconds"]
    configuration: dict[str, Any]


class Study(Record):
    """Presets tuned by one budget and ranked by one judge.

    Attributes:
        device: ``real_device`` or ``emulator``.
        synthetic: whether the apps were generated.
        metric: what a value is.
        trials: budget of each preset.
        seconds: time limit of each preset; None: none. With a limit the report depends on the machine.
        seeds: trainings a trial.
        seed: of the sampler and the first training.
        chosen: keys that a person has fixed for all trials.
        slices: ``fitted``, ``stopped`` and ``judged`` apps, all of the past.
        presets: the best first.
        winner: the preset with the best value.
        libraries: versions that took part.
        platform: kind of machine; another kind may give other last bits.
    """

    device: str
    synthetic: bool
    metric: str = "average precision"
    trials: int
    seconds: float | None
    seeds: int
    seed: int
    chosen: dict[str, Value]
    slices: dict[str, Slice]
    presets: tuple[PresetStudy, ...]
    winner: str
    libraries: dict[str, str]
    platform: dict[str, str]


class Tried(Record):
    """What is kept of an unfinished search."""

    trials: tuple[Trial, ...] = ()
    seconds: float = 0.0


def study(
    apps: TrainingData,
    presets: Sequence[str],
    budget: Budget,
    *,
    seed: int,
    chosen: Mapping[str, Value] | None = None,
    synthetic: bool = False,
    unfinished: Path | None = None,
    told: Told | None = None,
) -> Study:
    """Search the space of each preset, by the same budget and the same judge.

    Args:
        apps: of one device, in time order; those of the future are not looked at.
        presets: names of model presets.
        budget: of each of them.
        seed: equal seeds and apps give equal studies, as long as no time limit ends one.
        chosen: keys fixed for all trials; they are not searched.
        synthetic: whether the apps were generated.
        unfinished: folder in which a study that was killed finds the trials it has finished; None: nowhere.
        told: called after each trial.

    Raises:
        ConfigurationError: no such preset or key, nothing to search, or Optuna is not installed.
        CalibrationError, InputError: the apps are too few, or of one label, to fit on or to judge by.
    """
    chosen, libraries = chosen or {}, _libraries()
    judge = judged_past(apps)
    searches = [_Search(judge, preset, budget, chosen, seed, unfinished) for preset in presets]
    done = [search.run(told) for search in searches]
    for search in searches:
        search.forget()
    ranked = tuple(sorted(done, key=lambda one: (-one.best_value, one.preset)))
    return Study(
        device=apps.device,
        synthetic=synthetic,
        trials=budget.trials,
        seconds=budget.seconds,
        seeds=budget.seeds,
        seed=seed,
        chosen=dict(chosen),
        slices={
            "fitted": slice_of(judge.training),
            "stopped": slice_of(judge.calibration),
            "judged": slice_of(judge.test),
        },
        presets=ranked,
        winner=ranked[0].preset,
        libraries=libraries,
        platform={"machine": machine()},
    )


def apps_of(table: pa.Table, chosen: Mapping[str, Value]) -> TrainingData:
    """The apps that choices name (``data=emulator``, ``data.features=sys_*``), in time order.

    Raises:
        ConfigurationError: a choice that cannot be. InputError: as `TrainingData.from_arrow`.
    """
    data = resolve({key: value for key, value in chosen.items() if key.partition(".")[0] == "data"}).data
    return TrainingData.from_arrow(with_features(table, data.features), device=data.device)


def judged_past(apps: TrainingData) -> SplitData:
    """The past of `apps`, cut by time: what trials are fitted on, stopped by and judged with.

    Raises:
        CalibrationError: apps of one label only to fit on or to judge by.
        InputError: there is no past.
    """
    past = apps.take(~apps.future)
    if not len(past):
        raise InputError("no app of the past to study", hint="take a larger source, or cut the time later")
    first, second = int(len(past) * FITTED), int(len(past) * STOPPED)
    judge = SplitData(past.take(slice(0, first)), past.take(slice(first, second)), past.take(slice(second, None)))
    for name, part in (("fit a trial on", judge.training), ("judge a trial by", judge.test)):
        malware = int(part.labels.sum())
        if not 0 < malware < len(part):
            raise CalibrationError(
                f"the {len(part)} apps to {name} bear the same label", hint="take a larger source", apps=len(part)
            )
    return judge


def preset_file(found: Study, one: PresetStudy) -> bytes:
    """The best configuration of a preset as a file for ``presets/model/``: what differs from the fields' defaults."""
    import textwrap

    import yaml

    told, judged = Configuration.model_validate(one.configuration), found.slices["judged"]
    left = {"seed", "accelerator", "false_positive_rate"}
    tree = {
        "model": {"kind": one.kind, **told.model.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})},
        "training": told.training.model_dump(mode="json", exclude_defaults=True, exclude=left),
    }
    said = (
        f"{one.preset} after {len(one.trials)} trials (seed {found.seed}, {found.seeds} training(s) a trial) on past "
        f"apps of the {found.device.replace('_', ' ')}{', generated ones' if found.synthetic else ''}: {found.metric} "
        f"{one.best_value:.3f} instead of {one.baseline:.3f} on the {judged.apps} from {judged.first_date} to "
        f"{judged.last_date}, {judged.malware} of them malware. To use it: presets/model/{one.preset}_tuned.yaml"
    )
    comment = "\n".join(f"# {line}" for line in textwrap.wrap(said, 116))
    text = yaml.safe_dump({group: part for group, part in tree.items() if part}, sort_keys=False)
    return f"{comment}\n{text}".encode()


@dataclass(slots=True)
class _Search:
    """One preset's share of a study."""

    judge: SplitData
    preset: str
    budget: Budget
    chosen: Mapping[str, Value]
    seed: int
    unfinished: Path | None
    space: Space = field(init=False)
    kept: Checkpoint | None = field(init=False)

    def __post_init__(self) -> None:
        self.space = space_of(self.preset, self.chosen)
        self.kept = Checkpoint(self.unfinished / f"study-{self.preset}-{self._key()}.json") if self.unfinished else None

    def configured(self, parameters: Mapping[str, Value]) -> Configuration:
        """The preset with these parameters; a person's choices win."""
        fixed = {"model": self.preset, "data.device": self.judge.device, "split": "time", "training.seed": self.seed}
        return resolve({**parameters, **self.chosen, **fixed})

    def run(self, told: Told | None) -> PresetStudy:
        baseline, tried = self.value(self.configured({})), self.found()
        trials, spent, begin = list(tried.trials[: self.budget.trials]), tried.seconds, time.monotonic()
        limit = self.budget.seconds
        while len(trials) < self.budget.trials:
            passed = spent + time.monotonic() - begin
            if limit is not None and passed >= limit:
                break
            trials.append(self.trial(trials))
            self.keep(Tried(trials=tuple(trials), seconds=round(spent + time.monotonic() - begin, 1)))
            if told:
                told(self.preset, len(trials), max((one.value or 0.0 for one in trials), default=None))
        return self.ended(baseline, trials)

    def trial(self, before: Sequence[Trial]) -> Trial:
        """The next one. One that diverges is part of the search, not the end of it."""
        tried = {number: (one.parameters, one.value) for number, one in enumerate(before)}
        parameters = suggest(self.space, tried, seed=self.seed)
        try:
            return Trial(parameters=parameters, value=self.value(self.configured(parameters)))
        except CalibrationError as error:
            return Trial(parameters=parameters, value=None, reason=error.message)

    def value(self, configuration: Configuration) -> float:
        """Average precision on the judging apps, mean over the seeds."""
        from dfp_platform.models.weights import load_model

        values = []
        seeds = self.budget.seeds if configuration.by_chance else 1
        for seed in range(self.seed, self.seed + seeds):
            training = configuration.training.model_copy(update={"seed": seed, "false_positive_rate": _THRESHOLD_RATE})
            told = configuration.model_copy(update={"training": training})
            model = load_model(train(self.judge, told, progress=False).files)
            scores = model.score(self.judge.test.columns(model.card.features))
            values.append(average_precision(*Ranking.of(self.judge.test.labels, scores).counts()) or 0.0)
        return round(float(np.mean(values)), _DIGITS)

    def ended(self, baseline: float, trials: Sequence[Trial]) -> PresetStudy:
        values = [-1.0 if trial.value is None else trial.value for trial in trials]
        better = bool(values) and max(values) > baseline
        best = int(np.argmax(values)) if better else None
        told = self.configured({} if best is None else trials[best].parameters)
        return PresetStudy(
            preset=self.preset,
            kind=told.model.kind,
            baseline=baseline,
            trials=tuple(trials),
            best=best,
            best_value=baseline if best is None else values[best],
            ended_by="trials" if len(trials) == self.budget.trials else "seconds",
            configuration=told.model_dump(mode="json"),
        )

    def found(self) -> Tried:
        """What a study that was killed has left."""
        if self.kept and (file := self.kept.found()):
            try:
                return Tried.from_json(file.read_bytes())
            except CorruptLakeError:
                self.kept.remove()
        return Tried()

    def keep(self, tried: Tried) -> None:
        if self.kept:
            with self.kept.writing() as file:
                file.write_bytes(tried.to_json())

    def forget(self) -> None:
        if self.kept:
            self.kept.remove()

    def _key(self) -> str:
        """Names all that decides the values of trials, and no more: a larger budget goes on from a smaller one."""
        told = (self.configured({}).to_json(), repr((self.space, self.budget.seeds, _libraries())).encode())
        return fingerprint(told, (self.judge.training, self.judge.calibration, self.judge.test))


def _libraries() -> dict[str, str]:
    from xgboost import __version__ as xgboost_version  # the distribution's name differs: xgboost, xgboost-cpu

    try:
        return versions("lightning", "numpy", "optuna", "torch") | {"xgboost": xgboost_version}
    except PackageNotFoundError as error:
        raise no_optuna() from error
