"""The queries of the dbt project as dbt compiled them for DataFusion, from parquet to parquet and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

from datafusion import SessionContext

from dfp_platform.catalog import open_catalog
from dfp_platform.ingest import DATASETS
from dfp_platform.lake import open_lake

MODELS = (
    "staging/stg_kronodroid__real_device",
    "staging/stg_kronodroid__emulator",
    "staging/stg_kronodroid__combined",
    "marts/split_index",
    "marts/fct_training_dataset",
    "marts/fct_malware_samples",
    "marts/dim_malware_families",
    "marts/fct_apps_by_month",
)
"""In the order in which they read one another."""


def main(lake_uri: str, folder: Path) -> None:
    """Run every model's query once."""
    from datafusion import SessionConfig

    config = SessionConfig().with_default_catalog_and_schema("lake", "staging").with_target_partitions(1)
    context = SessionContext(config)
    for schema in ("raw", "staging", "marts"):
        context.sql(f"create schema if not exists lake.{schema}").collect()
    catalog = open_catalog(open_lake(lake_uri))
    for dataset in DATASETS:
        files = [task.file.file_path for task in catalog.load_table(f"raw.{dataset}").scan().plan_files()]
        for number, file in enumerate(files):
            _register(context, f"raw.{dataset}_{number}", Path(file.removeprefix("file://")))
        parts = " union all ".join(f"select * from lake.raw.{dataset}_{number}" for number in range(len(files)))
        context.sql(f"create view lake.raw.{dataset} as {parts}").collect()
    for model in MODELS:
        query = (folder / "datafusion" / "compiled" / "dfp" / "models" / f"{model}.sql").read_text()
        place = folder / "bare" / model
        place.mkdir(parents=True)
        context.sql(query).write_parquet(str(place))
        _register(context, model.replace("/", "."), place)


def _register(context: SessionContext, name: str, place: Path) -> None:
    location = f"{place}/" if place.is_dir() else str(place)
    context.sql(f"create external table lake.{name} stored as parquet location '{location}'").collect()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
