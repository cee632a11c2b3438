"""Brings what crashed runs left behind to a clean end, also when no other run begins."""

from dataclasses import asdict

import dagster as dg

from dfp_platform.lake import open_lake
from dfp_platform.publishing.partition_pages import AT_MOST, tell_in_a_process, told_so_far
from dfp_platform.publishing.promotions import settle
from dfp_platform.publishing.publication import Publisher
from dfp_platform.publishing.reconciler import reconcile
from dfp_platform.resources.dagster_internals import graph_of
from dfp_platform.settings import settings


@dg.sensor(
    name="reconcile_runs",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Seals the branches of dead runs, finishes publications that a crash interrupted, and makes the pages "
    "of partitions say what the lake holds.",
)
def reconcile_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One tick."""
    assert context.repository_def is not None
    graph = graph_of(context.repository_def.asset_graph)
    lake = open_lake(settings().lake_uri, create=True)
    mended = reconcile(Publisher(lake, context.instance, graph, settle))
    told = [f"{what} {', '.join(runs)}" for what, runs in asdict(mended).items() if runs]
    if graph.partitioned and told_so_far(context.instance, lake, graph) != context.cursor:
        partitions = tell_in_a_process(context.instance, graph)
        told += [f"told {number} partitions of {asset}" for asset, number in partitions.items()]
        if sum(partitions.values()) < AT_MOST:  # else there may be more to tell
            context.update_cursor(told_so_far(context.instance, lake, graph))
    return dg.SkipReason("; ".join(told) or "nothing to mend")
