"""A training done again, from what was recorded of it, and held against what it made then, byte for byte."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dfp_platform.catalog import content_at
from dfp_platform.errors import InvalidNameError, NotFoundError, PermanentError
from dfp_platform.lake import Content, Lake
from dfp_platform.lake.ownership import run_branch
from dfp_platform.models.data import SPLIT_INDEX, TRAINING_TABLE
from dfp_platform.publishing.launch import RunOutcome
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.lineage import lineage_at, objects_of, writing_of
from dfp_platform.resources.trace_targets import resolve
from dfp_platform.resources.tracing import Step, traced
from dfp_platform.schemas import MAIN, CommitId
from dfp_platform.serving.versions import DATA_TAG
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.replayed import Predictions

RAW = "raw/"
"""Where a replay begins at the earliest: raw rows are read, never landed again."""

CARD = "card.json"

WORDS = {
    "code_version": "code version of the asset",
    "dbt_project": "version of the dbt project, of dbt and the engine",
    "git.commit": "git commit",
    "git.dirty": "uncommitted changes",
}
"""What a person calls what was recorded."""

NOTHING_RECORDED = "nothing that was recorded differs: code, configuration, libraries, kind of machine"

Run = Callable[[CommitId, list[str]], RunOutcome]
"""Makes these assets from a commit, on a branch of a run that publishes nowhere."""


@dataclass(frozen=True, slots=True)
class Original:
    """A model as it was made once.

    Attributes:
        asset: ``models/<name>``.
        commit: the commit that wrote it; what it was made from stands there too.
        run: the run that did.
        record: what that commit says of it: code version, configuration, inputs by content.
        files: its files, by name.
    """

    asset: str
    commit: CommitId
    run: str
    record: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        return self.asset.removeprefix("models/")


@dataclass(frozen=True, slots=True)
class Compared:
    """One asset, then and now.

    Attributes:
        then: its content id as it was recorded; empty: it was not there.
        now: that of the replay.
        made: whether it was made again; else it was only read.
        files: of a model, by name: whether the bytes are the same.
        reasons: why it may differ, as sentences; empty if it does not.
    """

    asset: str
    then: str
    now: str
    made: bool
    files: Mapping[str, bool]
    reasons: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        return self.then == self.now and all(self.files.values())


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay.

    Attributes:
        original: what was done again.
        run: the run that did it.
        branch: where its results are; empty: they are gone.
        seconds: wall-clock of that run.
        assets: each that was read or made again, in the order in which they are made.
        predictions: what both models say of the test apps.
    """

    original: Original
    run: str
    branch: str
    seconds: float
    assets: tuple[Compared, ...]
    predictions: Predictions

    @property
    def first(self) -> Compared | None:
        """The first asset that differs; whatever is made from it may differ because of it."""
        return next((compared for compared in self.assets if not compared.equal), None)

    @property
    def equal(self) -> bool:
        return self.first is None and self.predictions.equal


def original_of(lake: Lake, named: str) -> Original:
    """The model that a lake tag, a model's name or an MLflow run's id names.

    A name means its newest tag, or without one what stands on main.

    Raises:
        NotFoundError: nothing of that name, or something that was read to make it is gone.
        InvalidNameError: it is no model. PermanentError: no commit recorded how it was made.
    """
    target = resolve(lake, _newest_tag(lake, named.removeprefix("models/")) or named, MAIN)
    files = {o.path.removeprefix(f"{target.asset}/"): o.path for o in objects_of(lake, target.commit, target.asset)}
    if not target.asset.startswith("models/") or CARD not in files:
        raise InvalidNameError(
            f"{target.asset} is no model", hint="name a model, its lake tag or its MLflow run", name=named
        )
    found = writing_of(lake, target.commit, target.asset)
    if found.kind != "recorded":
        raise PermanentError(
            f"no commit recorded how {target.asset} was made, so it cannot be made again as it was",
            hint=f"dfp trace {target.asset} --ref {target.commit[:12]} shows what is known",
            asset=target.asset,
        )
    made = found.commit
    read = {name: lake.read(made.id, path) for name, path in files.items()}
    original = Original(target.asset, made.id, made.metadata.get("run", ""), found.record, read)
    for dep in found.record.get("inputs", {}):
        if not content_at(lake, made.id, dep):
            raise NotFoundError(
                f"{dep}, which {target.asset} was made from, is not there at {made.id[:12]} any more",
                hint=f"dfp trace {target.asset} --ref {target.commit[:12]} shows what was read",
                asset=dep,
            )
    return original


def to_make(original: Original, graph: Graph, *, upstream: bool) -> list[str]:
    """The assets that are made again, in order: the model; with `upstream` all between raw rows and it too."""
    wanted, waiting = set[str](), [original.asset]
    while waiting:
        asset = waiting.pop()
        if asset not in wanted and not asset.startswith(RAW):
            wanted.add(asset)
            waiting += graph.dependencies.get(asset, ()) if upstream else ()
    return [asset for asset in graph.topological() if asset in wanted]


