"""The composition root: every asset, check, resource, job and sensor of the one code location."""

from collections.abc import Callable

import dagster as dg

from dfp_platform.assets import (
    benchmarks,
    champions,
    evaluation,
    features,
    label_budget,
    mobile,
    model_cards,
    models,
    raw,
    reports,
    studies,
    tables,
)
from dfp_platform.assets.raw_on_spark import ingest_on_spark
from dfp_platform.publishing.executor import publishing
from dfp_platform.publishing.job import publish_job
from dfp_platform.publishing.launch import MAIN_JOB
from dfp_platform.publishing.maintenance import maintain_job, maintain_weekly
from dfp_platform.resources.dbt import DbtResource
from dfp_platform.resources.io_managers import io_managers
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.source import SourceResource
from dfp_platform.resources.spark_session import SparkResource
from dfp_platform.resources.tracking import TrackingResource
from dfp_platform.sensors.reconciling import reconcile_runs
from dfp_platform.settings import settings

EXECUTORS: dict[str, Callable[[], dg.ExecutorDefinition]] = {
    "in_process": lambda: publishing(dg.in_process_executor),
    "multiprocess": lambda: publishing(dg.multiprocess_executor),
    "forkserver": lambda: publishing(
        dg.multiprocess_executor, start_method={"forkserver": {"preload_modules": ["dfp_platform.definitions"]}}
    ),
}
"""Where the steps of a run execute, by `Settings.step_process`."""

_ROOMS = (raw, features, models, champions, evaluation, mobile, reports, model_cards, benchmarks)


def compose() -> dg.Definitions:
    """Put the code location together for the current settings."""
    lake = LakeResource(branch=settings().branch)
    tables_made = tables.dbt_tables()
    line = [*(asset for room in _ROOMS for asset in room.assets), tables_made]
    main_line = dg.define_asset_job(
        MAIN_JOB,
        dg.AssetSelection.assets(*line),
        description="Raw apps to a measured model and its report, published in one commit. "
        "Tables by month are made whole, whichever partition is chosen.",
    )
    months = dg.define_asset_job(
        "months",
        dg.AssetSelection.assets(*tables.partitioned(tables_made)),
        description="Tables by month: for backfills, each of which is one run over the months that are chosen.",
    )
    return dg.Definitions(
        assets=[*line, *models.beyond, *mobile.beyond, *label_budget.beyond, *studies.beyond, *benchmarks.beyond],
        asset_checks=[check for room in _ROOMS for check in room.checks],
        jobs=[main_line, months, ingest_on_spark, publish_job, maintain_job],
        schedules=[maintain_weekly],
        sensors=[reconcile_runs],
        resources={
            "lake": lake,
            "source": SourceResource(),
            "dbt": DbtResource(lake=lake),
            "spark": SparkResource(lake=lake),
            "tracking": TrackingResource(lake=lake),
            **io_managers(lake),
        },
        executor=EXECUTORS[settings().step_process](),
    )


defs = compose()
