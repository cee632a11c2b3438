"""From any asset back to raw bytes: each step is what was recorded when its content was written, not what is now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from dfp_platform.catalog import content_at
from dfp_platform.errors import NotFoundError
from dfp_platform.ingest.origin import DATASETS, RECORD, Origin, load_folder, read_origin
from dfp_platform.lake import Lake
from dfp_platform.resources.lineage import objects_of, writing_of
from dfp_platform.schemas import Commit, CommitId

KNOWN = frozenset({"code_version", "config", "inputs"})
"""What every record may say; whatever else one says is shown as it is."""


@dataclass(frozen=True, slots=True)
class Load:
    """Where one load of raw rows came from: source, rows, sha256 of the bytes that were read; and who landed it."""

    origin: Origin
    commit: CommitId


@dataclass(frozen=True, slots=True)
class Step:
    """One content of one asset.

    Attributes:
        id: ``<asset>@<beginning of the content id>``.
        asset: its key path.
        content: its content id.
        kind: ``recorded``, ``merged``, ``unrecorded`` (see `lineage.Writing`); ``lost``: this content is nowhere in
            the history below its reader.
        commit: the commit that wrote exactly this content.
        time: when.
        run: the run that did.
        code_version: of the asset then.
        config: what its step was told.
        more: what else the commit says, such as the version of the dbt project, or the partitions that were made.
        inputs: ids of the steps it was made from.
        absent: assets that it may be made from and that were not there then.
        loads: of raw rows, where they came from.
        remark: what cannot be followed here, and why; empty if nothing.
    """

    id: str
    asset: str
    content: str
    kind: Literal["recorded", "merged", "unrecorded", "lost"]
    commit: CommitId | None = None
    time: datetime | None = None
    run: str = ""
    code_version: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    loads: tuple[Load, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """A content of an asset, a commit at which it stands (None: at none), and the commit that read it."""

    asset: str
    content: str
    at: CommitId | None
    reader: CommitId

    @property
    def id(self) -> str:
        return f"{self.asset}@{self.content[:12]}"


def traced(lake: Lake, ref: str, asset: str) -> tuple[Step, ...]:
    """All that an asset at a ref was made from, itself first, each step after one that reads it.

    Raises:
        NotFoundError: nothing lies there.
    """
    head = lake.resolve(ref)
    content = content_at(lake, head, asset)
    if not content:
        raise NotFoundError(f"nothing lies at {asset} at {ref}", hint="`dfp lake show` lists what does", path=asset)
    steps: dict[str, Step] = {}
    waiting = [_Place(asset, content, head, head)]
    while waiting:
        place = waiting.pop()
        if place.id not in steps:
            steps[place.id], inputs = _step(lake, place)
            waiting.extend(reversed(inputs))
    return tuple(steps.values())


def gaps(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps at which a trace cannot be followed to the end."""
    return tuple(step for step in steps if step.remark)


def _step(lake: Lake, place: _Place) -> tuple[Step, list[_Place]]:
    if place.at is None:
        return _nowhere(place), []
    found = writing_of(lake, place.at, place.asset)
    commit, record = found.commit, found.record
    inputs = _sides(lake, commit, place) if found.kind == "merged" else _inputs(lake, commit, place.asset, record)
    loads = tuple(_loads(lake, place))
    step = Step(
        id=place.id,
        asset=place.asset,
        content=place.content,
        kind=found.kind,
        commit=commit.id,
        time=commit.time,
        run=commit.metadata.get("run", ""),
        code_version=record.get("code_version"),
        config=record.get("config", {}),
        more={name: value for name, value in record.items() if name not in KNOWN},
        inputs=tuple(place.id for place in inputs),
        absent=tuple(sorted(dep for dep, content in record.get("inputs", {}).items() if not content)),
        loads=loads,
        remark=_remark(place.asset, found.kind, loads),
    )
    return step, inputs


def _nowhere(place: _Place) -> Step:
    remark = f"recorded as read by {place.reader[:12]}, but no commit in the history of that one holds this content"
    return Step(place.id, place.asset, place.content, "lost", remark=remark)


def _remark(asset: str, kind: str, loads: tuple[Load, ...]) -> str:
    if _dataset(asset):
        return "" if loads else f"no {RECORD} says where these rows came from"
    return "the commit that wrote it does not say from what it was made" if kind == "unrecorded" else ""


def _inputs(lake: Lake, commit: Commit, asset: str, record: Mapping[str, Any]) -> list[_Place]:
    """What a record says was read, where it stood then; of a table made in part also what it was before."""
    read = [
        _Place(dep, content, _whereabouts(lake, commit, dep, content), commit.id)
        for dep, content in sorted(record.get("inputs", {}).items())
        if content
    ]
    if "partitions" in record and commit.parents and (before := content_at(lake, commit.parents[0], asset)):
        read.append(_Place(asset, before, commit.parents[0], commit.id))
    return read


def _sides(lake: Lake, commit: Commit, place: _Place) -> list[_Place]:
    """What lay at an asset on each side of a merge."""
    sides = ((parent, content_at(lake, parent, place.asset)) for parent in commit.parents)
    return [_Place(place.asset, content, parent, commit.id) for parent, content in sides if content]


def _whereabouts(lake: Lake, commit: Commit, asset: str, content: str) -> CommitId | None:
    """A commit at which an input has the content that was read: the reader's, or one in its history; None: no such."""
    if content_at(lake, commit.id, asset) == content:
        return commit.id
    return next((old.id for old in lake.log(commit.id) if content_at(lake, old.id, asset) == content), None)


def _dataset(asset: str) -> str | None:
    """The data set whose raw rows an asset is; None: it is something else."""
    return next((name for name in DATASETS if asset == load_folder(name).rstrip("/")), None)


def _loads(lake: Lake, place: _Place) -> Iterator[Load]:
    """The loads of a data set, in the order they came."""
    if place.at is None or _dataset(place.asset) is None:
        return
    records = [o.path for o in objects_of(lake, place.at, place.asset) if o.path.endswith(f"/{RECORD}")]
    loads = [Load(read_origin(lake, place.at, path), lake.provenance(place.at, path).id) for path in records]
    yield from sorted(loads, key=lambda load: load.origin.load_id)
