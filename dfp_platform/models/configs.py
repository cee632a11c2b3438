"""What a training may be told: one tree. Every key takes part in the weights' identity and stands in the model's card.

Presets that fill it, and overrides, are in `presets`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from dfp_platform.models.records import Record
from dfp_platform.schemas import FEATURE_PREFIXES, LEAKING_COLUMNS


def _several(value: Any) -> Any:
    """A list as a command line writes it (``512,256``), and a single value as a list of one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int) else value


Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_several)]
Names = Annotated[tuple[str, ...], BeforeValidator(_several)]


class NetworkConfig(Record):
    """What every network has: a symmetric encoder and decoder around a bottleneck."""

    hidden: Widths = Field((128,), min_length=1, description="units of the encoder's layers; the decoder mirrors them")
    latent: int = Field(16, ge=1, description="units of the bottleneck")
    scale_floor: float = Field(
        0.1, gt=0, description="smallest standard deviation a feature is divided by (log counts)"
    )
    clip: float = Field(5.0, gt=0, description="standardised values are held within ± this")


class AutoencoderConfig(NetworkConfig):
    """Learns to reproduce benign apps."""

    kind: Literal["autoencoder"] = "autoencoder"


class VaeConfig(NetworkConfig):
    """Learns to reproduce benign apps from a distribution of codes."""

    kind: Literal["vae"] = "vae"
    kl_weight: float = Field(
        0.001, ge=0, description="weight of the divergence from a standard normal code, per feature's squared error"
    )
    kl_warm_up: int = Field(10, ge=0, description="epochs over which that weight grows from 0")


class DetectorConfig(NetworkConfig):
    """Learns to tell malware from benign apps, and to reproduce both."""

    kind: Literal["detector"] = "detector"
    hidden: Widths = Field((64,), min_length=1, description="units of the encoder's layers; the decoder mirrors them")
    reconstruction_weight: float = Field(
        0.1, ge=0, description="weight of the squared error beside the cross-entropy of the labels"
    )


class TreesConfig(Record):
    """Gradient-boosted trees that see the labels: what a neural detector is judged against."""

    kind: Literal["xgboost"] = "xgboost"
    max_depth: int = Field(6, ge=1, description="levels of one tree")
    min_child_weight: float = Field(1.0, ge=0, description="least sum of second derivatives over the apps of a leaf")
    subsample: float = Field(1.0, gt=0, le=1, description="share of the apps that one tree sees")
    colsample_bytree: float = Field(1.0, gt=0, le=1, description="share of the features that one tree sees")
    reg_lambda: float = Field(1.0, ge=0, description="L2 penalty on the weights of leaves")
    threads: int = Field(
        1, ge=1, description="more give the same trees, and waste a busy machine on waiting for one another"
    )


class DataConfig(Record):
    """Which apps, by which of their features."""

    device: Literal["real_device", "emulator"] = Field("real_device", description="where the apps were watched")
    features: Names = Field(("*",), min_length=1, description="names or globs of feature columns: sys_*,perm_*")

    @field_validator("features")
    @classmethod
    def _without_leaks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            bare = next((name.removeprefix(prefix) for prefix in FEATURE_PREFIXES if name.startswith(prefix)), name)
            if bare.lower() in LEAKING_COLUMNS:
                raise ValueError(f"{name} tells the label or is known only after the fact; it is never a feature")
        return names


class SplitConfig(Record):
    """Which apps a model is fitted on, calibrated by and tested with."""

    by: Literal["time", "hash"] = Field("time", description="the order of time, or a hash of the app's id")


class TrainingConfig(Record):
    """The budget and the schedule."""

    epochs: int = Field(120, ge=1, description="passes over the training apps at most; of trees: boosting rounds")
    patience: int = Field(8, ge=1, description="epochs without a better calibration loss before training stops")
    batch: int = Field(128, ge=1, description="apps per optimiser step; trees see all at once")
    learning_rate: float = Field(1e-3, gt=0, description="step size of Adam; of trees: shrinkage of one tree")
    seed: int = Field(7, ge=0, description="seed of initial weights, of the order of apps and of noise")
    false_positive_rate: float = Field(
        0.01, gt=0, lt=1, description="share of later benign apps that may raise an alarm"
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="where networks are trained; auto: on a GPU if there is one. Its bytes differ from a CPU's"
    )


MODELS: dict[str, type[Record]] = {
    "autoencoder": AutoencoderConfig,
    "vae": VaeConfig,
    "detector": DetectorConfig,
    "xgboost": TreesConfig,
}
"""Kinds of model, and what each may be told."""


class Configuration(Record):
    """The whole tree.

    Attributes:
        name: the model's noun in the lake and in MLflow, see `presets.model_name`.
    """

    name: str
    model: Annotated[AutoencoderConfig | VaeConfig | DetectorConfig | TreesConfig, Field(discriminator="kind")]
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def by_chance(self) -> bool:
        """Whether another seed gives another model; trees that see every app and feature leave nothing to chance."""
        trees = self.model
        return not isinstance(trees, TreesConfig) or min(trees.subsample, trees.colsample_bytree) < 1
