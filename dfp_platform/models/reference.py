"""The reference: gradient-boosted trees that see the labels."""

from __future__ import annotations

from platform import machine
from typing import Any

import numpy as np

from dfp_platform.errors import CalibrationError
from dfp_platform.models.calibration import alarm_threshold
from dfp_platform.models.card import ModelCard, Origin
from dfp_platform.models.configs import ReferenceConfig
from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import TrainedModel, require_calibration_apps, slices_of, versions
from dfp_platform.models.weights import ReferenceScorer, reference_files


def train_reference(
    data: TrainingData,
    *,
    config: ReferenceConfig | None = None,
    origin: Origin | None = None,
    synthetic: bool = False,
) -> TrainedModel:
    """XGBoost on the labelled apps of the same training slice, its threshold calibrated on the same later benign apps.

    Args:
        data: all apps of one device; the test slice is not looked at.
        config: number and shape of the trees.
        origin: where the training table came from, for the card.
        synthetic: whether the apps were generated.

    Raises:
        CalibrationError: the training slice lacks one of the labels, or too few benign apps to calibrate by.
    """
    import xgboost

    config = config or ReferenceConfig()
    training, later = data.training, data.calibration.benign.matrix
    require_calibration_apps(later, config.false_positive_rate)
    if len(np.unique(training.labels)) < 2:
        raise CalibrationError(
            f"all {len(training)} training apps bear the same label", hint="take a larger source", apps=len(training)
        )
    losses: dict[str, dict[str, list[float]]] = {}
    rows = xgboost.QuantileDMatrix(training.matrix, label=training.labels, nthread=config.threads)
    watched = xgboost.QuantileDMatrix(
        data.calibration.matrix, label=data.calibration.labels, ref=rows, nthread=config.threads
    )
    booster = xgboost.train(
        _parameters(config),
        rows,
        num_boost_round=config.rounds,
        evals=[(rows, "training"), (watched, "calibration")],
        evals_result=losses,
        verbose_eval=False,
    )
    history = tuple(zip(losses["training"]["logloss"], losses["calibration"]["logloss"], strict=True))
    draft = _card(data, config, history, origin=origin, synthetic=synthetic)
    scores = ReferenceScorer(booster, draft).score(later)
    threshold = alarm_threshold(scores, false_positive_rate=config.false_positive_rate)
    card = draft.model_copy(update={"threshold": threshold})
    return TrainedModel(card, reference_files(booster, card), history)


def _parameters(config: ReferenceConfig) -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "eval_metric": "logloss",
        "max_depth": config.max_depth,
        "eta": config.learning_rate,
        "nthread": config.threads,
        "seed": config.seed,
    }


def _card(
    data: TrainingData,
    config: ReferenceConfig,
    history: tuple[tuple[float, float], ...],
    *,
    origin: Origin | None,
    synthetic: bool,
) -> ModelCard:
    from xgboost import __version__ as xgboost_version  # the distribution's name differs: xgboost, xgboost-cpu

    return ModelCard(
        name="xgboost",
        kind="xgboost",
        device=data.device,
        features=data.features,
        schema_hash=data.schema_hash,
        standardisation="none",
        score="probability of malware",
        threshold=0.0,
        config=config.model_dump(mode="json"),
        slices=slices_of(data, training=data.training),
        figures={"rounds": float(len(history)), "training_loss": history[-1][0], "calibration_loss": history[-1][1]},
        libraries=versions("numpy") | {"xgboost": xgboost_version},
        platform={"machine": machine(), "threads": str(config.threads)},
        synthetic=synthetic,
        origin=origin or Origin(),
    )
