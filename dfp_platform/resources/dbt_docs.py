"""Descriptions of what dbt made, put into the tables themselves, whichever engine made them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from dfp_platform.lake import Lake
from dfp_platform.resources.dagster_internals import path_of


def describe_models(lake: Lake, branch: str, manifest: Path, assets: Iterable[str]) -> None:
    """Give tables and their columns the descriptions of the dbt project, and features those of the raw data.

    A table that has them already gets no commit. It is not left to dbt, whose way on Spark is a statement a column.

    Args:
        manifest: the parsed dbt project.
        assets: the models that were made, as lake paths.
    """
    from dagster_dbt import DagsterDbtTranslator

    from dfp_platform.catalog import open_catalog
    from dfp_platform.catalog.describing import describe
    from dfp_platform.catalog.names import identifier_of

    nodes = json.loads(manifest.read_text())["nodes"].values()
    keyed = DagsterDbtTranslator()
    models = {path_of(keyed.get_asset_key(node)): node for node in nodes if node["resource_type"] == "model"}
    catalog = open_catalog(lake, branch)
    for asset in assets:
        model = models[asset]
        stated = {name: column["description"] for name, column in model["columns"].items() if column["description"]}
        described = partial(_described, stated)
        describe(catalog, identifier_of(asset), described, comment=model["description"].strip())


def _described(stated: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    from dfp_platform.ingest.descriptions import descriptions

    return {**descriptions(names), **stated}
