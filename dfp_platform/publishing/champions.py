"""Versions and champions of models as the lake holds them; MLflow's aliases only follow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.models.champions import Reign, promoted
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.lake import content_at, lineage_of
from dfp_platform.schemas import CommitId

CHAMPIONS = "models/champions"
"""The asset that holds who reigns: one record a model."""

_VERSION = re.compile(r"model-(?P<name>.+)-v(?P<number>\d+)-data")


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
        told = _VERSION.fullmatch(tag)
        if told is not None and name in (None, told["name"]):
            content = content_at(lake, commit, f"models/{told['name']}")
            found.append(Version(told["name"], int(told["number"]), content, tag, commit))
    return sorted(found, key=lambda version: (version.model, version.number))


def tagged(lake: Lake, name: str, content: str, made: CommitId) -> str:
    """The data tag of a content of a model: `model-<name>-v<n>-data`; made on the commit that wrote it if need be."""
    marked = next((tag for tag, commit in lake.tags().items() if commit == made and _is_of(tag, name)), None)
    if marked is not None:
        return marked
    known = versions(lake, name)
    found = next((version.tag for version in known if version.content == content), None)
    if found is None:
        found = f"model-{name}-v{max((version.number for version in known), default=0) + 1}-data"
        lake.tag(found, made)
    return found


def _is_of(tag: str, name: str) -> bool:
    told = _VERSION.fullmatch(tag)
    return told is not None and told["name"] == name


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


def promote(lake: Lake, target: str, version: Version, graph: Graph, *, by: str, why: str, now: datetime) -> Reign:
    """Make a version the champion on a branch, by hand and in one commit that says who did it and why.

    Args:
        by: who.
        graph: what the asset of champions is made from, for the record of its inputs.
    Raises:
        MergeConflictError: somebody else changed the champion of this model meanwhile.
        NotFoundError: the model is not on the branch.
    """
    name, path = version.model, reign_path(version.model)
    head = lake.resolve(target)
    standing = content_at(lake, head, f"models/{name}")
    if not standing:
        raise NotFoundError(
            f"no model {name} lies on {target}", hint="publish it there first: dfp train", path=f"models/{name}"
        )
    said = f"promoted by {by}" + (f": {why}" if why else "")
    reign = promoted(
        reign_at(lake, head, name), model=name, content=version.content, standing=standing, now=now, reason=said
    )
    lineage = lineage_of(lake, graph, head, CHAMPIONS)
    metadata = {
        "promoted": f"{name} v{version.number}",
        "by": by,
        "why": why,
        "assets": json.dumps([CHAMPIONS]),
        "lineage": json.dumps(lineage, sort_keys=True),
    }
    message = f"promote {name} v{version.number} by hand"
    with lake.transaction(target, message=message, metadata=metadata) as branch:  # also where a branch is protected
        lake.commit(branch, {path: reign.to_json()}, message=message, metadata=metadata)
    return reign
