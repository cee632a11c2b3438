"""The one code location, as commands need it: its asset graph and its Dagster instance. Loading it takes seconds."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from dfp_platform.resources.dagster_internals import Graph


def graph() -> Graph:
    """What each asset is made from, and which checks it has to pass."""
    from dfp_platform.definitions import defs
    from dfp_platform.resources.dagster_internals import graph_of

    return graph_of(defs.resolve_asset_graph())


def loaded_whole() -> Graph:
    """`graph`, once every job, schedule and sensor was put together too, as Dagster's own programs do."""
    from dfp_platform.definitions import defs
    from dfp_platform.resources.dagster_internals import graph_of

    repository = defs.get_repository_def()
    repository.validate_loadable()
    return graph_of(repository.asset_graph)


def steps() -> dict[str, tuple[str, ...]]:
    """The steps by which each asset is made and judged."""
    from dfp_platform.definitions import defs
    from dfp_platform.resources.dagster_history import steps_of_assets

    return steps_of_assets(defs.resolve_asset_graph())


def partitions() -> dict[str, list[str]]:
    """The partition keys of each partitioned asset, in order."""
    from dfp_platform.definitions import defs
    from dfp_platform.resources.dagster_internals import path_of

    assets = defs.resolve_asset_graph()
    keyed = {path_of(key): assets.get(key).partitions_def for key in assets.materializable_asset_keys}
    return {asset: list(found.get_partition_keys()) for asset, found in keyed.items() if found is not None}


def instance() -> AbstractContextManager[DagsterInstance]:
    """Dagster's records of this project, wherever the command was called."""
    from dfp_platform.resources.dagster_internals import configured_instance

    return configured_instance()
