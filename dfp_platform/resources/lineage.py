"""What commits of the lake record about the assets they write."""

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any

from dfp_platform.lake import Lake


def lineage_at(lake: Lake, ref: str, asset: str) -> Mapping[str, Any]:
    """Code version and input contents of what stands at an asset, from the commit that recorded them; empty if none.

    That is the commit that wrote the asset or, where a step wrote through an ephemeral branch, the merge that ended it.
    """
    first = next((o for o in lake.list(ref, asset) if o.path == asset or o.path.startswith(f"{asset}/")), None)
    if first is None:
        return {}
    writers = chain([lake.provenance(ref, first.path)], lake.log(ref, path=first.path))
    recorded = (json.loads(commit.metadata.get("lineage", "{}")) for commit in writers)
    return next((lineage[asset] for lineage in recorded if asset in lineage), {})
