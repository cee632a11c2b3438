"""What lies outside the lake and has to follow a publication: each promotion looks at the target and makes it so.

A promotion is a function of what the target holds now, so it may be done again at any time, by anyone: after a crash by
the reconciler, after `dfp lake revert` to go back.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from dfp_platform.lake.interface import Lake
from dfp_platform.settings import Settings, settings

Promotion = Callable[[Lake, str, Settings], None]

ONLINE_VERSION = "features/online/report.json"
"""Names the online version that a branch's features were materialized to."""


def switch_online_features(lake: Lake, target: str, at: Settings) -> None:
    """Serve the online version that the target's `features/online` names."""
    if not lake.exists(target, ONLINE_VERSION):
        return
    from dfp_platform.features import switch

    version = json.loads(lake.read(target, ONLINE_VERSION))["version"]
    switch(at.home / "online", version, lake.resolve(target))


def tag_model_inputs(lake: Lake, target: str, at: Settings) -> None:
    """Name the commit that made each model on the target for ever: `model-<name>-v<n>-data`."""
    for name in ("autoencoder", "xgboost"):
        card = f"models/{name}/card.json"
        if not lake.exists(target, card):
            continue
        made = lake.provenance(target, card).id
        prefix = f"model-{name}-v"
        known = {tag: commit for tag, commit in lake.tags().items() if tag.startswith(prefix)}
        if made not in known.values():
            lake.tag(f"{prefix}{len(known) + 1}-data", made)


PROMOTIONS: dict[str, Promotion] = {
    "online": switch_online_features,
    "model-tags": tag_model_inputs,
}


def settle(lake: Lake, target: str) -> None:
    """Do every promotion for what `target` holds now. Branches other than the configured one promote nothing."""
    at = settings()
    if target != at.branch:
        return
    for promotion in PROMOTIONS.values():
        promotion(lake, target, at)
