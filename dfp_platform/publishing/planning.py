"""What a run would have to make again, and why: read from the lake's own record of a ref, without any daemon.

An asset is stale by the rule by which Dagster's graph says so of what was published: its code version or the content of
an input is another than the record says. Beyond that graph, a plan knows what a run would be told: another
configuration, other rows at the source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dfp_platform.catalog import content_at
from dfp_platform.lake.interface import Lake
from dfp_platform.publishing.truth import lineage_of_partitions
from dfp_platform.resources.dagster_history import Estimate
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.resources.lineage import lineage_at

Kind = Literal["missing", "code", "input", "dependency", "config", "source"]


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why an asset is not what a run would make.

    Attributes:
        kind: ``missing``: never made, or gone; ``code``: another code version; ``input``: other content of an input;
            ``dependency``: made from other assets; ``config``: another configuration; ``source``: other raw rows.
        sentence: the same for people, without the asset's name.
        of: the input it is about; empty for the other kinds.
    """

    kind: Kind
    sentence: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Partitions:
    """Which partitions of an asset a run would make again: how many of how many, the first and the last."""

    stale: int
    all: int
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run would do with one asset.

    Attributes:
        state: ``stale``: it has causes of its own; ``follows``: something that it is made from is rebuilt before it,
            and may turn out equal; ``fresh``: it would come out as it is.
        after: for ``follows``: the nearest assets that are rebuilt before it.
        rows: rows that it has now, or that its source would give; None where it has none or nobody knows.
        partitions: of a partitioned asset that is there.
    """

    asset: str
    state: Literal["stale", "follows", "fresh"]
    causes: tuple[Cause, ...] = ()
    after: tuple[str, ...] = ()
    rows: int | None = None
    partitions: Partitions | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of some assets would make again.

    Attributes:
        ref: whose record was read; `commit` it names; None where nothing was published yet.
        assets: those of the run, in topological order.
        left_out: stale assets that the run would read and not make.
        estimate: how long it takes, from history.
    """

    ref: str
    commit: str | None
    assets: tuple[Planned, ...]
    left_out: tuple[str, ...] = ()
    estimate: Estimate = field(default_factory=Estimate)

    @property
    def rebuilt(self) -> tuple[str, ...]:
        """Assets that are stale or follow."""
        return tuple(each.asset for each in self.assets if each.state != "fresh")

    @property
    def stale(self) -> tuple[str, ...]:
        """Assets that have causes of their own."""
        return tuple(each.asset for each in self.assets if each.state == "stale")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is told beyond which assets it makes.

    Attributes:
        config: configuration of assets, by key path; those that are not named are not compared.
        source: what differs between the landed rows of an asset and those asked for, as a sentence; empty if nothing.
    """

    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)


def planned(
    lake: Lake | None,
    ref: str,
    graph: Graph,
    selection: Collection[str],
    asked: Asked,
    *,
    rows_of: Callable[[str], int | None] = lambda asset: None,
    estimated: Callable[[Sequence[str]], Estimate] = lambda assets: Estimate(),
) -> Plan:
    """The plan of a run.

    Args:
        lake: None: nothing was ever published.
        ref: what the run would read: its target's head, or an old ref.
        selection: the assets it would make, by key path.
        rows_of: rows of an asset at the ref.
        estimated: how long it takes to make some assets.
    """
    record = Record(lake, lake.resolve(ref)) if lake is not None else None
    found: dict[str, tuple[Cause, ...]] = {}
    parts: dict[str, Partitions] = {}
    read = {dep for asset in selection for dep in graph.dependencies[asset]}
    for asset in graph.topological():
        if asset not in selection and asset not in read:
            continue
        if record is None or not record.content(asset):
            found[asset] = (Cause("missing", "never made"),)
        elif asset in graph.partitioned:
            found[asset], parts[asset] = _of_partitions(record, asset, graph)
        else:
            found[asset] = tuple(causes(record.lineage(asset), asset, graph, record.content, asked))
    assets = tuple(_states(found, selection, graph, parts, rows_of))
    left_out = (asset for asset in found if found[asset] and asset not in selection)
    # what was never made is no input that could be old
    old = tuple(asset for asset in left_out if record is not None and record.content(asset))
    plan = Plan(ref, record.commit if record else None, assets, old)
    return replace(plan, estimate=estimated(plan.rebuilt))


@dataclass(slots=True)
class Record:
    """What one commit of a lake holds and says of assets; each is looked up once."""

    lake: Lake
    commit: str
    _contents: dict[str, str] = field(default_factory=dict)

    def content(self, asset: str) -> str:
        """Content id of an asset; empty if it is not there."""
        if asset not in self._contents:
            self._contents[asset] = content_at(self.lake, self.commit, asset)
        return self._contents[asset]

    def lineage(self, asset: str) -> Mapping[str, Any]:
        """Code version, inputs and configuration of what stands at an asset; empty if nobody said."""
        return lineage_at(self.lake, self.commit, asset)


def causes(
    record: Mapping[str, Any], asset: str, graph: Graph, content: Callable[[str], str], asked: Asked
) -> Iterator[Cause]:
    """Why an asset that is there is not what a run would make; nothing where nobody recorded how it was made.

    Args:
        record: what the lake says of it.
        content: content id of an input as it stands; empty if it is not there.
    """
    if told := asked.source.get(asset):
        yield Cause("source", told)
    if not record:
        return
    now, then = graph.code_versions.get(asset), record.get("code_version")
    if now is not None and now != then:
        yield Cause("code", f"code version {_short(then)} → {_short(now)}")
    inputs: Mapping[str, str] = record.get("inputs", {})
    for dep in graph.dependencies.get(asset, ()):
        if dep not in inputs:
            yield Cause("dependency", f"is made from {dep} too", dep)
        elif inputs[dep] != content(dep):
            yield Cause("input", _moved(dep, inputs[dep], content(dep)), dep)
    for dep in inputs.keys() - set(graph.dependencies.get(asset, ())):
        yield Cause("dependency", f"is no longer made from {dep}", dep)
    if "config" in record and asset in asked.config:
        yield from _configured_anew(record["config"], asked.config[asset])


def _configured_anew(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Cause]:
    old, new = dict(_flat(then)), dict(_flat(now))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield Cause("config", f"{key} {_said(old.get(key))} → {_said(new.get(key))}")


def _flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", list(value) if isinstance(value, tuple) else value


def _of_partitions(record: Record, asset: str, graph: Graph) -> tuple[tuple[Cause, ...], Partitions]:
    """Causes that any partition has, and which partitions have some. Partitions without rows are not counted."""
    from dfp_platform.catalog.partitions import partition_rows

    held = sorted(partition_rows(record.lake, record.commit, asset))
    told = lineage_of_partitions(record.lake, record.commit, asset, held)
    judged: dict[int, tuple[Cause, ...]] = {}
    for said in told.values():
        if id(said) not in judged:
            judged[id(said)] = tuple(causes(said, asset, graph, record.content, Asked()))
    stale = [part for part in held if part in told and judged[id(told[part])]]
    found = tuple(dict.fromkeys(cause for each in judged.values() for cause in each))
    span = (stale[0], stale[-1]) if stale else ("", "")
    return found, Partitions(len(stale), len(held), *span)


def rows_at(lake: Lake, ref: str, asset: str) -> int | None:
    """Rows of an asset at a ref: of a table, a landed data set or the online features; None of anything else."""
    from dfp_platform.catalog import read_pointer
    from dfp_platform.catalog.names import identifier_of
    from dfp_platform.ingest.origin import DATASETS, origin, origins

    room, _, name = asset.partition("/")
    if room == "tables":
        pointer = read_pointer(lake, ref, identifier_of(asset))
        return pointer.rows if pointer else None
    if room == "raw" and name in DATASETS and origins(lake, ref, name):
        return origin(lake, ref, name).rows
    if asset == "features/online" and lake.exists(ref, f"{asset}/report.json"):
        return json.loads(lake.read(ref, f"{asset}/report.json"))["rows"]
    return None


def _states(
    found: Mapping[str, tuple[Cause, ...]],
    selection: Collection[str],
    graph: Graph,
    parts: Mapping[str, Partitions],
    rows_of: Callable[[str], int | None],
) -> Iterator[Planned]:
    """Each asset of the run, in topological order, with what follows from those before it."""
    rebuilt: set[str] = set()
    for asset in (each for each in graph.topological() if each in selection):
        after = tuple(dep for dep in graph.dependencies[asset] if dep in rebuilt)
        state: Any = "stale" if found[asset] else "follows" if after else "fresh"
        if state == "fresh":
            yield Planned(asset, state, partitions=parts.get(asset))
            continue
        rebuilt.add(asset)
        part = parts.get(asset)
        if part is not None and after:  # inputs that are made again move every partition
            part = Partitions(part.all, part.all)
        yield Planned(asset, state, found[asset], after if state == "follows" else (), rows_of(asset), part)


def _moved(dep: str, then: str, now: str) -> str:
    if not then:
        return f"{dep} is there now"
    return f"{dep} has other content" if now else f"{dep} is gone"


def _short(version: str | None) -> str:
    return "none" if version is None else version if len(version) <= 12 else version[:8]


def _said(value: Any) -> str:
    return "unset" if value is None else str(value)
