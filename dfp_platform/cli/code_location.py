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


def instance() -> AbstractContextManager[DagsterInstance]:
    """Dagster's records of this project, wherever the command was called."""
    from dfp_platform.resources.dagster_internals import project_instance
    from dfp_platform.settings import PROJECT_ROOT, settings

    return project_instance(PROJECT_ROOT, settings().dagster_home)
