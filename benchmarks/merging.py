"""What merging one table costs that two branches changed: `python -m benchmarks.merging [--json] [--files N]`.

A table of many files in one manifest, or spread over a hundred; each side adds files, or puts files in place of files.
Each merge is of fresh branches, and whole: read, decide, write, fsync, commit.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.table.snapshots import Operation

from benchmarks.figures import Row, milliseconds, parser, row, show
from dfp_platform.catalog import open_catalog, sum_rows
from dfp_platform.catalog.committing import pointer_for
from dfp_platform.catalog.durable import write_metadata
from dfp_platform.catalog.merging import merge_branches
from dfp_platform.catalog.merging.difference import TableReader
from dfp_platform.catalog.merging.manifests import TableFile, new_file
from dfp_platform.catalog.merging.snapshot import Change, SnapshotWriter, with_snapshot
from dfp_platform.catalog.names import pointer_path
from dfp_platform.catalog.rows import RowSum
from dfp_platform.lake import Lake, open_lake

TABLE = ("bench", "events")
ROWS = pa.table({"id": list(range(10)), "name": ["event"] * 10})


class ManyFiles:
    """A table whose files are links to one parquet file: their number is what counts, not their bytes."""

    def __init__(self, folder: Path) -> None:
        self.lake: Lake = open_lake(folder / "lake", create=True)
        open_catalog(self.lake).create_namespace_if_not_exists("bench")
        table = open_catalog(self.lake).create_table(TABLE, ROWS.schema)
        [self._sample] = _dataframe_to_data_files(table.metadata, ROWS, table.io)
        self._made = 0

    def files(self, count: int) -> list[TableFile]:
        """New files of ten rows."""
        source = Path(self._sample.file_path.removeprefix("file://"))
        made = []
        for _ in range(count):
            self._made += 1
            place = source.with_name(f"{self._made}.parquet")
            os.link(source, place)
            file = DataFile(*self._sample._data)
            file[1] = f"file://{place}"
            made.append(new_file(file, spec_id=0))
        return made

    def commit(self, branch: str, *, added: Sequence[TableFile] = (), removed: Sequence[TableFile] = ()) -> None:
        """One snapshot on a branch; the pointer's sum is worked out, so that no file has to be read."""
        pointer, table = open_catalog(self.lake, branch).loaded(TABLE)
        writer = SnapshotWriter(table.metadata, table.io)
        operation = Operation.OVERWRITE if removed else Operation.APPEND
        change = Change(added=tuple(added), removed=tuple(removed))
        metadata = with_snapshot(table.metadata, writer.write(change, operation, {"lake.intent": "rows"}))
        location = f"{table.metadata.location}/metadata/00001-{writer.snapshot_id}.metadata.json"
        write_metadata(metadata, table.io, location)
        one, before = sum_rows(ROWS), RowSum.from_text(pointer.rows, pointer.rows_hash) or RowSum()
        more = len(added) - len(removed)
        total = RowSum(before.rows + more * one.rows, (before.total + more * one.total) % (1 << 128))
        young = pointer_for(metadata, location, table.io, known=total)
        self.lake.commit(branch, {pointer_path(TABLE): young.to_bytes()}, message="write")

    def live(self, branch: str) -> list[TableFile]:
        """The data files on a branch."""
        table = open_catalog(self.lake, branch).load_table(TABLE)
        reader = TableReader(table.io)
        return list(reader.live(reader.manifests(table.metadata.current_snapshot())))


def measured(name: str, table: ManyFiles, change: Callable[[str, int], None], *, times: int) -> Row:
    """Merging two new branches that `change` changed, by the clock and by the time of a core."""
    taken, busy = [], []
    for number in range(times):
        ours, theirs = f"ours-{len(table.lake.branches())}", f"theirs-{number}-{len(table.lake.branches())}"
        for side, branch in enumerate((ours, theirs)):
            table.lake.create_branch(branch)
            change(branch, side)
        worked = time.process_time()
        taken.append(milliseconds(lambda: merge_branches(table.lake, theirs, ours, message="merge")))  # noqa: B023
        busy.append((time.process_time() - worked) * 1e3)
    return row(name, taken, cpu_ms=round(statistics.median(busy), 1))


def one_shape(folder: Path, *, files: int, manifests: int, changed: int, times: int) -> list[Row]:
    """The figures of a table whose files lie in so many manifests."""
    table = ManyFiles(folder)
    for _ in range(manifests):
        table.commit("main", added=table.files(files // manifests))
    base = table.live("main")
    shape = f"{files} files in {manifests} manifest{'s' if manifests > 1 else ''}"

    def append(branch: str, side: int) -> None:
        table.commit(branch, added=table.files(changed))

    def rewrite(branch: str, side: int) -> None:
        step = len(base) // (2 * changed)
        gone = [base[(2 * number + side) * step] for number in range(changed)]
        table.commit(branch, added=table.files(changed), removed=gone)

    def either(branch: str, side: int) -> None:
        (rewrite if side else append)(branch, side)

    measured("the first one imports", table, append, times=1)
    return [
        measured(f"{changed} files appended × {changed} appended, {shape}", table, append, times=times),
        measured(f"{changed} appended × {changed} rewritten, {shape}", table, either, times=max(1, times // 3)),
        measured(f"{changed} rewritten × {changed} others, {shape}", table, rewrite, times=max(1, times // 3)),
    ]


def main() -> int:
    """Print the table."""
    asked = parser(__doc__)
    asked.add_argument("--files", type=int, default=10_000, help="files of the table")
    asked.add_argument("--changed", type=int, default=100, help="files that each side adds or rewrites")
    asked.add_argument("--times", type=int, default=9, help="merges of each kind")
    options = asked.parse_args()
    rows: list[Row] = []
    for manifests in (1, 100):
        with tempfile.TemporaryDirectory(prefix="dfp-bench-") as folder:
            sizes = {"files": options.files, "changed": options.changed, "times": options.times}
            rows += one_shape(Path(folder), manifests=manifests, **sizes)
    return show(rows, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
