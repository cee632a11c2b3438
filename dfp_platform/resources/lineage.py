"""What commits of the lake record about the assets they write, and how the record of what stands there is found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dfp_platform.catalog import content_at, content_of
from dfp_platform.lake import Lake
from dfp_platform.schemas import Commit, ObjectStat


@dataclass(frozen=True, slots=True)
class Writing:
    """How what stands at an asset came to be there.

    Attributes:
        kind: ``recorded``: a commit says from what it was made; ``merged``: a merge put it together from both sides;
            ``unrecorded``: whoever wrote it left no word.
        commit: that commit; of what is unrecorded the newest that wrote to it.
        record: what `commit` says: code version, inputs by content, configuration; of a merge what one side says.
    """

    kind: Literal["recorded", "merged", "unrecorded"]
    commit: Commit
    record: Mapping[str, Any] = field(default_factory=dict)


def records_of(commit: Commit) -> Mapping[str, Mapping[str, Any]]:
    """What a commit records, by asset; empty where it records nothing that can be read."""
    try:
        told = json.loads(commit.metadata.get("lineage", "{}"))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def objects_of(lake: Lake, ref: str, asset: str) -> list[ObjectStat]:
    """The objects that an asset owns at a ref: one at its path, or those beneath it."""
    return [found for found in lake.list(ref, asset) if found.path == asset or found.path.startswith(f"{asset}/")]


def writing_of(lake: Lake, ref: str, asset: str) -> Writing:
    """How what stands at an asset at a ref came to be there.

    Mostly the commit that wrote its newest object recorded it, found by the lake's index. A step that wrote through an
    ephemeral branch recorded it in the merge that ended it, and a compaction or a revert wrote equal content again:
    then history is walked, newest first, to a commit that recorded this content.

    Raises:
        NotFoundError: nothing lies there.
    """
    head = lake.resolve(ref)
    content = content_of(lake, head, asset)
    writers = {found.id: found for found in (lake.provenance(head, o.path) for o in objects_of(lake, head, asset))}
    for commit in writers.values():
        if asset in records_of(commit) and (found := _writing(lake, commit, asset, content)):
            return found
    for commit in lake.log(head):
        if (asset in records_of(commit) or len(commit.parents) > 1) and (
            found := _writing(lake, commit, asset, content)
        ):
            return found
    return Writing("unrecorded", max(writers.values(), key=lambda commit: commit.time))


def _writing(lake: Lake, commit: Commit, asset: str, content: str) -> Writing | None:
    """What a commit has to do with this content of an asset; None if nothing."""
    if content_at(lake, commit.id, asset) != content:
        return None
    record = records_of(commit).get(asset)
    if len(commit.parents) > 1 and all(content_at(lake, parent, asset) != content for parent in commit.parents):
        return Writing("merged", commit, record or {})
    return None if record is None else Writing("recorded", commit, record)


def lineage_at(lake: Lake, ref: str, asset: str) -> Mapping[str, Any]:
    """Code version and input contents of what stands at an asset, from the commit that recorded them; empty if none.

    Rows that somebody else added since leave the record of those that they were added to.
    """
    objects = objects_of(lake, ref, asset)
    if not objects:
        return {}
    if record := writing_of(lake, ref, asset).record:
        return record
    before = (records_of(commit).get(asset) for commit in lake.log(ref, path=objects[0].path))
    return next((record for record in before if record is not None), {})
