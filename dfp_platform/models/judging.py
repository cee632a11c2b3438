"""Every model that stands on a branch, judged: trained again by other seeds, device by device, what is known kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.errors import CalibrationError
from dfp_platform.models.card import ModelCard
from dfp_platform.models.configs import Configuration
from dfp_platform.models.evaluation import RESAMPLES, EvaluationReport, assembled, evaluate_model
from dfp_platform.models.parts import Parts, parts, unseen
from dfp_platform.models.training import train
from dfp_platform.models.weights import Scorer, load_model

if TYPE_CHECKING:
    import pyarrow as pa

SEEDS = 5
"""Trainings a model is judged by, unless somebody says otherwise."""

_VERSION = "1"
"""Another one judges again what was judged: raise it when equal inputs give another record."""


def judge_models(
    models: Mapping[str, Mapping[str, bytes]],
    table: pa.Table,
    *,
    seed: int,
    seeds: int = SEEDS,
    resamples: int = RESAMPLES,
    known: EvaluationReport | None = None,
    checkpoints: Path | None = None,
    progress: Callable[[str], None] = lambda sentence: None,
) -> EvaluationReport:
    """All models, each on newer apps of its own device.

    Args:
        models: name → files of a published model. Those split by time share one test; one that was split by hash is
            asked about those of these apps that it has not seen, and takes nothing away from the others.
        table: apps of the training table, each `placed` in time.
        seed: of the resamples.
        seeds: how many trainings each model is judged by: the published one, and others by the seeds that follow its.
            A training that leaves nothing to chance is judged alone.
        known: an earlier report; what it says of a model is kept where nothing has changed that decides it.
        checkpoints: where trainings that were killed go on, see `train`.
        progress: called with a sentence before each training.

    Raises:
        InputError: the table is none of apps, see `parts.parts`.
    """
    loaded = {name: load_model(files) for name, files in models.items()}
    left_out = {name: reason for name, model in loaded.items() if (reason := _unfit(model.card, table))}
    loaded = {name: model for name, model in loaded.items() if name not in left_out}
    devices = []
    for device in sorted({model.card.device for model in loaded.values()}):
        names = sorted(name for name, model in loaded.items() if model.card.device == device)
        future, judged = unseen(table, [], device=device), []
        for name in names:
            configuration = loaded[name].card.configuration
            apps = future if configuration.split.by == "time" else unseen(table, [configuration], device=device)
            if not len(apps.test):
                left_out[name] = "it has seen every app of the test"
                continue
            told = f"{_VERSION} {seed} {seeds} {resamples} {_digest_of_apps(apps)}"
            identity = _identity(models[name], told)
            found = known.models.get(name) if known else None
            if found is None or found.identity != identity:
                trained, failed = _trained(loaded[name], table, seeds, checkpoints, progress)
                progress(f"judging {name} on {len(apps.test)} newer apps of the {device.replace('_', ' ')}")
                fresh = evaluate_model(name, trained, apps, seed=seed, resamples=resamples, identity=identity)
                found = fresh.model_copy(update={"failed_seeds": failed})
            judged.append(found)
        synthetic = any(loaded[name].card.synthetic for name in names)
        devices.append(assembled(judged, future, synthetic=synthetic, seed=seed, resamples=resamples))
    return EvaluationReport(devices=tuple(devices), left_out=left_out)


def with_seed(configuration: Configuration, seed: int) -> Configuration:
    """The same training by another seed."""
    return configuration.model_copy(update={"training": configuration.training.model_copy(update={"seed": seed})})


def _unfit(card: ModelCard, table: pa.Table) -> str:
    """Why a model of an earlier table cannot be judged by this one; empty: it can."""
    import pyarrow.compute as pc

    missing = sorted(set(card.features) - set(table.column_names))
    if missing:
        return f"it wants the feature {missing[0]}, which these apps have not"
    future = table.filter((pc.field("device") == card.device) & (pc.field("time_split") == "future"))
    if not future.num_rows:
        return f"there is no app of the {card.device.replace('_', ' ')} to test it by"
    first = min(future["highest_date"].drop_null().to_pylist(), default=None)
    last = card.slices["calibration"].last_date
    if card.configuration.split.by == "time" and first and last and last > first:
        return f"it has seen apps until {last}; the test begins on {first}"
    return ""


def _trained(
    published: Scorer, table: pa.Table, seeds: int, checkpoints: Path | None, progress: Callable[[str], None]
) -> tuple[list[Scorer], tuple[int, ...]]:
    """The published model and those of other seeds; and the seeds whose training failed."""
    card = published.card
    configuration, scorers, failed = card.configuration, [published], []
    first = configuration.training.seed
    others = range(first + 1, first + seeds) if configuration.by_chance else range(0)
    apps = parts(table, configuration.data, configuration.split) if others else None
    for seed in others:
        assert apps is not None
        progress(f"training {card.name} by seed {seed}")
        try:
            made = train(
                apps, with_seed(configuration, seed), synthetic=card.synthetic, progress=False, checkpoints=checkpoints
            )
        except CalibrationError as error:
            progress(f"{card.name} by seed {seed} failed: {error.message}")
            failed.append(seed)
        else:
            scorers.append(load_model(made.files))
    return scorers, tuple(failed)


def _identity(files: Mapping[str, bytes], told: str) -> str:
    digest = hashlib.sha256(told.encode())
    for name, data in sorted(files.items()):
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.hexdigest()


def _digest_of_apps(apps: Parts) -> str:
    digest = hashlib.sha256(repr(apps.features).encode())
    for part in (apps.training, apps.calibration, apps.test):
        for array in (part.matrix, part.labels, part.dates.astype("int64")):
            digest.update(array.tobytes())
        digest.update("\n".join([*part.ids, *part.packages, *part.families]).encode())
    return digest.hexdigest()
