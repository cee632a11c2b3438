"""The main line without branch, fence, gate and merge: what publishing is measured against. Never used for real."""

from __future__ import annotations

import dagster as dg

from dfp_platform.definitions import compose
from dfp_platform.lake import Lake
from dfp_platform.resources.lake import LakeResource


def _write_straight(self: LakeResource, *_: object) -> Lake:
    return self._lake


LakeResource.ref = property(lambda self: self.branch)  # type: ignore[assignment]
LakeResource.store = property(_write_straight)  # type: ignore[assignment]
LakeResource.writer = _write_straight  # type: ignore[assignment]

_composed = compose()
defs = dg.Definitions(
    assets=_composed.assets,
    asset_checks=_composed.asset_checks,
    jobs=_composed.jobs,
    resources=_composed.resources,
    executor=dg.in_process_executor,
)
