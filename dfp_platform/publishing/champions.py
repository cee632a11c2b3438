"""Data tags of models, and champions named by hand; which ones there are, `serving.versions` tells."""

from __future__ import annotations

import json
from datetime import datetime

from dfp_platform.catalog import content_at
from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.models.champions import Reign, promoted
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.lake import lineage_of
from dfp_platform.schemas import CommitId
from dfp_platform.serving.versions import CHAMPIONS, DATA_TAG, Version, reign_at, reign_path, versions


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
    told = DATA_TAG.fullmatch(tag)
    return told is not None and told["name"] == name


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
