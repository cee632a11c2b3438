"""raw/: apps as they were published, one parquet object per device, and the Iceberg tables over the same files."""

import dagster as dg

from dfp_platform.assets.freshness import freshness
from dfp_platform.resources.checks import asset_check
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.source import SourceResource

DATASETS = ("kronodroid_real_device", "kronodroid_emulator")


def raw_asset(dataset: str) -> dg.AssetsDefinition:
    """The asset that lands one dataset."""

    @dg.asset(
        key=["raw", dataset],
        group_name="raw",
        code_version="2",
        freshness_policy=freshness(),
        kinds={"dlt", "parquet"},
        description=f"KronoDroid apps of the {dataset.removeprefix('kronodroid_').replace('_', ' ')}, as published.",
    )
    def landed(context: dg.AssetExecutionContext, lake: LakeResource, source: SourceResource) -> dg.MaterializeResult:
        from dfp_platform.ingest import bars, land

        asset = f"raw/{dataset}"
        with bars() as progress:
            landing = land(
                lake.writer(context, asset),
                lake.ref,
                dataset,
                source=source.source,
                sample_rows=source.rows,
                seed=source.chosen_seed,
                cache=source.cache,
                kaggle_token=source.kaggle_token,
                implausible_dates=source.implausible_dates,
                write_disposition=source.disposition,
                new_syscalls=source.syscalls,
                progress=progress,
            )
        figures = {"dagster/row_count": landing.rows, "bytes": landing.bytes, "mended": dict(landing.mended)}
        told = {"source": landing.note, "synthetic": landing.synthetic, "load_id": landing.load_id}
        return lake.materialized(asset, {**figures, **told})

    return landed


def raw_table(dataset: str) -> dg.AssetsDefinition:
    """The asset that registers one dataset's files as an Iceberg table."""

    @dg.asset(
        key=["tables", "raw", dataset],
        deps=[["raw", dataset]],
        group_name="raw",
        code_version="1",
        freshness_policy=freshness(),
        kinds={"iceberg"},
        description=f"Iceberg table over the parquet files of raw/{dataset}; nothing is copied.",
    )
    def registered(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from dfp_platform.catalog import open_catalog
        from dfp_platform.catalog.describing import describe
        from dfp_platform.ingest import register
        from dfp_platform.ingest.descriptions import descriptions

        asset = f"tables/raw/{dataset}"
        store = lake.writer(context, asset)
        register(store, lake.ref, dataset)
        describe(open_catalog(store, lake.ref), ("raw", dataset), descriptions)
        return lake.materialized(asset, lake.table_metadata(asset))

    return registered


def has_rows(dataset: str) -> dg.AssetChecksDefinition:
    """A file holds apps of the real device alone, so only that one must not be empty."""

    @asset_check(asset=["raw", dataset], name="has_rows", blocking=True, description=has_rows.__doc__ or "")
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        from dfp_platform.ingest import origin

        return judged_rows(dataset, origin(lake.store, lake.ref, dataset).rows)

    return check


def judged_rows(dataset: str, rows: int) -> dg.AssetCheckResult:
    """What `has_rows` says of a number of rows."""
    least = 1 if dataset == DATASETS[0] else 0
    return dg.AssetCheckResult(
        passed=rows >= least, metadata={"figure": float(rows), "limit": float(least), "unit": "apps"}
    )


assets = [make(dataset) for make in (raw_asset, raw_table) for dataset in DATASETS]
checks = [has_rows(dataset) for dataset in DATASETS]
