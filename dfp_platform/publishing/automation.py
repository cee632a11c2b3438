"""When assets are made because what they are made from has changed: never before that is published."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from dfp_platform.errors import DfpError
from dfp_platform.lake import open_lake
from dfp_platform.publishing.staleness import contents_at, stale
from dfp_platform.resources.dagster_internals import Graph, latest_data_versions, path_of
from dfp_platform.settings import settings


class UpstreamPublished(dg.AutomationCondition[dg.AssetKey]):
    """The configured branch holds other content of what the asset is made from than it was made from, and pages say so.

    Dagster records a materialization when a step ends, which is before its run is published and even if it never is;
    after a hold-back it records one more, by which the page says again what is published. A condition that went by
    such records alone would start runs on results that nobody published. False too while the lake does not answer.
    """

    @property
    def name(self) -> str:
        """As the page of an evaluation shows it."""
        return "upstream_published"

    def evaluate(self, context: Any) -> dg.AutomationResult[dg.AssetKey]:
        """True of the whole asset, or not at all."""
        upstream = [path_of(key) for key in context.asset_graph.get(context.key).parent_keys]
        news = has_news(context.asset_graph_view.instance, path_of(context.key), upstream)
        return dg.AutomationResult(context, context.candidate_subset if news else context.get_empty_subset())


def has_news(instance: dg.DagsterInstance, asset: str, upstream: Sequence[str]) -> bool:
    """Whether an asset would be made from other content than it was, all of which is published and shown as such."""
    around = Graph(dependencies={**dict.fromkeys(upstream, ()), asset: tuple(upstream)}, required={}, code_versions={})
    try:
        lake = open_lake(settings().lake_uri)
        head = lake.resolve(settings().branch)
        published = contents_at(lake, head, [*upstream, asset])
        if asset not in stale(lake, head, around, published):
            return False
    except DfpError:
        return False
    shown = latest_data_versions(instance, list(upstream))
    return all(shown.get(dep, ("",))[0] == published[dep] for dep in upstream)


def when_published() -> dg.AutomationCondition[dg.AssetKey]:
    """Make the asset as soon as what it is made from has changed and is published, and no run makes it already."""
    return dg.AutomationCondition.eager() & UpstreamPublished()
