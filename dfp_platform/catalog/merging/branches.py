"""Merging branches of a lake whose tables changed on both sides: the lake's merge, with every such table resolved."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.table import Table, TableProperties
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import MetadataLogEntry, TableMetadata

from dfp_platform.catalog.committing import pointer_for, with_forced_properties
from dfp_platform.catalog.durable import sync_files, write_metadata
from dfp_platform.catalog.lake_catalog import TRIES, open_catalog
from dfp_platform.catalog.merging.difference import TableReader, net_difference
from dfp_platform.catalog.merging.tables import Branch, merge_table
from dfp_platform.catalog.names import TABLES, identifier_of, is_pointer
from dfp_platform.catalog.pointers import Pointer
from dfp_platform.catalog.rows import RowSum
from dfp_platform.catalog.table_sums import sums_stay
from dfp_platform.errors import MergeConflictError, StaleHeadError
from dfp_platform.lake.interface import Content, Lake
from dfp_platform.schemas import MAIN, CommitId, Conflict, Difference

Preference = Literal["ours", "theirs"]
"""Whose table stands where both changed it: the target's or the source's."""


def merged_tables(
    lake: Lake,
    source: str,
    into: str,
    *,
    prefer: Mapping[str, Preference] | None = None,
    names: tuple[str, str] | None = None,
) -> dict[str, Content]:
    """What the pointers of tables changed on both sides are after a merge of `source` into `into`, by path.

    Files of the merged tables are written and durable; nothing names them until a lake's merge takes these pointers as
    `resolved`, with the head that `into` had when this was called as `expect`.

    Args:
        prefer: tables (``marts.apps``) of which one side is taken whole.
        names: what `source` and `into` are called in conflicts, where they are commits.
    Raises:
        MergeConflictError: lists why tables do not go together: table, partition, files and kind.
    """
    called = names or (source, into)
    merge = _Merge(lake, called[1], called[0], dict(prefer or {}))
    return merge.resolve(lake.resolve(into), lake.resolve(source))


def merge_branches(
    lake: Lake,
    source: str,
    into: str = MAIN,
    *,
    message: str,
    metadata: Mapping[str, str] | None = None,
    expect: CommitId | None = None,
    resolved: Mapping[str, Content] | None = None,
    prefer: Mapping[str, Preference] | None = None,
) -> CommitId:
    """Merge `source` into the branch `into` in one commit, tables by rows; again if `into` moves meanwhile.

    Args:
        resolved: what stands at other paths that both sides changed.
        prefer: tables of which one side is taken whole.
    Raises:
        MergeConflictError: nothing was written to the branch. StaleHeadError: `into` is not at `expect`, or moved more
        often than anyone should wait for.
    """
    merge = _Merge(lake, into, source, dict(prefer or {}))
    theirs = lake.resolve(source)
    for _ in range(TRIES):
        head = expect or lake.resolve(into)
        try:
            with lake.lease(message):
                return lake.merge(
                    theirs,
                    into,
                    message=message,
                    metadata=metadata,
                    expect=head,
                    resolved={**merge.resolve(head, theirs), **(resolved or {})},
                )
        except StaleHeadError:
            if expect is not None:
                raise
            time.sleep(random.uniform(0, 0.01))
    raise StaleHeadError(f"{into} moved {TRIES} times before {source} could be merged", branch=into)


def changed_partitions(lake: Lake, base: str, ref: str, path: str) -> set[str]:
    """Partitions, as opaque text, in which a table has other files at `ref` than at `base`."""
    before, after = _State.at(lake, lake.resolve(base), path), _State.at(lake, lake.resolve(ref), path)
    side = net_difference(TableReader(after.table.io), ref, before.metadata, after.metadata)
    files = (side.added, side.removed, side.added_deletes, side.removed_deletes)
    return {file.partition for group in files for file in group.values()}


@dataclass
class _Merge:
    """One merge, tried on one head after another; a table that did not move since the last try is not merged again."""

    lake: Lake
    into: str
    source: str
    prefer: Mapping[str, Preference]
    _done: dict[tuple[str, ...], bytes] = field(default_factory=dict)

    def resolve(self, ours: CommitId, theirs: CommitId) -> dict[str, Content]:
        base = self.lake.merge_base(ours, theirs)
        if base is None or base in (ours, theirs):
            return {}
        mine, yours = _changed(self.lake, base, ours), _changed(self.lake, base, theirs)
        resolved: dict[str, Content] = {}
        conflicts: list[Conflict] = []
        for path in sorted(mine.keys() & yours.keys()):
            if mine[path].after == yours[path].after:
                continue
            found = self._resolved(path, base, ours, theirs, mine[path], yours[path])
            if isinstance(found, list):
                conflicts += found
            else:
                resolved[path] = found
        self._refuse(conflicts)
        return resolved

    def _resolved(
        self, path: str, base: CommitId, ours: CommitId, theirs: CommitId, mine: Difference, yours: Difference
    ) -> Content | list[Conflict]:
        side = self.prefer.get(".".join(identifier_of(path)))
        if side is not None:
            commit, difference = (ours, mine) if side == "ours" else (theirs, yours)
            return self.lake.read(commit, path) if difference.after else None
        if mine.before is None or mine.after is None or yours.after is None:
            return [Conflict(path, _whole_table(mine, yours, self.into, self.source), kind="table")]
        return self._merged(path, *(_State.at(self.lake, commit, path) for commit in (base, ours, theirs)))

    def _merged(self, path: str, base: _State, ours: _State, theirs: _State) -> Content | list[Conflict]:
        key = tuple(state.pointer.metadata_location for state in (base, ours, theirs))
        if key in self._done:
            return self._done[key]
        mine, yours = Branch(self.into, ours.metadata), Branch(self.source, theirs.metadata)
        agreed = bool(ours.pointer.rows_hash) and ours.pointer.content == theirs.pointer.content
        found = merge_table(ours.table.io, base.metadata, mine, yours, path=path, same_rows=agreed)
        if isinstance(found, list):
            return found
        pointer = _finished(found.metadata, found.written, base, ours, theirs)
        self._done[key] = pointer.to_bytes()
        return self._done[key]

    def _refuse(self, conflicts: list[Conflict]) -> None:
        if not conflicts:
            return
        named = [replace(found, table=".".join(identifier_of(found.path))) for found in conflicts]
        listed = "\n  ".join(found.in_words() for found in named[:10])
        more = f"\n  and {len(named) - 10} more" if len(named) > 10 else ""
        tables = " ".join(f"--theirs {table}" for table in sorted({found.table for found in named}))
        self.lake.operations.record("merge", 0.0, "conflict")  # the lake's own merge is not reached
        raise MergeConflictError(
            f"cannot merge {self.source} into {self.into}:\n  {listed}{more}",
            hint=f"change one side, or take one side of a table whole (--ours or {tables})",
            conflicts=named,
        )


@dataclass(frozen=True, slots=True)
class _State:
    """A table at one commit."""

    pointer: Pointer
    table: Table

    @classmethod
    def at(cls, lake: Lake, commit: CommitId, path: str) -> _State:
        return cls(*open_catalog(lake, commit).loaded(identifier_of(path)))

    @property
    def metadata(self) -> TableMetadata:
        return self.table.metadata

    @property
    def rows(self) -> RowSum | None:
        return RowSum.from_text(self.pointer.rows, self.pointer.rows_hash)


def _changed(lake: Lake, base: CommitId, commit: CommitId) -> dict[str, Difference]:
    return {found.path: found for found in lake.diff(base, commit, TABLES) if is_pointer(found.path)}


def _whole_table(mine: Difference, yours: Difference, into: str, source: str) -> str:
    if mine.before is None:
        return f"a table of this name was created on {into} and on {source}"
    dropped, kept = (into, source) if mine.after is None else (source, into)
    return f"dropped on {dropped}, changed on {kept}"


def _finished(merged: TableMetadata, written: tuple[str, ...], base: _State, ours: _State, theirs: _State) -> Pointer:
    """Make a merged table durable under a new metadata file, and return its pointer. No branch names it yet."""
    before, io = ours.pointer.metadata_location, ours.table.io
    log = [
        *merged.metadata_log,
        MetadataLogEntry(metadata_file=before, timestamp_ms=ours.metadata.last_updated_ms),
    ]
    kept = int(merged.properties.get(TableProperties.METADATA_PREVIOUS_VERSIONS_MAX, 100))
    now = max(int(time.time() * 1000), merged.last_updated_ms)
    metadata = with_forced_properties(
        merged.model_copy(update={"metadata_log": log[-max(1, kept) :], "last_updated_ms": now})
    )
    version = MetastoreCatalog._parse_metadata_version(before) + 1
    location = load_location_provider(metadata.location, metadata.properties).new_table_metadata_file_location(version)
    known = _row_sum(base, ours, theirs)
    pointer = pointer_for(metadata, location, io, before=ours.metadata, base=ours.pointer, known=known)
    sync_files(written, io, names=False)  # all lie in the folder of the metadata file
    write_metadata(metadata, io, location)
    return pointer


def _row_sum(base: _State, ours: _State, theirs: _State) -> RowSum | None:
    """The sum of the merged rows from those of the three states, where columns kept their names; no file is read."""
    sums = base.rows, ours.rows, theirs.rows
    before = base.metadata.schema()
    if None in sums or not all(sums_stay(before, state.metadata.schema()) for state in (ours, theirs)):
        return None
    old, mine, yours = sums
    return mine + yours - old  # type: ignore[operator]
