"""The composition root: every asset, check, resource, job and sensor of the one code location."""

import dagster as dg

from dfp_platform.assets import (
    benchmarks,
    champions,
    checks,
    drift,
    evaluation,
    feature_quality,
    features,
    label_budget,
    mobile,
    model_cards,
    models,
    raw,
    raw_quality,
    reports,
    studies,
    tables,
    traffic,
)
from dfp_platform.assets.owners import owned
from dfp_platform.assets.raw_on_spark import ingest_on_spark
from dfp_platform.publishing.executor import EXECUTORS
from dfp_platform.publishing.job import publish_job
from dfp_platform.publishing.maintenance import maintain_job
from dfp_platform.publishing.smoke_test import smoke_test
from dfp_platform.resources.dagster_internals import retry_unnamed_job
from dfp_platform.resources.dbt import DbtResource
from dfp_platform.resources.io_managers import io_managers
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.retrying import retries
from dfp_platform.resources.source import SourceResource
from dfp_platform.resources.spark_session import SparkResource
from dfp_platform.resources.tracking import TrackingResource
from dfp_platform.sensors.alerts import tell_people
from dfp_platform.sensors.drift import retrain_on_drift
from dfp_platform.sensors.following import following
from dfp_platform.sensors.jobs import line_jobs
from dfp_platform.sensors.lineage import lineage_sensors
from dfp_platform.sensors.reconciling import reconcile_runs
from dfp_platform.sensors.retraining import retrain_line
from dfp_platform.sensors.schedules import schedules
from dfp_platform.settings import settings

_ROOMS = (raw, features, models, champions, evaluation, mobile, reports, model_cards, benchmarks, traffic, drift)
_BEYOND = (models, mobile, label_budget, studies, benchmarks, traffic, drift, checks)


def compose() -> dg.Definitions:
    """Put the code location together for the current settings."""
    lake = LakeResource(branch=settings().branch)
    tables_made = tables.dbt_tables()
    line = [*(asset for room in _ROOMS for asset in room.assets), tables_made]
    months = dg.define_asset_job(
        "months",
        dg.AssetSelection.assets(*tables.partitioned(tables_made)),
        description="Tables by month: for backfills, each of which is one run over the months that are chosen.",
    )
    jobs = line_jobs()
    composed = dg.Definitions(
        assets=owned([*line, *(asset for room in _BEYOND for asset in room.beyond)]),
        asset_checks=[
            *(check for room in _ROOMS for check in room.checks),
            *raw_quality.checks,
            *feature_quality.checks,
        ],
        jobs=[*jobs, months, ingest_on_spark, publish_job, maintain_job, smoke_test],
        schedules=schedules(),
        sensors=[reconcile_runs, following(), retrain_line(jobs), retrain_on_drift, tell_people, *lineage_sensors()],
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
    return retry_unnamed_job(composed, retries().policy())


defs = compose()
