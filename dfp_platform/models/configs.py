"""What a training may be told. Every field takes part in the weights' identity and stands in the model's card."""

from __future__ import annotations

from pydantic import Field

from dfp_platform.models.records import Record


class AutoencoderConfig(Record):
    """A symmetric autoencoder: features → hidden → latent → hidden → features."""

    hidden: int = Field(128, ge=1, description="units of the two outer hidden layers")
    latent: int = Field(16, ge=1, description="units of the bottleneck")
    epochs: int = Field(120, ge=1, description="upper bound; early stopping usually ends sooner")
    patience: int = Field(8, ge=1, description="epochs without a better calibration loss before training stops")
    batch: int = Field(128, ge=1, description="apps per optimiser step")
    learning_rate: float = Field(1e-3, gt=0, description="step size of Adam")
    scale_floor: float = Field(
        0.1, gt=0, description="smallest standard deviation a feature is divided by (log counts)"
    )
    clip: float = Field(5.0, gt=0, description="standardised values are held within ± this")
    seed: int = Field(7, ge=0, description="seed of initial weights and of the order of apps")
    false_positive_rate: float = Field(
        0.01, gt=0, lt=1, description="share of later benign apps that may raise an alarm"
    )


class ReferenceConfig(Record):
    """Gradient-boosted trees that see the labels: what a neural detector is judged against."""

    rounds: int = Field(200, ge=1, description="boosted trees")
    max_depth: int = Field(6, ge=1, description="levels of one tree")
    learning_rate: float = Field(0.1, gt=0, description="shrinkage of one tree")
    threads: int = Field(
        1, ge=1, description="more give the same trees, and waste a busy machine on waiting for one another"
    )
    seed: int = Field(7, ge=0, description="seed of the booster")
    false_positive_rate: float = Field(
        0.01, gt=0, lt=1, description="share of later benign apps that may raise an alarm"
    )
