"""Trainings: a slice of apps in, a model's files and its figures out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from platform import machine

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.calibration import alarm_threshold
from dfp_platform.models.card import ModelCard, Origin, Slice
from dfp_platform.models.configs import AutoencoderConfig
from dfp_platform.models.data import TrainingData
from dfp_platform.models.weights import AutoencoderScorer, autoencoder_files


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a training leaves behind.

    Attributes:
        card: the model's card, also among `files`.
        files: name → bytes, equal for equal trainings; read back by `weights.load_model`.
        history: per epoch (or boosting round) the training and the calibration loss.
    """

    card: ModelCard
    files: dict[str, bytes]
    history: tuple[tuple[float, float], ...]


def train_autoencoder(
    data: TrainingData,
    *,
    config: AutoencoderConfig | None = None,
    origin: Origin | None = None,
    synthetic: bool = False,
    progress: bool = True,
) -> TrainedModel:
    """A one-class autoencoder of the benign apps in the training slice, its threshold calibrated on later benign apps.

    Args:
        data: all apps of one device; the test slice is not looked at.
        config: widths and schedule.
        origin: where the training table came from, for the card.
        synthetic: whether the apps were generated.
        progress: whether to show a bar.

    Raises:
        CalibrationError: too few benign apps to fit on or to calibrate by, or the training diverged.
    """
    from dfp_platform.models.lightning_training import fit_autoencoder

    config = config or AutoencoderConfig()
    later = data.calibration.benign.matrix
    require_calibration_apps(later, config.false_positive_rate)
    network, history = fit_autoencoder(data.training.benign.matrix, later, config=config, progress=progress)
    losses = np.array(history)
    draft = ModelCard(
        name="autoencoder",
        kind="autoencoder",
        device=data.device,
        features=data.features,
        schema_hash=data.schema_hash,
        standardisation=f"clip((log(1 + max(x, 0)) - mean) / scale, ±{config.clip:g}), benign training apps; "
        f"mean and scale (at least {config.scale_floor:g}) lie with the weights",
        score="mean squared reconstruction error over standardised features",
        threshold=0.0,
        config=config.model_dump(mode="json"),
        slices=slices_of(data, training=data.training.benign),
        figures={
            "epochs": float(len(losses)),
            "best_epoch": float(losses[:, 1].argmin() + 1),
            "training_loss": float(losses[losses[:, 1].argmin(), 0]),
            "calibration_loss": float(losses[:, 1].min()),
        },
        libraries=versions("torch", "lightning", "numpy", "safetensors"),
        platform={"machine": machine(), "cpu_capability": cpu_capability(), "threads": "1"},
        synthetic=synthetic,
        origin=origin or Origin(),
    )
    threshold = alarm_threshold(
        AutoencoderScorer(network, draft).score(later), false_positive_rate=config.false_positive_rate
    )
    card = draft.model_copy(update={"threshold": threshold})
    return TrainedModel(card, autoencoder_files(network, card), tuple(history))


def slices_of(data: TrainingData, *, training: TrainingData) -> dict[str, Slice]:
    """The card's description of what was fitted on (`training`), calibrated on (benign) and left for the test."""
    return {
        "training": slice_of(training),
        "calibration": slice_of(data.calibration.benign),
        "test": slice_of(data.test),
    }


def slice_of(data: TrainingData) -> Slice:
    """Size and bounds of these apps."""
    if not len(data):
        return Slice(apps=0, malware=0, first_date=None, last_date=None, first_rank=None, last_rank=None)
    return Slice(
        apps=len(data),
        malware=int(data.labels.sum()),
        first_date=data.dates.min().item(),
        last_date=data.dates.max().item(),
        first_rank=int(data.time_rank[0]),
        last_rank=int(data.time_rank[-1]),
    )


def versions(*names: str) -> dict[str, str]:
    """Installed versions of these distributions, without their build tags (`2.14.1`, not `2.14.1+cpu`)."""
    return {name: version(name).partition("+")[0] for name in sorted(names)}


def cpu_capability() -> str:
    """Widest vector instructions PyTorch's kernels use here, ``AVX2``; sums may differ in the last bit between them."""
    import torch

    return torch.backends.cpu.get_cpu_capability()


def require_calibration_apps(benign: NDArray[np.float32], false_positive_rate: float) -> None:
    """Refuse before minutes of training what the calibration would refuse after them.

    Raises:
        CalibrationError: fewer rows than ``1 / false_positive_rate``.
    """
    alarm_threshold(np.zeros(len(benign), dtype=np.float32), false_positive_rate=false_positive_rate)
