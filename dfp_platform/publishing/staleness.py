"""Which assets do not follow from what lies beside them: told by the lake alone, whoever wrote to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dfp_platform.catalog import content_at
from dfp_platform.errors import CorruptLakeError
from dfp_platform.lake.interface import Lake
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.lineage import objects_of, records_of
from dfp_platform.schemas import Commit, CommitId

Fact = tuple[str, tuple[str, ...], tuple[str, ...]]
"""An asset, the digests of its objects, and the contents of its inputs that it was made from; true for ever."""


def upstream(graph: Graph, assets: Iterable[str]) -> tuple[str, ...]:
    """`assets` and all that they are made from, in topological order."""
    reached: set[str] = set()
    waiting = list(assets)
    while waiting:
        if (asset := waiting.pop()) not in reached:
            reached.add(asset)
            waiting += graph.dependencies.get(asset, ())
    return tuple(asset for asset in graph.topological() if asset in reached)


def contents_at(lake: Lake, commit: CommitId, assets: Iterable[str]) -> dict[str, str]:
    """Content id of each asset at a commit; empty for one that is not there."""
    return {asset: content_at(lake, commit, asset) for asset in assets}


def stale(
    lake: Lake, commit: CommitId, graph: Graph, contents: Mapping[str, str], known: set[Fact] | None = None
) -> tuple[str, ...]:
    """Those assets that were not made from what stands at a commit, in the order of `contents`.

    One that is not there is stale if all it is made from is. One of which nobody can tell any more, because what lay
    beside it was collected as garbage, is stale too. What follows from a stale asset is not, until that is made anew.

    Args:
        contents: of these assets, and of all that they are made from, at the commit.
        known: what was found before, which is not asked for again: a lake on a server walks history for an answer.
    """
    follows = set() if known is None else known

    def is_stale(asset: str) -> bool:
        inputs = graph.dependencies.get(asset, ())
        if not inputs or not contents[asset]:
            return bool(inputs) and all(contents[dep] for dep in inputs)
        objects = tuple(found.sha256 for found in objects_of(lake, commit, asset))
        fact = (asset, objects, tuple(contents[dep] for dep in inputs))
        if fact in follows:
            return False
        try:
            made_from = _made_from(lake, _made(lake, commit, asset, contents[asset]), asset, inputs)
        except CorruptLakeError:
            return True
        if any(contents.get(dep) != content for dep, content in made_from.items()):
            return True
        follows.add(fact)
        return False

    return tuple(asset for asset in contents if is_stale(asset))


def _made(lake: Lake, commit: CommitId, asset: str, content: str) -> Commit:
    """The commit that gave an asset its content. What was only written anew since, as a compaction does, is passed."""
    writers = {found.path: lake.provenance(commit, found.path) for found in objects_of(lake, commit, asset)}
    whole = (path for path, writer in writers.items() if content_at(lake, writer.id, asset) == content)
    path = next(whole, None) or max(writers, key=lambda path: writers[path].time)  # else a merge put it together
    made = writers[path]
    while made.parents and content_at(lake, made.parents[0], asset) == content:
        made = lake.provenance(made.parents[0], path)
    return made


def _made_from(lake: Lake, made: Commit, asset: str, inputs: Iterable[str]) -> dict[str, str]:
    """Content of each input as it was recorded, else as it lay beside the asset."""
    recorded = records_of(made).get(asset, {}).get("inputs")
    if recorded is not None:
        return {dep: recorded[dep] for dep in inputs if dep in recorded}
    return contents_at(lake, made.id, inputs)
