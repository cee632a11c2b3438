"""How a table differs between two refs: rows that came and went, and what became of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table

from dfp_platform.catalog.lake_catalog import open_catalog
from dfp_platform.catalog.names import Identifier, pointer_path
from dfp_platform.catalog.pointers import read_pointer
from dfp_platform.catalog.rows import ROW_HASH, row_hashes
from dfp_platform.errors import NotFoundError
from dfp_platform.lake.interface import Lake


@dataclass(frozen=True, slots=True)
class TableDifference:
    """What `right` has of a table that `left` has not, and the reverse.

    Attributes:
        table: ``namespace.table``.
        kind: whether the table itself came or went.
        rows_before: rows at `left`.
        rows_after: rows at `right`.
        rows_added: rows that are there at `right` only, counted as a multiset; an update is one added and one removed.
            None: they were not counted, or pyiceberg cannot read them.
        rows_removed: the same, at `left` only.
        schema: one phrase for each column that came, went or changed.
    """

    table: str
    kind: Literal["added", "removed", "changed"]
    rows_before: int
    rows_after: int
    rows_added: int | None
    rows_removed: int | None
    schema: tuple[str, ...] = ()


def table_difference(
    lake: Lake, left: str, right: str, identifier: Identifier, *, count_rows: bool = True
) -> TableDifference:
    """Compare a table at two refs. Files that both have are not read.

    Args:
        count_rows: read the files that differ; without it only the number of rows on each side is known.
    Raises:
        NotFoundError: no such ref, or the table is at neither.
    """
    before, after = read_pointer(lake, left, identifier), read_pointer(lake, right, identifier)
    name = ".".join(identifier)
    if before is None and after is None:
        raise NotFoundError(f"no table {name} at {left} or {right}", table=name, path=pointer_path(identifier))
    if before is None or after is None:
        held = before or after
        assert held is not None
        ours, theirs = (0, held.rows) if before is None else (held.rows, 0)
        return TableDifference(name, "added" if before is None else "removed", ours, theirs, theirs, ours)
    old = open_catalog(lake, lake.resolve(left)).load_table(identifier)
    new = open_catalog(lake, lake.resolve(right)).load_table(identifier)
    counted: tuple[int, int] | None = (0, 0)
    if before.content != after.content:
        counted = _changed_rows(old, new) if count_rows else None
    added, removed = counted or (None, None)
    changes = tuple(_schema_changes(old.schema(), new.schema()))
    return TableDifference(name, "changed", before.rows, after.rows, added, removed, changes)


def _changed_rows(old: Table, new: Table) -> tuple[int, int] | None:
    """Rows added and removed; both sides are read as columns of the new schema, by field id."""
    try:
        before, after = _tasks(old), _tasks(new)
        gone = _hashes(old, (before[key] for key in before.keys() - after.keys()), new.schema())
        came = _hashes(new, (after[key] for key in after.keys() - before.keys()), new.schema())
    except (ValueError, NotImplementedError):  # pyiceberg on equality deletes and deletion vectors
        return None
    old_rows, old_counts = np.unique(gone, return_counts=True)
    new_rows, new_counts = np.unique(came, return_counts=True)
    _, left, right = np.intersect1d(old_rows, new_rows, assume_unique=True, return_indices=True)
    both = int(np.minimum(old_counts[left], new_counts[right]).sum())
    return len(came) - both, len(gone) - both


def _tasks(table: Table) -> dict[tuple[str, frozenset[str]], FileScanTask]:
    """By data file and the delete files that apply to it."""
    return {
        (task.file.file_path, frozenset(file.file_path for file in task.delete_files)): task
        for task in table.scan().plan_files()
    }


def _hashes(table: Table, tasks: Iterable[FileScanTask], schema: Schema) -> NDArray[np.void]:
    scan = ArrowScan(table.metadata, table.io, schema, AlwaysTrue())
    found = [row_hashes(batch) for batch in scan.to_record_batches(list(tasks))]
    return np.concatenate(found) if found else np.empty(0, ROW_HASH)


def _schema_changes(old: Schema, new: Schema) -> Iterator[str]:
    before = {field.field_id: field for field in old.fields}
    after = {field.field_id: field for field in new.fields}
    for field_id, field in after.items():
        known = before.get(field_id)
        if known is None:
            yield f"+ {field.name} {field.field_type}"
        elif known.name != field.name:
            yield f"{known.name} is called {field.name}"
        if known is not None and known.field_type != field.field_type:
            yield f"{field.name} is {field.field_type}, was {known.field_type}"
        if known is not None and known.required != field.required:
            yield f"{field.name} is {'required' if field.required else 'optional'}"
    for field_id in before.keys() - after.keys():
        yield f"- {before[field_id].name} {before[field_id].field_type}"
