"""Versions and champions of models as the lake holds them: what a service may answer with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dfp_platform.catalog import content_at
from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.models.champions import Reign
from dfp_platform.schemas import CommitId

CHAMPIONS = "models/champions"
"""The asset that holds who reigns: one record a model."""

DATA_TAG = re.compile(r"model-(?P<name>.+)-v(?P<number>\d+)-data")
"""A lake tag that names the commit which wrote a version of a model; `publishing.champions.tagged` makes them."""


@dataclass(frozen=True, slots=True)
class Version:
    """One published content of a model.

    Attributes:
        model: the model's noun.
        number: counts the model's versions in this lake, from 1.
        content: content id of its files.
        tag: lake tag of the commit at which they stand beside their exact inputs.
        commit: that commit.
    """

    model: str
    number: int
    content: str
    tag: str
    commit: CommitId


def trained_models(lake: Lake, ref: str) -> list[str]:
    """Models that lie at a ref, each at `models/<name>`; they are what has a card there."""
    paths = (found.path.split("/") for found in lake.list(ref, "models/"))
    return sorted(parts[1] for parts in paths if parts[2:] == ["card.json"])


def versions(lake: Lake, name: str | None = None) -> list[Version]:
    """Every published version of a model, or of all models, by name and number: what the lake has a data tag of."""
    found = []
    for tag, commit in lake.tags().items():
        told = DATA_TAG.fullmatch(tag)
        if told is not None and name in (None, told["name"]):
            content = content_at(lake, commit, f"models/{told['name']}")
            found.append(Version(told["name"], int(told["number"]), content, tag, commit))
    return sorted(found, key=lambda version: (version.model, version.number))


def reign_path(name: str) -> str:
    """Where the record of a model's champion lies."""
    return f"{CHAMPIONS}/{name}.json"


def reign_at(lake: Lake, ref: str, name: str) -> Reign | None:
    """Who reigns over a model at a ref; None: nobody has been crowned there."""
    try:
        return Reign.from_json(lake.read(ref, reign_path(name)))
    except NotFoundError:
        return None


def files_of(lake: Lake, ref: str, name: str, content: str) -> Mapping[str, bytes] | None:
    """The files of one content of a model: at a ref if it stands there, else at a data tag; None: nowhere."""
    places = [ref] if content_at(lake, ref, f"models/{name}") == content else []
    places += [version.commit for version in versions(lake, name) if version.content == content]
    return lake.files(places[0], f"models/{name}") if places else None
