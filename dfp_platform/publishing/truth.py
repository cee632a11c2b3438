"""What Dagster believes about an asset is made equal to what the target branch holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any

import dagster as dg

from dfp_platform.catalog import content_at
from dfp_platform.lake.interface import Lake
from dfp_platform.resources.dagster_internals import (
    NEVER_MADE,
    Graph,
    latest_data_versions,
    latest_inputs,
    report_materialization,
)
from dfp_platform.resources.dagster_partitions import Span, latest_partition_versions
from dfp_platform.resources.lineage import lineage_at
from dfp_platform.settings import settings

ABSENT = "absent"
"""Data version of an asset that the target does not hold."""

_LOOKED_AT = 1_000
"""Commits at the head of the target among which the one that wrote a partition is looked for."""


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
        if not contradicted and _made_from(lineage, shown, unknown=inputs[asset]) == inputs[asset]:
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


def tell_partitions(instance: dg.DagsterInstance, lake: Lake, graph: Graph, *, at_most: int) -> dict[str, int]:
    """Report, for each partition whose page differs from the configured branch, what that holds of it.

    No run waits for this: a record takes Dagster some milliseconds, and a table has hundreds of partitions.

    Args:
        at_most: partitions that are reported in one call.
    Returns:
        How many partitions of which asset were reported.
    """
    from dfp_platform.catalog.partitions import partition_contents

    target, told = settings().branch, dict[str, int]()
    if target not in lake.branches():
        return told
    head = lake.resolve(target)
    for asset in sorted(graph.partitioned):
        held = {part: found.content for part, found in partition_contents(lake, head, asset).items()}
        shown = latest_partition_versions(instance, asset)
        wrong = [part for part in sorted(held.keys() | shown.keys()) if held.get(part, ABSENT) != shown.get(part)]
        wrong = wrong[: at_most - sum(told.values())]
        inputs = latest_data_versions(instance, graph.dependencies[asset])
        lineages = lineage_of_partitions(lake, head, asset, wrong)
        for part in wrong:
            lineage = lineages.get(part, {})
            report_materialization(
                instance,
                asset,
                content=held.get(part, ABSENT),
                code_version=lineage.get("code_version"),
                inputs=_inputs(lineage, inputs),
                metadata=_metadata(head, target, None),
                partition=part,
            )
            told[asset] = told.get(asset, 0) + 1
    return told


def lineage_of_partitions(lake: Lake, ref: str, asset: str, partitions: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """As `lineage_at`, of each partition: from the newest commit that wrote it; without those that none is known of."""
    waiting, found = set(partitions), dict[str, Mapping[str, Any]]()
    for commit in islice(lake.log(ref), _LOOKED_AT if waiting else 0):
        said = json.loads(commit.metadata.get("lineage", "{}")).get(asset)
        if said is None:
            continue
        found |= {part: said for part in waiting if "partitions" not in said or part in Span(*said["partitions"])}
        waiting -= found.keys()
        if not waiting:
            break
    return found


def _inputs(lineage: Mapping[str, Any], shown: Mapping[str, tuple[str, int]]) -> dict[str, tuple[str, int | None]]:
    """Version and event of each input; the event only where the page still shows that version."""
    return {
        dep: (version, shown[dep][1] if dep in shown and shown[dep][0] == version else None)
        for dep, version in _made_from(lineage, shown).items()
    }


def _made_from(
    lineage: Mapping[str, Any], shown: Mapping[str, Any], *, unknown: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Version of each recorded input as its page tells it, also of one that was not there; `unknown` if none is."""
    return {
        dep: content or (ABSENT if dep in shown else NEVER_MADE)
        for dep, content in lineage.get("inputs", unknown).items()
    }


def _metadata(head: str, target: str, held_back: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"lake/branch": target, "lake/commit": head}
    if held_back is not None:
        metadata |= {"lake/published": False, "lake/held_back_on": held_back}
    return metadata
