"""A small code location whose runs write one partition each of one table: what publishing does with a moved target.

Settings of a test are files of `<home>/toy`, as in `toy_line`: `day` is the partition a run writes.
"""

import dagster as dg
import pyarrow as pa

from dfp_platform.publishing.executor import publishing
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings
from tests.toy_line import knob

EVENTS = dg.AssetKey(["tables", "marts", "events"])
TOTALS = dg.AssetKey(["tables", "marts", "totals"])


def write_day(lake: LakeResource, context, day: str) -> None:
    """Replace one partition of the table of events."""
    from dfp_platform.catalog import open_catalog, overwrite_partitions

    catalog = open_catalog(lake.writer(context, "tables/marts/events"), lake.ref)
    rows = pa.table({"day": [day], "value": pa.array([int(knob("value", "1"))], pa.int64())})
    overwrite_partitions(catalog, "marts.events", rows, partition=["day"])


def values(lake: LakeResource) -> list[int]:
    from dfp_platform.catalog import scan

    return scan(lake.store, lake.ref, "marts.events")["value"].to_pylist()


@dg.asset(key=EVENTS)
def events(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    write_day(lake, context, knob("day", "mon"))
    return lake.materialized("tables/marts/events")


@dg.asset(key=TOTALS, deps=[EVENTS])
def totals(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    from dfp_platform.catalog import open_catalog, overwrite

    catalog = open_catalog(lake.writer(context, "tables/marts/totals"), lake.ref)
    overwrite(catalog, "marts.totals", pa.table({"total": [sum(values(lake))]}))
    sources = dg.TableColumnLineage({"total": [dg.TableColumnDep(EVENTS, "value")]})
    return lake.materialized("tables/marts/totals", {"dagster/column_lineage": sources})


def no_value_is_negative(lake: LakeResource) -> dg.AssetCheckResult:
    with (settings().home / "toy" / "judged").open("a") as log:
        log.write(f"{lake.ref}\n")
    return dg.AssetCheckResult(passed=min(values(lake)) >= 0)


def the_sum_is_small(lake: LakeResource) -> dg.AssetCheckResult:
    found = sum(values(lake))
    return dg.AssetCheckResult(passed=found <= 10, metadata={"figure": float(found), "limit": 10.0})


def checks() -> list[dg.AssetChecksDefinition]:
    """What the knob `checks` asks for: one that says it looks at rows or partitions one by one, or two that do not."""
    local = {"local": "rows", "partitioned": "partitions"}.get(knob("checks"))
    one_by_one = {"lake/local": local} if local else None
    found = [dg.asset_check(asset=EVENTS, blocking=True, metadata=one_by_one)(no_value_is_negative)]
    return found if local else [*found, dg.asset_check(asset=EVENTS, blocking=True)(the_sum_is_small)]


def defs() -> dg.Definitions:
    """The code location."""
    (settings().home / "toy").mkdir(parents=True, exist_ok=True)
    return dg.Definitions(
        assets=[events, totals],
        asset_checks=checks(),
        resources={"lake": LakeResource()},
        executor=publishing(dg.in_process_executor),
    )
