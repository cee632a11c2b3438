"""What a publication published, read from the lake's own record of it, never from what steps said of themselves."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

from dfp_platform.catalog import content_at, read_pointer
from dfp_platform.catalog.names import identifier_of, is_pointer
from dfp_platform.lake import Lake
from dfp_platform.lineage import Dataset, Made
from dfp_platform.resources.lineage import lineage_at, objects_of
from dfp_platform.schemas import CommitId

_MODELS = "models/"
_CARD = "card.json"


def lake_name(lake: Lake) -> str:
    """What a lake is called in the catalogs of others: ``lakefs://apps``, or ``lake://host/folder``."""
    return lake.uri if "://" in lake.uri else f"lake://{socket.gethostname()}{lake.uri}"


def published_by(lake: Lake, commit: CommitId, run_id: str, *, branch: str) -> tuple[Made, ...]:
    """The assets that a run published by a commit of a branch; none if the commit is not that of its publication.

    Assets that it removed are left out.
    """
    told = lake.show(commit).metadata
    if told.get("run") != run_id or "published" not in told:
        return ()
    assets = [asset for asset in json.loads(told["published"]) if objects_of(lake, commit, asset)]
    return tuple(_made(lake, commit, asset, branch=branch) for asset in assets)


def _made(lake: Lake, commit: CommitId, asset: str, *, branch: str) -> Made:
    record: Mapping[str, Any] = lineage_at(lake, commit, asset)
    inputs = [
        dataset_at(lake, commit, dep, branch=branch, content=content)
        for dep, content in record.get("inputs", {}).items()
        if content
    ]
    config = json.dumps(record["config"], sort_keys=True) if record.get("config") else ""
    dataset = dataset_at(lake, commit, asset, branch=branch, content=content_at(lake, commit, asset))
    return Made(dataset, tuple(inputs), str(record.get("code_version") or ""), config)


def dataset_at(lake: Lake, commit: CommitId, asset: str, *, branch: str, content: str) -> Dataset:
    """An asset as it holds `content`; with columns and sizes if that is what it holds at the commit."""
    if content_at(lake, commit, asset) != content:
        return Dataset(asset, branch, content)
    if is_pointer(asset) and (pointer := read_pointer(lake, commit, identifier_of(asset))) is not None:
        from dfp_platform.catalog import open_catalog
        from dfp_platform.catalog.describing import column_docs

        name = ".".join(identifier_of(asset))
        columns = tuple(column_docs(open_catalog(lake, commit), name))
        return Dataset(asset, branch, content, commit, "TABLE", name, columns, pointer.rows)
    objects = objects_of(lake, commit, asset)
    is_model = asset.startswith(_MODELS) and any(found.path == f"{asset}/{_CARD}" for found in objects)
    return Dataset(
        asset,
        branch,
        content,
        commit,
        "MODEL" if is_model else "FILE",
        bytes=sum(found.size for found in objects),
        files=len(objects),
    )
