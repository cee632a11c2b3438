"""tables/: what dbt makes of the raw tables, staging and marts, one Iceberg table each; its tests are asset checks."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets

from dfp_platform.resources.dbt import DbtResource, manifest


class TablesTranslator(DagsterDbtTranslator):
    """Files every model under the room it stands in."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return "tables"


def dbt_tables() -> dg.AssetsDefinition:
    """Every model of the dbt project, built in one dbt process."""

    @dbt_assets(manifest=manifest(), name="dbt_build", dagster_dbt_translator=TablesTranslator())
    def dbt_build(context: dg.AssetExecutionContext, dbt: DbtResource) -> Iterator[Any]:
        yield from dbt.build(context)

    return dbt_build
