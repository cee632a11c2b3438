"""A code location of one asset, a partition of one table: what `benchmarks/merging_runs.py` runs many times at once."""

import os

import dagster as dg
import pyarrow as pa

from dfp_platform.publishing.executor import publishing
from dfp_platform.resources.lake import LakeResource

EVENTS = dg.AssetKey(["tables", "bench", "events"])


@dg.asset(key=EVENTS)
def events(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    """Ten thousand rows of the day that the environment names."""
    from dfp_platform.catalog import open_catalog, overwrite_partitions

    day = os.environ["DFP_BENCH_DAY"]
    catalog = open_catalog(lake.writer(context, "tables/bench/events"), lake.ref)
    rows = pa.table({"day": [day] * 10_000, "value": list(range(10_000))})
    overwrite_partitions(catalog, "bench.events", rows, partition=["day"])
    return lake.materialized("tables/bench/events")


@dg.asset_check(asset=EVENTS, blocking=True, metadata={"lake/local": "rows"})
def no_value_is_negative(lake: LakeResource) -> dg.AssetCheckResult:
    """Looks at one row at a time, as its metadata says."""
    from dfp_platform.catalog import scan

    return dg.AssetCheckResult(passed=not scan(lake.store, lake.ref, "bench.events", row_filter="value < 0").num_rows)


defs = dg.Definitions(
    assets=[events],
    asset_checks=[no_value_is_negative],
    resources={"lake": LakeResource()},
    executor=publishing(dg.in_process_executor),
)
