"""What lies outside the lake and has to follow a publication: each promotion looks at the target and makes it so.

A promotion is a function of what the target holds now, so it may be done again at any time, by anyone: after a crash by
the reconciler, after `dfp lake revert` to go back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import closing

from dfp_platform.catalog import content_at
from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake
from dfp_platform.models.registration import Published, follow
from dfp_platform.publishing.champions import tagged
from dfp_platform.serving.versions import reign_at, trained_models
from dfp_platform.settings import Settings, settings

Promotion = Callable[[Lake, str, Settings], None]

logger = logging.getLogger(__name__)

_PATIENCE = 30.0
"""Seconds that an inference API may take to load a model."""

ONLINE_VERSION = "features/online/report.json"
"""Names the online version that a branch's features were materialized to."""


def switch_online_features(lake: Lake, target: str, at: Settings) -> None:
    """Serve the online version that the target's `features/online` names; made again if it is gone.

    What was rolled back by hand stays so until the target names another version; after `dfp lake revert` it does.
    """
    if not lake.exists(target, ONLINE_VERSION):
        return
    from dfp_platform.features import open_keeper

    version, commit = json.loads(lake.read(target, ONLINE_VERSION))["version"], lake.resolve(target)
    with closing(open_keeper(at)) as keeper:
        try:
            keeper.switch(target, version, commit, publication=True)
        except NotFoundError:
            keeper.materialize(lake, commit, version=version)
            keeper.switch(target, version, commit, publication=True)


def follow_champions(lake: Lake, target: str, at: Settings) -> None:
    """Tag the exact inputs of each model on the target, register it, and give MLflow's aliases as the lake says.

    The tag `model-<name>-v<n>-data` names the commit that wrote the model: its inputs stand there too. Where nobody has
    been crowned yet, the version that stands there is the champion.
    """
    for name in trained_models(lake, target):
        made = lake.provenance(target, f"models/{name}/card.json")
        content = content_at(lake, target, f"models/{name}")
        reign = reign_at(lake, target, name)
        champion = reign.content if reign else content
        follow(
            uri=at.mlflow_uri,
            published=Published(
                name=name,
                content=content,
                key=f"{made.metadata.get('run')}/{name}",
                data_tag=tagged(lake, name, content, made.id),
            ),
            champion=champion,
            challenger=None if champion == content else content,
        )


def reload_services(lake: Lake, target: str, at: Settings) -> None:
    """Have each configured inference API load what stands on its branch; one that does not is a warning.

    The next promotion asks again. An API that has it already answers so at once.
    """
    import httpx

    token = at.serving_token
    headers = {b"Authorization": f"Bearer {token.get_secret_value()}".encode()} if token else {}
    for address in at.serving_addresses:
        try:
            answer = httpx.post(f"{address}/admin/reload", headers=headers, timeout=_PATIENCE)
            refused = "" if answer.is_success else f"{answer.status_code} {answer.text[:500]}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            refused = f"{type(error).__name__}: {error}"
        if refused:
            said = f"the inference API at {address} did not load the model of {target}: {refused}"
            logger.warning("%s", at.without_secrets(said))  # an address may have a login in it


PROMOTIONS: dict[str, Promotion] = {
    "online": switch_online_features,
    "champions": follow_champions,
    "serving": reload_services,
}


def settle(lake: Lake, target: str) -> None:
    """Do every promotion for what `target` holds now. Branches other than the configured one promote nothing."""
    at = settings()
    if target != at.branch:
        return
    for promotion in PROMOTIONS.values():
        promotion(lake, target, at)
