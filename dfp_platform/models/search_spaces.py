"""What a study may try, by kind of model: one dict. Every key is one of `configs`, and every value one it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dfp_platform.errors import ConfigurationError
from dfp_platform.models.presets import resolve

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Numbers:
    """Any number between two, both included; whole if both are. With `log`, equal ratios are equally likely."""

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Numbers | tuple[Value, ...]]
"""Dotted key → the numbers or the values that are tried."""

_NETWORK: Space = {
    "model.hidden": ("32", "64", "128", "256", "128,64", "256,128"),
    "model.latent": Numbers(4, 64, log=True),
    "model.clip": Numbers(2.0, 10.0),
    "training.batch": (32, 64, 128, 256),
    "training.learning_rate": Numbers(1e-4, 1e-2, log=True),
}

SPACES: dict[str, Space] = {
    "autoencoder": _NETWORK,
    "vae": {**_NETWORK, "model.kl_weight": Numbers(1e-5, 1e-1, log=True)},
    "detector": {**_NETWORK, "model.reconstruction_weight": Numbers(1e-3, 1.0, log=True)},
    "xgboost": {
        "model.max_depth": Numbers(2, 10),
        "model.min_child_weight": Numbers(0.1, 10.0, log=True),
        "model.subsample": Numbers(0.5, 1.0),
        "model.colsample_bytree": Numbers(0.2, 1.0),
        "model.reg_lambda": Numbers(0.01, 10.0, log=True),
        "training.epochs": Numbers(50, 500),
        "training.learning_rate": Numbers(0.01, 0.3, log=True),
    },
}
"""By kind of model, as `configs.MODELS`."""

DECIDED = ("model", "split", "split.by", "training.seed", "training.false_positive_rate")
"""Keys that a study decides itself."""


def space_of(preset: str, choices: Mapping[str, Value]) -> Space:
    """What is tried of a preset: the space of its kind without the keys that a person has chosen.

    Raises:
        ConfigurationError: no such preset, a choice that cannot be or is not a person's, or nothing is left to try.
    """
    if refused := [key for key in choices if key in DECIDED]:
        raise ConfigurationError(
            f"a study decides {refused[0]} itself", hint="name presets by --models", setting=refused[0]
        )
    space = SPACES[resolve({**choices, "model": preset}).model.kind]
    left = {key: values for key, values in space.items() if key not in choices}
    if not left:
        raise ConfigurationError(
            f"every key that a study would try of {preset} has been chosen",
            hint=f"leave one of these to it: {', '.join(space)}",
            setting=preset,
        )
    return left


def suggest(
    space: Space, tried: Mapping[int, tuple[Mapping[str, Value], float | None]], *, seed: int
) -> dict[str, Value]:
    """What to try next. It follows from the arguments alone, so a study that was killed goes on as if it had not been.

    Args:
        space: what may be tried.
        tried: by trial number, its parameters and its value (more is better; None: it failed).
        seed: of the study; each trial draws from a generator of its own.

    Raises:
        ConfigurationError: Optuna is not installed.
    """
    optuna = _optuna()
    distributions = {key: _distribution(values) for key, values in space.items()}
    sampler = optuna.samplers.TPESampler(seed=(seed * 1_000_003 + len(tried)) % 2**32)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _, (parameters, value) in sorted(tried.items()):
        state = optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(params=dict(parameters), distributions=distributions, value=value, state=state)
        )
    return {key: _rounded(value) for key, value in study.ask(distributions).params.items()}


def _rounded(value: Value) -> Value:
    """Four digits are all that a trial can tell apart, and what a person can read in a preset."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _distribution(values: Numbers | tuple[Value, ...]) -> Any:
    from optuna import distributions

    if isinstance(values, tuple):
        return distributions.CategoricalDistribution(values)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return distributions.IntDistribution(values.low, values.high, log=values.log)
    return distributions.FloatDistribution(values.low, values.high, log=values.log)


def no_optuna() -> ConfigurationError:
    """What to raise where Optuna is missing."""
    return ConfigurationError(
        "a study needs Optuna, which is not installed here",
        hint="pip install 'dfp-platform[tuning]'; in a checkout: .venv/bin/pip install -c constraints.txt optuna",
        setting="study",
    )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise no_optuna() from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
