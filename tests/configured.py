"""Configurations for tests, by the words a person would use, small enough to train in a second."""

from __future__ import annotations

from dfp_platform.models.configs import Configuration
from dfp_platform.models.presets import parsed, resolve

TINY = ("model.hidden=16", "model.latent=3", "training.epochs=6", "training.batch=32", "training.accelerator=cpu")
NETWORKS = ("ae_small", "ae_large", "vae", "detector")
"""Presets of networks."""


def tiny(preset: str, *choices: str) -> Configuration:
    """A preset with tiny networks or ten shallow trees; `choices` win."""
    small = ("training.epochs=10", "model.max_depth=3") if preset == "xgboost" else TINY
    if preset == "detector":
        small = (*TINY, "training.learning_rate=0.01")
    if preset == "ae_large":
        small = ("model.hidden=24,16", *TINY[1:])
    return resolve({**parsed([f"model={preset}", *small]), **parsed(choices)})
