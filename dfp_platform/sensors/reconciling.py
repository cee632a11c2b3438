"""Brings what crashed runs left behind to a clean end, also when no other run begins."""

from dataclasses import asdict

import dagster as dg

from dfp_platform.lake import open_lake
from dfp_platform.publishing.promotions import settle
from dfp_platform.publishing.publication import Publisher
from dfp_platform.publishing.reconciler import reconcile
from dfp_platform.publishing.truth import tell_partitions
from dfp_platform.resources.dagster_internals import graph_of
from dfp_platform.settings import settings

PARTITIONS_A_TICK = 200
"""Pages of partitions that one tick corrects: some seconds of the minute it may take."""


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
    partitions = tell_partitions(context.instance, lake, graph, at_most=PARTITIONS_A_TICK)
    told += [f"told {number} partitions of {asset}" for asset, number in partitions.items()]
    return dg.SkipReason("; ".join(told) or "nothing to mend")