def replayed(lake: Lake, original: Original, graph: Graph, run: Run, *, upstream: bool, keep: bool) -> Replay:
    """Make a model again from the commit that wrote it, and compare.

    Args:
        graph: today's assets.
        run: how assets are made.
        upstream: make all from the raw rows on again, not the model alone.
        keep: leave the branch of the run; else it is gone afterwards.
    Raises:
        PermanentError: the run did not come to its end.
    """
    again = to_make(original, graph, upstream=upstream)
    past = {step.asset: step for step in reversed(traced(lake, original.commit, original.asset))}
    raw = [step for step in past.values() if upstream and step.asset.startswith(RAW)]
    with _base(lake, original.commit, again, raw) as base:
        outcome = run(base, again)
    try:
        if not outcome.success:
            told = [f"{step}: {message}" for step, message in outcome.failed.items()] or list(outcome.reasons)
            raise PermanentError(
                "\n".join([f"the replay of {original.asset} did not come to its end", *(f"  {line}" for line in told)]),
                hint="look whether what it was made from is damaged: dfp lake verify; --keep leaves its branch",
                run_id=outcome.run_id,
            )
        return _compared(lake, original, graph, outcome, past, again, kept=keep)
    finally:
        if not keep:
            with suppress(NotFoundError):
                lake.delete_branch(outcome.branch)


def _newest_tag(lake: Lake, name: str) -> str | None:
    found = [(int(m["number"]), tag) for tag in lake.tags() if (m := DATA_TAG.fullmatch(tag)) and m["name"] == name]
    return max(found)[1] if found else None


@contextmanager
def _base(lake: Lake, commit: CommitId, again: Sequence[str], raw: Sequence[Step]) -> Iterator[CommitId]:
    """A commit with raw rows as they were read and without what shall be made again, else with all of `commit`.

    So what is compared afterwards was made anew, or is not there.
    """
    changes: dict[str, Content] = {o.path: None for asset in again for o in objects_of(lake, commit, asset)}
    for step in raw:
        if step.commit is not None and content_at(lake, step.commit, step.asset) == step.content:
            changes |= {o.path: None for o in objects_of(lake, commit, step.asset)}
            changes |= {o.path: o for o in objects_of(lake, step.commit, step.asset)}
    branch = f"replay-{secrets.token_hex(4)}"
    lake.create_branch(branch, commit)
    try:
        yield lake.commit(branch, changes, message=f"to be made again: {', '.join(again)}")
    finally:
        lake.delete_branch(branch)


def _compared(
    lake: Lake,
    original: Original,
    graph: Graph,
    outcome: RunOutcome,
    past: Mapping[str, Step],
    again: Sequence[str],
    *,
    kept: bool,
) -> Replay:
    from dfp_platform.catalog import scan
    from dfp_platform.catalog.names import identifier_of
    from dfp_platform.models.replayed import predictions

    head = lake.resolve(run_branch(outcome.run_id))
    files = lake.files(head, original.asset)
    read = {dep for asset in again for dep in graph.dependencies.get(asset, ())} | {*original.record.get("inputs", {})}
    found: dict[str, Compared] = {}
    for asset in (asset for asset in graph.topological() if asset in {*read, *again}):
        then = past[asset].content if asset in past else content_at(lake, original.commit, asset)
        held = Compared(asset, then, content_at(lake, head, asset), asset in again, {})
        if asset == original.asset:
            held = replace(held, files=_files(original.files, files))
        if not held.equal:
            changed = [dep for dep in graph.dependencies.get(asset, ()) if dep in found and not found[dep].equal]
            reasons = [f"{dep}, which it is made from, differs" for dep in changed]
            if not held.made:
                reasons.append(f"at {original.commit[:12]} it holds other content than was recorded as read")
            elif not then:
                reasons.append("it was not there then")
            else:
                reasons += _told_differently(lake, original, asset, head, outcome.run_id)
            held = replace(held, reasons=tuple(reasons) or (NOTHING_RECORDED,))
        found[asset] = held
    tables = [scan(lake, original.commit, identifier_of(table)) for table in (TRAINING_TABLE, SPLIT_INDEX)]
    answers = predictions(original.files, files, tables[0], tables[1])
    branch = outcome.branch if kept else ""
    return Replay(original, outcome.run_id, branch, outcome.seconds, tuple(found.values()), answers)


def _files(then: Mapping[str, bytes], now: Mapping[str, bytes]) -> dict[str, bool]:
    return {name: then.get(name) == now.get(name) for name in sorted({*then, *now})}


def _told_differently(lake: Lake, original: Original, asset: str, head: CommitId, run: str) -> list[str]:
    """What was recorded of both makings of an asset and is not the same, one sentence each."""
    from dfp_platform.models.replayed import causes
    from dfp_platform.models.tracked import code_of

    then, now = dict(lineage_at(lake, original.commit, asset)), dict(lineage_at(lake, head, asset))
    told = []
    if asset == original.asset:
        told = causes(original.files[CARD], lake.read(head, f"{asset}/{CARD}"))
        then, now = (
            {**record, **code_of(settings().mlflow_uri, f"{made}/{original.name}")}
            for record, made in ((then, original.run), (now, run))
        )
    names = sorted({*then, *now} - {"inputs", "config"})
    return told + [
        f"{WORDS.get(name, name)}: {then.get(name, 'nothing')} then, {now.get(name, 'nothing')} now"
        for name in names
        if then.get(name) != now.get(name)
    ]
