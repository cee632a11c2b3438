"""Presets and overrides → one configuration. Presets are files beneath `presets/`; copy one to make your own.

`model=vae training.epochs=3` chooses a file by a group's name, and overrides a key by its dotted name. The command
line, the environment (`DFP_MODEL=vae DFP_TRAINING__EPOCHS=3`) and Dagster's launchpad say the same things.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dfp_platform.errors import ConfigurationError
from dfp_platform.models.configs import MODELS, Configuration, DataConfig, SplitConfig, TrainingConfig
from dfp_platform.settings import PRESET_GROUPS, PROJECT_ROOT

PRESETS = PROJECT_ROOT / "presets"

DEFAULTS = {"model": "ae_small", "data": "real_device", "split": "time"}
"""The presets of the demo's network. There is none of `training`: what the fields say."""

FIRST_NAMES = {"ae_small": "autoencoder", "xgboost": "xgboost"}
"""Names that two models on real devices had before there were presets, and keep."""

_GROUPS: dict[str, type[BaseModel]] = {"data": DataConfig, "split": SplitConfig, "training": TrainingConfig}


def model_name(preset: str, device: str) -> str:
    """The noun of a preset's model of one device's apps: `<preset>_<device>`, ``vae_emulator``."""
    if device == "real_device" and preset in FIRST_NAMES:
        return FIRST_NAMES[preset]
    return f"{preset}_{device}"


def preset_names(group: str, *, folder: Path = PRESETS) -> tuple[str, ...]:
    """The presets of a group, sorted."""
    return tuple(sorted(path.stem for path in (folder / group).glob("*.yaml")))


def parsed(texts: Sequence[str]) -> dict[str, str]:
    """Choices as a command line writes them: ``["model=vae"]``.

    Raises:
        ConfigurationError: one is no `key=value`.
    """
    choices = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ConfigurationError(f"{text!r} is no choice", hint="write key=value, such as model=vae", setting=text)
        choices[key.strip()] = value.strip()
    return choices


def resolve(choices: Mapping[str, Any], *, folder: Path = PRESETS) -> Configuration:
    """The configuration that choices make out of the presets.

    Args:
        choices: a group's name to the name of its preset (``model`` → ``vae``), a dotted key to its value
            (``training.epochs`` → 3, or "3"). A key wins over every preset, a preset of a group over what a model's
            preset says of that group.
        folder: where presets lie.

    Raises:
        ConfigurationError: no such preset or key (the nearest is named), or a value that cannot be (what can be is).
    """
    chosen = {group: _preset_name(group, choices.get(group), folder) for group in PRESET_GROUPS}
    tree = {group: dict[str, Any]() for group in PRESET_GROUPS}
    for group, part in _read("model", str(chosen["model"]), folder).items():
        if group not in tree:
            raise _unknown(group, PRESET_GROUPS, where=f"in presets/model/{chosen['model']}.yaml")
        tree[group].update(part)
    for group in _GROUPS:
        if name := chosen[group]:
            tree[group].update(_read(group, name, folder))
    for key, value in choices.items():
        group, dot, name = key.partition(".")
        if key == "model.kind":
            raise ConfigurationError("a preset decides model.kind", hint="choose one: model=<preset>", setting=key)
        if dot and group in tree:
            tree[group][name] = value
        elif key not in tree:
            raise _unknown(key, [*PRESET_GROUPS, *_known_keys(tree)])
    parts = {group: _validated(group, part, tree) for group, part in tree.items()}
    return Configuration(name=model_name(str(chosen["model"]), parts["data"].device), **parts)


def flattened(tree: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A tree of groups as dotted keys: what `resolve` takes."""
    return {f"{group}.{name}": value for group, part in tree.items() for name, value in part.items()}


def _preset_name(group: str, wanted: Any, folder: Path) -> str | None:
    names = preset_names(group, folder=folder)
    wanted = {old: preset for preset, old in FIRST_NAMES.items()}.get(wanted, wanted) if group == "model" else wanted
    name = DEFAULTS.get(group) if wanted is None else str(wanted)
    if name is not None and name not in names:
        near = get_close_matches(name, names, n=1)
        guess = f"did you mean {group}={near[0]}? " if near else ""
        raise ConfigurationError(
            f"there is no preset {group}={name}",
            hint=f"{guess}there are: {', '.join(names)}; each is a file in presets/{group}/",
            setting=group,
        )
    return name


def _read(group: str, name: str, folder: Path) -> dict[str, Any]:
    import yaml

    path = folder / group / f"{name}.yaml"
    try:
        read = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise ConfigurationError(f"presets/{group}/{name}.yaml is no YAML: {error}", setting=group) from error
    if not isinstance(read, dict) or (group == "model" and not all(isinstance(part, dict) for part in read.values())):
        raise ConfigurationError(
            f"presets/{group}/{name}.yaml does not map keys to values", hint="copy another preset", setting=group
        )
    return read


def _validated(group: str, part: Mapping[str, Any], tree: Mapping[str, Mapping[str, Any]]) -> Any:
    model = _model_of(tree) if group == "model" else _GROUPS[group]
    for name in part:
        if name not in model.model_fields:
            raise _unknown(f"{group}.{name}", list(_known_keys(tree)))
    try:
        return model.model_validate(dict(part))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise ConfigurationError(
            f"{group}.{name}={first['input']!r} cannot be: {first['msg']}",
            hint=f"{group}.{name} is: {model.model_fields[name].description or name}",
            setting=f"{group}.{name}",
        ) from error


def _model_of(tree: Mapping[str, Mapping[str, Any]]) -> type[BaseModel]:
    kind = tree["model"].get("kind")
    if kind not in MODELS:
        raise ConfigurationError(
            f"model.kind={kind!r} cannot be", hint=f"choose from: {', '.join(MODELS)}", setting="model.kind"
        )
    return MODELS[str(kind)]


def _known_keys(tree: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for group, model in {"model": _model_of(tree), **_GROUPS}.items():
        yield from (f"{group}.{name}" for name in model.model_fields)


def _unknown(key: str, known: Sequence[str], *, where: str = "") -> ConfigurationError:
    near = get_close_matches(key, known, n=1, cutoff=0.4)
    keys = ", ".join(known)
    return ConfigurationError(
        f"there is no key {key} {where}".rstrip(),
        hint=f"did you mean {near[0]}? there are: {keys}" if near else f"there are: {keys}",
        setting=key,
    )
