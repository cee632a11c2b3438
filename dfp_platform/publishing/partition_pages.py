"""The pages of partitions, told by a process of their own: it reads table files, and what that needs stays small so.

A code location lives as long as `dagster dev`; pyiceberg and pyarrow in it would be 60 MB for a look a minute.
"""

from __future__ import annotations

import json
import subprocess
import sys

import dagster as dg

from dfp_platform.catalog import content_at
from dfp_platform.lake import open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.publishing.truth import tell_partitions
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.dagster_partitions import instance_from_text, instance_to_text, latest_records
from dfp_platform.settings import settings

AT_MOST = 400
"""Partitions that are told at once: some seconds of the minute that a sensor's tick may take."""


def told_so_far(instance: dg.DagsterInstance, lake: Lake, graph: Graph) -> str:
    """What the lake holds of partitioned assets, and which record of each Dagster has last; equal: nothing to tell."""
    target = settings().branch
    held = {asset: content_at(lake, target, asset) for asset in graph.partitioned} if target in lake.branches() else {}
    return json.dumps([held, latest_records(instance, sorted(graph.partitioned))], sort_keys=True)


def tell_in_a_process(instance: dg.DagsterInstance, graph: Graph) -> dict[str, int]:
    """`tell_partitions` in a process of its own. Raises CalledProcessError: it failed; its words are on stderr."""
    partitioned = {asset: graph.dependencies[asset] for asset in graph.partitioned}
    asked = json.dumps({"instance": instance_to_text(instance), "partitioned": partitioned})
    command = [sys.executable, "-m", "dfp_platform.publishing.partition_pages"]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _main() -> None:
    asked = json.load(sys.stdin)
    dependencies = {asset: tuple(deps) for asset, deps in asked["partitioned"].items()}
    graph = Graph(dependencies, required={}, code_versions={}, partitioned=frozenset(dependencies))
    with instance_from_text(asked["instance"]) as instance:
        told = tell_partitions(instance, open_lake(settings().lake_uri), graph, at_most=AT_MOST)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    _main()
