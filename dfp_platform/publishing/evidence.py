"""Gathering what the gate looks at: from the lake at two pinned heads, and from Dagster's event log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import dagster as dg

from dfp_platform.catalog import content_at
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.lake.ownership import read_ownership
from dfp_platform.publishing.gate import Evidence
from dfp_platform.resources.dagster_internals import Graph, evaluations
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.verdicts import CHECKS, read_verdict, verdict_path
from dfp_platform.schemas import CommitId, Difference, Verdict

_RUN = "_run/"


@dataclass(frozen=True, slots=True)
class Heads:
    """The commits a decision is about: the run's branch, the target, and what both descend from."""

    run: CommitId
    target: CommitId
    base: CommitId


def new_verdicts(lake: Lake, ref: str, instance: dg.DagsterInstance, run_id: str) -> dict[str, bytes]:
    """Verdict objects of the checks that a run evaluated, by path; a later evaluation replaces an earlier one.

    An asset that a run did not make was judged as it stands at `ref`.
    """
    found: dict[str, bytes] = {}
    for said in evaluations(instance, run_id):
        content = said.content or content_at(lake, ref, said.asset)
        verdict = Verdict(said.asset, said.check, content, said.passed, said.figure, said.limit)
        found[verdict_path(said.asset, said.check)] = json.dumps(asdict(verdict), sort_keys=True).encode()
    return found


def verdicts_so_far(lake: LakeResource, instance: dg.DagsterInstance, run_id: str) -> list[Verdict]:
    """What the checks of a run that still works have said, by asset and check; for a report within that run."""
    said = new_verdicts(lake.store, lake.store.resolve(lake.ref), instance, run_id)
    return [Verdict(**json.loads(said[path])) for path in sorted(said)]


def gather(
    lake: Lake, graph: Graph, heads: Heads, *, run_id: str, status: str, failed_steps: tuple[str, ...]
) -> Evidence:
    """The evidence about one run at pinned heads."""
    ours = _changed(lake, graph, heads.base, heads.run)
    theirs = _changed(lake, graph, heads.base, heads.target)
    changed = {asset: content_at(lake, heads.run, asset) for asset in ours.assets}
    moved = {asset: content_at(lake, heads.target, asset) for asset in theirs.assets}
    owner = read_ownership(lake, heads.run)
    return Evidence(
        run_id=run_id,
        status=status,
        owner=owner.run_id if owner else None,
        changed={asset: content for asset, content in changed.items() if _differs(lake, heads.base, asset, content)},
        failed_steps=failed_steps,
        unowned=ours.unowned,
        required={asset: graph.required.get(asset, ()) for asset in changed},
        verdicts=_verdicts(lake, graph, heads.run, changed),
        moved={asset: content for asset, content in moved.items() if _differs(lake, heads.base, asset, content)},
        dependencies={asset: graph.dependencies[asset] for asset in changed},
        overlap=tuple(sorted(asset for asset in changed if asset in moved and changed[asset] != moved[asset])),
    )


def settled_paths(lake: Lake, graph: Graph, heads: Heads) -> Mapping[str, Content]:
    """What stands, after the merge, at paths that both sides changed though neither contradicts the other.

    Equal content written twice keeps the target's files; a verdict follows the asset it judged.
    """
    ours = {d.path: d for d in lake.diff(heads.base, heads.run)}
    theirs = {d.path: d for d in lake.diff(heads.base, heads.target)}
    settled: dict[str, Content] = {}
    for path in ours.keys() & theirs.keys():
        if path.startswith(CHECKS):
            settled[path] = _following(graph, ours[path], theirs[path], lake, heads)
        else:
            settled[path] = theirs[path].after
    return settled


def _following(graph: Graph, ours: Difference, theirs: Difference, lake: Lake, heads: Heads) -> Content:
    asset = graph.owner_of(ours.path.removeprefix(CHECKS))
    if asset is None or content_at(lake, heads.run, asset) == content_at(lake, heads.base, asset):
        return theirs.after
    return ours.after


@dataclass(frozen=True, slots=True)
class _Changed:
    assets: tuple[str, ...]
    unowned: tuple[str, ...]


def _changed(lake: Lake, graph: Graph, before: CommitId, after: CommitId) -> _Changed:
    assets: set[str] = set()
    unowned: list[str] = []
    for difference in lake.diff(before, after):
        if difference.path.startswith((CHECKS, _RUN)) or _is_namespace(difference.path):
            continue
        asset = graph.owner_of(difference.path)
        if asset is None:
            unowned.append(difference.path)
        else:
            assets.add(asset)
    return _Changed(tuple(sorted(assets)), tuple(unowned))


def _is_namespace(path: str) -> bool:
    return path.endswith("/=namespace")


def _differs(lake: Lake, base: CommitId, asset: str, content: str) -> bool:
    return content != content_at(lake, base, asset)


def _verdicts(lake: Lake, graph: Graph, ref: CommitId, assets: Mapping[str, str]) -> dict[tuple[str, str], Verdict]:
    wanted = ((asset, check) for asset in assets for check in graph.required.get(asset, ()))
    read = {(asset, check): read_verdict(lake, ref, asset, check) for asset, check in wanted}
    return {key: verdict for key, verdict in read.items() if verdict is not None}
