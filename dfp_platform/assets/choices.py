"""What Dagster's launchpad asks of a training, and what it answers: the same tree as the command line's."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import dagster as dg
from pydantic.fields import FieldInfo

from dfp_platform.errors import NotFoundError
from dfp_platform.mobile.artifact import artifact_name
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.models.card import ModelCard
from dfp_platform.models.configs import Configuration, NetworkConfig
from dfp_platform.models.presets import FIRST_NAMES, flattened, model_name, preset_names, resolve
from dfp_platform.settings import PRESET_GROUPS, training_choices

PINNED = {("model", "kind"), ("data", "device")}
"""Keys that an asset's name has decided."""

LINE = tuple(FIRST_NAMES.values())
"""Models of the main line, which every run makes; the others are made where they are asked for."""

LABEL_BUDGET = "models/label_budget"
"""The asset that tells what labels buy."""

STUDY = "models/study"
"""The asset that tunes presets."""

DEVICES = ("real_device", "emulator")

PHONE_NETWORKS = ("autoencoder", "detector_real_device")
"""Models that every exporter takes to phones, in each precision it has; of the others there is an ONNX file."""

BENCHMARKS = ("reports/host_benchmark", "reports/device_benchmark", "reports/phones")
"""Assets that tell what artifacts cost on this machine and on phones."""

TRAFFIC, TRAFFIC_REPORT = "serving/traffic", "reports/traffic"
"""Assets that tell what the inference API was asked since the last look."""

DRIFT_REPORT = "reports/drift"
"""The asset that tells how far what a model sees lies from what it was trained on."""

CHECKS_REPORT = "reports/checks"
"""The asset that shows what every check said over the last publications."""


def every_choice() -> dict[str, tuple[str, str]]:
    """Every model there may be: its name, and the preset and the device that make it. The demo's come first."""
    pairs = [(preset, device) for device in DEVICES for preset in preset_names("model")]
    pairs.sort(key=lambda pair: model_name(*pair) not in LINE)
    return {model_name(*pair): pair for pair in pairs}


def assets_of(name: str) -> tuple[str, ...]:
    """The assets that a run makes for one model, by key path; `artifacts_of` has more, for who asks for them."""
    return (f"models/{name}", f"mobile/{name}_onnx") if is_network(name) else (f"models/{name}",)


def artifacts_of(name: str) -> dict[str, tuple[str, str]]:
    """The exported models of one model: key path of the asset → exporter and precision. Trees have none."""
    if not is_network(name):
        return {}
    kinds = [(key, precision) for key, found in EXPORTERS.items() for precision in found.precisions]
    return {
        f"mobile/{artifact_name(name, *kind)}": kind
        for kind in kinds
        if name in PHONE_NETWORKS or kind == ("onnx", "fp32")
    }


def is_network(name: str) -> bool:
    """Whether a model has a way to phones; trees have none."""
    return isinstance(resolve({"model": every_choice()[name][0]}).model, NetworkConfig)


def beyond_the_line() -> set[str]:
    """Assets that are made only where they, or their model, are asked for."""
    own = {asset for name in every_choice() for asset in (f"models/{name}", *artifacts_of(name))}
    return {LABEL_BUDGET, STUDY, TRAFFIC, TRAFFIC_REPORT, DRIFT_REPORT, CHECKS_REPORT, *BENCHMARKS} | own - {
        asset for name in LINE for asset in assets_of(name)
    }


def wanted(choices: Mapping[str, Any]) -> Configuration:
    """The configuration that choices and the environment make together; choices win.

    Raises:
        ConfigurationError: they say what cannot be.
    """
    return resolve({**training_choices(), **choices})


def defaults(name: str) -> Configuration:
    """The configuration of a model when nobody says more: its preset, and for the chosen model the environment's word.

    Raises:
        ConfigurationError: the preset or the environment say what cannot be.
    """
    preset, device = every_choice()[name]
    said = training_choices()
    if resolve(said).name != name:
        said = {"training.seed": said["training.seed"]}
    return resolve({**said, "model": preset, "data.device": device})


def asked(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """What a launchpad is told to get this configuration: all of it but what the asset's name has decided."""
    tree = configuration.model_dump(mode="json", include=set(PRESET_GROUPS))
    return {
        group: {key: value for key, value in part.items() if (group, key) not in PINNED} for group, part in tree.items()
    }


def launchpad(name: str) -> dict[str, dg.Field]:
    """The config schema of a model's asset, filled with its defaults."""
    configuration = defaults(name)
    return {
        group: dg.Field(
            {key: _field(type(getattr(configuration, group)).model_fields[key], value) for key, value in part.items()}
        )
        for group, part in asked(configuration).items()
    }


def configured(name: str, said: Mapping[str, Any]) -> Configuration:
    """The configuration of a model out of what its asset was configured with.

    Raises:
        ConfigurationError: a value cannot be.
    """
    preset, device = every_choice()[name]
    return resolve({**flattened(said), "model": preset, "data.device": device})


def run_config_of(names: Iterable[str], chosen: Configuration) -> dict[str, Any]:
    """Run config of the ops that train these models: as chosen, the others as they are by default."""
    return {f"models__{name}": {"config": asked(chosen if name == chosen.name else defaults(name))} for name in names}


def run_config_again(card: ModelCard, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Run config of the op that trains a model as it was trained once, whatever its preset says today.

    Args:
        card: its card, which tells the whole configuration.
        recorded: what the commit that wrote it says its op was configured with; wins.
    Raises:
        NotFoundError: no preset makes a model of this name and kind today.
        ConfigurationError: a key or value that is unknown today.
    """
    told = card.configuration
    preset, _ = every_choice().get(card.name, ("", ""))
    if not preset or resolve({"model": preset}).model.kind != told.model.kind:
        raise NotFoundError(
            f"no preset makes a model called {card.name} of the kind {told.model.kind} any more",
            hint="check out the version of the code that trained it",
            model=card.name,
        )
    tree = asked(told)
    whole = {group: {**part, **recorded.get(group, {})} for group, part in tree.items()}
    configured(card.name, whole)
    return {f"models__{card.name}": {"config": whole}}


def _field(field: FieldInfo, value: Any) -> dg.Field:
    kind: Any = type(value)
    if isinstance(value, list):
        kind = [type(value[0])]
    elif get_origin(field.annotation) is Literal:
        names = get_args(field.annotation)
        kind = dg.Enum("_or_".join(names), [dg.EnumValue(name) for name in names])
    return dg.Field(kind, default_value=value, description=field.description)
