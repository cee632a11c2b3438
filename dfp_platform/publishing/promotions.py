"""What lies outside the lake and has to follow a publication: each promotion looks at the target and makes it so.

A promotion is a function of what the target holds now, so it may be done again at any time, by anyone: after a crash by
the reconciler, after `dfp lake revert` to go back.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.models.registration import crown
from dfp_platform.resources.lake import content_at
from dfp_platform.schemas import CommitId
from dfp_platform.settings import Settings, settings

Promotion = Callable[[Lake, str, Settings], None]

ONLINE_VERSION = "features/online/report.json"
"""Names the online version that a branch's features were materialized to."""


def switch_online_features(lake: Lake, target: str, at: Settings) -> None:
    """Serve the online version that the target's `features/online` names; made again if its file is gone."""
    if not lake.exists(target, ONLINE_VERSION):
        return
    from dfp_platform.features import materialize, switch

    version, online = json.loads(lake.read(target, ONLINE_VERSION))["version"], at.home / "online"
    try:
        switch(online, version, lake.resolve(target))
    except NotFoundError:
        materialize(lake, target, online=online, version=version)
        switch(online, version, lake.resolve(target))


def crown_models(lake: Lake, target: str, at: Settings) -> None:
    """Tag the exact inputs of each model on the target, and give MLflow's alias `champion` to it.

    The tag `model-<name>-v<n>-data` names the commit that wrote the model: its inputs stand there too.
    """
    for name in trained_models(lake, target):
        card = f"models/{name}/card.json"
        made = lake.provenance(target, card)
        content = content_at(lake, target, f"models/{name}")
        tag = _data_tag(lake, name, made.id)
        crown(uri=at.mlflow_uri, name=name, key=f"{made.metadata.get('run')}/{name}", content=content, data_tag=tag)


def trained_models(lake: Lake, ref: str) -> list[str]:
    """Models that lie at a ref, each at `models/<name>`; they are what has a card there."""
    paths = (found.path.split("/") for found in lake.list(ref, "models/"))
    return sorted(parts[1] for parts in paths if parts[2:] == ["card.json"])


def _data_tag(lake: Lake, name: str, commit: CommitId) -> str:
    prefix = f"model-{name}-v"
    known = {tag: marked for tag, marked in lake.tags().items() if tag.startswith(prefix)}
    found = next((tag for tag, marked in known.items() if marked == commit), None)
    if found is None:
        found = f"{prefix}{len(known) + 1}-data"
        lake.tag(found, commit)
    return found


PROMOTIONS: dict[str, Promotion] = {
    "online": switch_online_features,
    "champions": crown_models,
}


def settle(lake: Lake, target: str) -> None:
    """Do every promotion for what `target` holds now. Branches other than the configured one promote nothing."""
    at = settings()
    if target != at.branch:
        return
    for promotion in PROMOTIONS.values():
        promotion(lake, target, at)
