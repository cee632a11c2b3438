"""tables/: what dbt makes of the raw tables, staging and marts, one Iceberg table each; its tests are asset checks.

A model whose `meta` says `partitions: month` is made month by month in backfills; a run that makes its inputs too makes
all months.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets

from dfp_platform.assets.freshness import freshness
from dfp_platform.ingest.contract import FIRST_DATE, LAST_DATE
from dfp_platform.resources.dagster_internals import LOCAL
from dfp_platform.resources.dbt import DbtResource, manifest
from dfp_platform.resources.dbt_tests import description

MONTHS = dg.MonthlyPartitionsDefinition(
    start_date=FIRST_DATE.isoformat(), end_date=(LAST_DATE + timedelta(days=1)).isoformat()
)
"""The months that apps can be dated in. A key, `2012-01-01`, is the value of the table's partition."""

PARTITIONS: Mapping[str, dg.PartitionsDefinition] = {"month": MONTHS}
"""By what a model's `meta` says of `partitions`."""


class TablesTranslator(DagsterDbtTranslator):
    """Files every model under the room it stands in; `meta` says how it is partitioned and what a test looks at."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return "tables"

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        marts = self.get_resource_props(manifest, unique_id)["schema"] == "marts"
        return spec.replace_attributes(freshness_policy=freshness()) if marts else spec

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> dg.PartitionsDefinition | None:
        return PARTITIONS.get(dbt_resource_props["config"].get("meta", {}).get("partitions", ""))

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        test = manifest["nodes"][unique_id]
        scope = test["config"].get("meta", {}).get(LOCAL)
        metadata = {**spec.metadata, LOCAL: scope} if scope else spec.metadata
        return spec._replace(description=spec.description or description(test), metadata=metadata)


def dbt_tables() -> dg.AssetsDefinition:
    """Every model of the dbt project, built in one dbt process."""

    @dbt_assets(
        manifest=manifest(),
        name="dbt_build",
        dagster_dbt_translator=TablesTranslator(),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def dbt_build(context: dg.AssetExecutionContext, dbt: DbtResource) -> Iterator[Any]:
        yield from dbt.build(context)

    return dbt_build


def partitioned(assets: dg.AssetsDefinition) -> list[dg.AssetKey]:
    """Those of the assets that are made partition by partition."""
    return [spec.key for spec in assets.specs if spec.partitions_def is not None]
