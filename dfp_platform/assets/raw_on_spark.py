"""The job `ingest_on_spark`: files too large for one machine become the raw table of a data set, by Spark."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from dfp_platform.assets.raw import judged_rows
from dfp_platform.errors import NotFoundError
from dfp_platform.publishing.launch import INGEST_JOB
from dfp_platform.resources.checks import completed
from dfp_platform.resources.dagster_internals import graph_of, key_of, materialization
from dfp_platform.resources.lake import LakeResource, lineage_of
from dfp_platform.resources.retrying import retries
from dfp_platform.resources.source import SourceResource
from dfp_platform.resources.spark_session import SparkResource

if TYPE_CHECKING:
    from dfp_platform.ingest import Origin


class ArchiveConfig(dg.Config):
    """What is read."""

    dataset: str = Field("kronodroid_real_device", description="kronodroid_real_device or kronodroid_emulator.")
    files: list[str] = Field(
        description="CSV files, or zips of one, by a path or address under which every executor of Spark finds them."
    )


@dg.op
def ingest_archive(
    context: dg.OpExecutionContext,
    config: ArchiveConfig,
    lake: LakeResource,
    source: SourceResource,
    spark: SparkResource,
) -> None:
    """Both raw assets of a data set in one step: Spark writes the table's files, so none land beside it."""
    from dfp_platform.catalog import open_catalog
    from dfp_platform.catalog.describing import describe
    from dfp_platform.ingest import DATASETS
    from dfp_platform.ingest.descriptions import descriptions
    from dfp_platform.ingest.landing import commit_load, standing
    from dfp_platform.ingest.slices import Terms
    from dfp_platform.resources.spark_ingest import ingested

    if config.dataset not in DATASETS:
        raise NotFoundError(
            f"no data set is called {config.dataset!r}", hint=f"use one of {', '.join(DATASETS)}", name=config.dataset
        )
    assets = (f"raw/{config.dataset}", f"tables/raw/{config.dataset}")
    graph, lineage = graph_of(context.repository_def.asset_graph), {}
    terms = Terms(source.implausible_dates or "reject", source.syscalls)
    with lake.store.transaction(lake.ref, message=f"ingest {config.dataset} by Spark", metadata=lineage) as branch:
        appended = source.disposition == "append"
        beside = standing(lake.store, branch, config.dataset, as_files=False) if appended else ()
        with spark.session(branch) as session:
            made = ingested(session, config.dataset, config.files, terms=terms, beside=beside)
        describe(open_catalog(lake.store, branch), ("raw", config.dataset), descriptions)
        commit_load(lake.store, branch, config.dataset, [], made, beside=beside)
        told = lineage_of(lake.store, graph, branch, *assets)
        lineage["lineage"] = json.dumps(told, sort_keys=True)
    _tell(context, lake, made, {asset: told[asset] for asset in assets})
    context.log_event(_has_rows(lake, config.dataset, made.rows))  # type: ignore[arg-type] # annotated as if it took fewer


def _tell(context: dg.OpExecutionContext, lake: LakeResource, made: "Origin", lineage: Mapping[str, Any]) -> None:
    """Report what stands at the two assets, by their lineage: the landed rows, and their table."""
    landed = {"dagster/row_count": made.rows, "source": made.note, "load_id": made.load_id}
    for asset, recorded in lineage.items():
        stated = lake.table_metadata(asset) if asset.startswith("tables/") else landed
        context.log_event(
            materialization(
                asset,
                content=lake.content(asset),
                code_version=recorded["code_version"],
                inputs={dep: (content, None) for dep, content in recorded["inputs"].items()},
                metadata={**stated, **lake.located(asset)},
            )
        )


def _has_rows(lake: LakeResource, dataset: str, rows: int) -> dg.AssetCheckEvaluation:
    """The check of the asset, which has no step of its own here."""
    asset = f"raw/{dataset}"
    said = completed(lake, judged_rows(dataset, rows), asset=asset, check="has_rows")
    return dg.AssetCheckEvaluation(
        asset_key=key_of(asset),
        check_name="has_rows",
        passed=said.passed,
        metadata=said.metadata,
        description=said.description,
        blocking=True,
    )


@dg.job(
    name=INGEST_JOB,
    description="Read files by Spark into the raw table of a data set, and publish it.",
    op_retry_policy=retries().policy(INGEST_JOB),
)
def ingest_on_spark() -> None:
    """One op: `ingest_archive`."""
    ingest_archive()
