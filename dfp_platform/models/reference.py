"""The reference: gradient-boosted trees that see the labels."""

from __future__ import annotations

from platform import machine
from typing import Any

from dfp_platform.models.calibration import alarm_threshold
from dfp_platform.models.card import ModelCard, Origin
from dfp_platform.models.configs import Configuration, TreesConfig
from dfp_platform.models.parts import Parts
from dfp_platform.models.training import (
    TrainedModel,
    require_both_labels,
    require_calibration_apps,
    slices_of,
    versions,
)
from dfp_platform.models.weights import ReferenceScorer, reference_files


def train_reference(
    data: Parts, configuration: Configuration, *, origin: Origin | None = None, synthetic: bool = False
) -> TrainedModel:
    """XGBoost on the labelled apps of the same training slice, its threshold calibrated on the same later benign apps.

    Args:
        data: apps of one device, apart by the configured split; the test is not looked at.
        configuration: number and shape of the trees. Where patience ends the training, the best round is its last.
        origin: where the training table came from, for the card.
        synthetic: whether the apps were generated.

    Raises:
        CalibrationError: the training slice lacks one of the labels, or too few benign apps to calibrate by.
    """
    import xgboost

    trees, budget = configuration.model, configuration.training
    assert isinstance(trees, TreesConfig)
    training, later = data.training, data.calibration.benign.matrix
    require_calibration_apps(later, budget.false_positive_rate)
    require_both_labels(training)
    losses: dict[str, dict[str, list[float]]] = {}
    rows = xgboost.QuantileDMatrix(training.matrix, label=training.labels, nthread=trees.threads)
    watched = xgboost.QuantileDMatrix(
        data.calibration.matrix, label=data.calibration.labels, ref=rows, nthread=trees.threads
    )
    booster = xgboost.train(
        _parameters(configuration, trees),
        rows,
        num_boost_round=budget.epochs,
        early_stopping_rounds=budget.patience,
        evals=[(rows, "training"), (watched, "calibration")],
        evals_result=losses,
        verbose_eval=False,
    )
    history = tuple(zip(losses["training"]["logloss"], losses["calibration"]["logloss"], strict=True))
    if len(history) < budget.epochs:
        booster = booster[: booster.best_iteration + 1]
    draft = _card(data, configuration, history, origin=origin, synthetic=synthetic)
    scores = ReferenceScorer(booster, draft).score(later)
    threshold = alarm_threshold(scores, false_positive_rate=budget.false_positive_rate)
    card = draft.model_copy(update={"threshold": threshold})
    return TrainedModel(card, reference_files(booster, card), history)


def _parameters(configuration: Configuration, trees: TreesConfig) -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "eval_metric": "logloss",
        **trees.model_dump(exclude={"kind", "threads"}),
        "eta": configuration.training.learning_rate,
        "nthread": trees.threads,
        "seed": configuration.training.seed,
    }


def _card(
    data: Parts,
    configuration: Configuration,
    history: tuple[tuple[float, float], ...],
    *,
    origin: Origin | None,
    synthetic: bool,
) -> ModelCard:
    from xgboost import __version__ as xgboost_version  # the distribution's name differs: xgboost, xgboost-cpu

    return ModelCard(
        name=configuration.name,
        kind="xgboost",
        device=data.device,
        features=data.features,
        schema_hash=data.schema_hash,
        standardisation="none",
        score="probability of malware",
        threshold=0.0,
        config=configuration.model_dump(mode="json"),
        slices=slices_of(data, training=data.training),
        figures={"rounds": float(len(history)), "training_loss": history[-1][0], "calibration_loss": history[-1][1]},
        libraries=versions("numpy") | {"xgboost": xgboost_version},
        platform={"machine": machine(), "threads": str(configuration.model_dump()["model"]["threads"])},
        synthetic=synthetic,
        origin=origin or Origin(),
    )
