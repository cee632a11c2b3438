"""A small code location with an asset that Spark makes, as a person would write one."""

import dagster as dg

from dfp_platform.publishing.executor import publishing
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.spark_session import SparkResource


@dg.asset(key=["tables", "marts", "twice"], deps=[["tables", "marts", "once"]])
def twice(lake: LakeResource, spark: SparkResource) -> dg.MaterializeResult:
    """The rows of `marts.once`, each a second time."""
    with spark.session() as session:
        session.sql("insert into marts.once values (3)")  # on the run's branch, so the next statement sees it
        session.sql("create table marts.twice using iceberg as select id from marts.once union all table marts.once")
    return lake.materialized("tables/marts/twice")


@dg.asset(key=["tables", "marts", "once"])
def once() -> None:
    """Rows that are there."""


def defs() -> dg.Definitions:
    """The code location, for the settings of its test."""
    lake = LakeResource()
    return dg.Definitions(
        assets=[once, twice],
        resources={"lake": lake, "spark": SparkResource(lake=lake)},
        executor=publishing(dg.in_process_executor),
    )
