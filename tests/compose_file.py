"""`deploy/compose/compose.yaml` as Compose reads it: variables filled in, services in the order in which they start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from dotenv import dotenv_values

from dfp_platform.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "deploy" / "compose"
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?P<how>:\?|:-)?([^}]*)\}")


def example() -> dict[str, str]:
    """What `.env.example` says."""
    return {name: value or "" for name, value in dotenv_values(FOLDER / ".env.example").items()}


def written() -> dict[str, Any]:
    """The file, with its variables as they stand in it."""
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file, its variables filled in. Raises KeyError: one that has to be set is not."""
    return _filled(written(), environment)


def _filled(part: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {key: _filled(value, environment) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, environment) for value in part]
    if not isinstance(part, str):
        return part

    def value(found: re.Match[str]) -> str:
        name, how, default = found.groups()
        return environment.get(name) or default if how == ":-" else environment[name]

    return VARIABLE.sub(value, part).replace("$$", "$")


def variables(part: Any) -> Iterator[tuple[str, str | None]]:
    """Name of each variable, and what follows it: ``:?`` (has to be set), ``:-`` (has a default)."""
    for found in VARIABLE.finditer(yaml.safe_dump(part, width=10_000)):
        yield found[1], found["how"]


def waits_for(service: Mapping[str, Any]) -> dict[str, str]:
    """The condition of each service that has to be there first."""
    return {name: told["condition"] for name, told in service.get("depends_on", {}).items()}
