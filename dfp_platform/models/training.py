"""Trainings: a slice of apps in, a model's files and its figures out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import machine

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import CalibrationError
from dfp_platform.models.calibration import alarm_threshold
from dfp_platform.models.card import ModelCard, Origin, Slice
from dfp_platform.models.configs import Configuration, NetworkConfig
from dfp_platform.models.data import TrainingData
from dfp_platform.models.parts import Parts
from dfp_platform.models.weights import NetworkScorer, network_files


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


def train(
    apps: Parts,
    configuration: Configuration,
    *,
    origin: Origin | None = None,
    synthetic: bool = False,
    progress: bool = True,
    checkpoints: Path | None = None,
) -> TrainedModel:
    """The configured model, fitted on the training apps, its threshold calibrated on later benign apps.

    Args:
        apps: of one device, apart by the configured split; the test is not looked at.
        configuration: everything the training is told.
        origin: where the training table came from, for the card.
        synthetic: whether the apps were generated.
        progress: whether to show a bar.
        checkpoints: folder in which a training of a network that was killed finds where to go on; None: nowhere.

    Raises:
        CalibrationError: too few apps to fit on or to calibrate by, one label only where both are needed, or the
            training diverged.
        ConfigurationError: a GPU is asked for and there is none.
    """
    if not isinstance(configuration.model, NetworkConfig):
        from dfp_platform.models.reference import train_reference

        return train_reference(apps, configuration, origin=origin, synthetic=synthetic)
    return train_network(
        apps, configuration, origin=origin, synthetic=synthetic, progress=progress, checkpoints=checkpoints
    )


def train_network(
    apps: Parts,
    configuration: Configuration,
    *,
    origin: Origin | None = None,
    synthetic: bool = False,
    progress: bool = True,
    checkpoints: Path | None = None,
) -> TrainedModel:
    """A network and its card; arguments and errors as `train`."""
    from dfp_platform.models.checkpoints import checkpoint_of
    from dfp_platform.models.lightning_training import accelerator, fit_network
    from dfp_platform.models.networks import NETWORKS

    later, rate = apps.calibration.benign.matrix, configuration.training.false_positive_rate
    require_calibration_apps(later, rate)
    if NETWORKS[configuration.model.kind].sees_labels:
        require_both_labels(apps.training)
    libraries = versions("torch", "lightning", "numpy", "safetensors")
    checkpoint = checkpoint_of(checkpoints, apps, configuration, libraries) if checkpoints else None
    network, history = fit_network(apps, configuration, checkpoint=checkpoint, progress=progress)
    draft = _card(apps, configuration, history, accelerator(configuration.training.accelerator), libraries)
    draft = draft.model_copy(update={"synthetic": synthetic, "origin": origin or Origin()})
    scorer = NetworkScorer(network, draft)
    usual_error = alarm_threshold(scorer.answer(later).known_errors, false_positive_rate=rate)
    network.usual_error.fill_(usual_error)
    threshold = alarm_threshold(scorer.score(later), false_positive_rate=rate)
    figures = {**draft.figures, "usual_error": usual_error}
    card = draft.model_copy(update={"threshold": threshold, "figures": figures})
    if checkpoint:
        checkpoint.remove()
    return TrainedModel(card, network_files(network, card), tuple(history))


SCORES = {
    "autoencoder": "reconstruction error e as e / (e + u); u is the largest error that is usual among benign apps",
    "vae": "reconstruction error e of the mean code as e / (e + u); u is the largest error usual among benign apps",
    "detector": "probability of malware",
}
"""What the score of each kind of network means."""


def _card(
    apps: Parts,
    configuration: Configuration,
    history: list[tuple[float, float]],
    device: str,
    libraries: dict[str, str],
) -> ModelCard:
    from dfp_platform.models.networks import NETWORKS

    losses, model = np.array(history), configuration.model
    assert isinstance(model, NetworkConfig)
    fitted = apps.training if NETWORKS[model.kind].sees_labels else apps.training.benign
    return ModelCard(
        name=configuration.name,
        kind=model.kind,
        device=apps.device,
        features=apps.features,
        schema_hash=apps.schema_hash,
        standardisation=f"clip((log(1 + max(x, 0)) - mean) / scale, ±{model.clip:g}), benign training apps; "
        f"mean and scale (at least {model.scale_floor:g}) lie with the weights",
        score=SCORES[model.kind],
        threshold=0.0,
        config=configuration.model_dump(mode="json"),
        slices=slices_of(apps, training=fitted),
        figures={
            "epochs": float(len(losses)),
            "best_epoch": float(losses[:, 1].argmin() + 1),
            "training_loss": float(losses[losses[:, 1].argmin(), 0]),
            "calibration_loss": float(losses[:, 1].min()),
        },
        libraries=libraries,
        platform={"machine": machine(), "cpu_capability": cpu_capability(), "threads": "1", "device": device},
    )


def require_both_labels(training: TrainingData) -> None:
    """Refuse to learn labels of which there is one. Raises CalibrationError."""
    if len(np.unique(training.labels)) < 2:
        raise CalibrationError(
            f"all {len(training)} training apps bear the same label", hint="take a larger source", apps=len(training)
        )


def slices_of(data: Parts, *, training: TrainingData) -> dict[str, Slice]:
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
