"""What Dagster believes about an asset is made equal to what the target branch holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dfp_platform.lake.interface import Lake
from dfp_platform.resources.dagster_internals import Graph, latest_data_versions, latest_inputs, report_materialization
from dfp_platform.resources.lake import content_at
from dfp_platform.resources.lineage import lineage_at
from dfp_platform.settings import settings

ABSENT = "absent"
"""Data version of an asset that the target does not hold."""


def tell_truth(
    instance: dg.DagsterInstance, lake: Lake, graph: Graph, *, held_back: str | None = None
) -> tuple[str, ...]:
    """Report, for each asset whose page differs from the configured branch, what that holds; in topological order.

    An asset has one page, so it speaks of one branch, whatever branch a run published to.

    A page may be wrong about the inputs alone: a re-execution reads them on its branch, where Dagster, which was told
    what the target holds, knows nothing of them.

    Args:
        held_back: the branch that holds the unpublished results the page speaks of, if that is why it differs.
    Returns:
        The assets that were reported.
    """
    target = settings().branch
    if target not in lake.branches():
        return ()
    head = lake.resolve(target)
    shown = latest_data_versions(instance, list(graph.dependencies))
    inputs = latest_inputs(instance, list(shown))
    reported: list[str] = []
    for asset in graph.topological():
        if asset not in shown:
            continue
        content = content_at(lake, head, asset) or ABSENT
        contradicted = shown[asset][0] != content
        if not contradicted and all(
            content_at(lake, head, dep) == said for dep, said in inputs[asset].items() if dep in shown
        ):
            continue
        lineage = lineage_at(lake, head, asset)
        if not contradicted and lineage.get("inputs", inputs[asset]) == inputs[asset]:
            continue
        report_materialization(
            instance,
            asset,
            content=content,
            code_version=lineage.get("code_version"),
            inputs=_inputs(lineage, latest_data_versions(instance, graph.dependencies[asset])),
            metadata=_metadata(head, target, held_back),
        )
        reported.append(asset)
    return tuple(reported)


def _inputs(lineage: Mapping[str, Any], shown: Mapping[str, tuple[str, int]]) -> dict[str, tuple[str, int | None]]:
    """Version and event of each input; the event only where the page still shows that version."""
    recorded: Mapping[str, str] = lineage.get("inputs", {})
    return {
        dep: (version, shown[dep][1] if dep in shown and shown[dep][0] == version else None)
        for dep, version in recorded.items()
    }


def _metadata(head: str, target: str, held_back: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"lake/branch": target, "lake/commit": head}
    if held_back is not None:
        metadata |= {"lake/published": False, "lake/held_back_on": held_back}
    return metadata
