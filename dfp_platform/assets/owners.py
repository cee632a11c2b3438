"""Who answers for an asset: the team of its room. A team is a name on the page; Dagster looks nothing up."""

from collections.abc import Iterable

import dagster as dg


def owned(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The assets, each owned by ``team:<room>``: the first part of its key, such as ``team:models``."""
    return [asset.map_asset_specs(lambda spec: spec.replace_attributes(owners=[owner(spec.key)])) for asset in assets]


def owner(key: dg.AssetKey) -> str:
    """The team of the room that an asset stands in."""
    return f"team:{key.path[0]}"
