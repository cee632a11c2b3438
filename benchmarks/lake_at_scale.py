"""The embedded lake with 10,000 tables and 100,000 objects: `python -m benchmarks.lake_at_scale [--json] [--quick]`.

Times are percentiles over single calls, in milliseconds; every commit is durable. Beside the commit stands its floor:
as many files and bytes as one commit writes, written, synced and renamed one after another, in the same run. The
tables are pointers to a few real ones, in namespaces of a hundred. Ends with 1 if a limit of the project is broken.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from benchmarks.figures import Row, measured, parser, show
from dfp_platform.catalog import open_catalog
from dfp_platform.lake import Lake, open_lake

NAMESPACE = 100
"""Tables to a namespace."""

REAL_TABLES = 20
"""Tables that the pointers point to."""


def table_name(n: int) -> tuple[str, str]:
    """Table `n`: its namespace and name."""
    return f"ns{n // NAMESPACE}", f"t{n}"


def filled(lake: Lake, *, tables: int, objects: int) -> None:
    """Give a young lake its tables and objects."""
    catalog = open_catalog(lake)
    catalog.create_namespace("real")
    rows = pa.table({"id": pa.array(range(100), pa.int64()), "value": pa.array([0.5] * 100)})
    pointers = []
    for n in range(REAL_TABLES):
        catalog.create_table(("real", f"t{n}"), rows.schema).append(rows)
        pointers.append(catalog.pointer(("real", f"t{n}")).to_bytes())
    for n in range(tables // NAMESPACE):
        catalog.create_namespace(f"ns{n}")
    changes = {f"tables/{'/'.join(table_name(n))}": pointers[n % REAL_TABLES] for n in range(tables)}
    lake.commit("main", changes, message="tables")
    lake.commit("main", {f"raw/{n // 1000}/{n}": b"%d" % n for n in range(objects)}, message="objects")


@dataclass(frozen=True, slots=True)
class Written:
    """What one commit puts on the disk: the sizes of the files it writes or appends to, in bytes."""

    sizes: tuple[int, ...]


def written_by(call: Callable[[], object], folder: Path) -> Written:
    """Watch the files of a folder while `call` runs."""
    before = _sizes(folder)
    call()
    grown = {path: size for path, size in _sizes(folder).items() if before.get(path) != size}
    return Written(tuple(max(64, size[0] - before.get(path, (0, 0))[0]) for path, size in grown.items()))


def _sizes(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            stat = os.stat(os.path.join(place, name))
            found[os.path.join(place, name)] = (stat.st_size, stat.st_mtime_ns)
    return found


def bare_writes(folder: Path, written: Written) -> Callable[[int], None]:
    """The same files written, synced and renamed."""

    def write(n: int) -> None:
        for index, size in enumerate(written.sizes):
            place = folder / f"bare-{index}-{n}"
            with place.with_suffix(".tmp").open("wb") as stream:
                stream.write(b"x" * size)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(place.with_suffix(".tmp"), place)

    return write


def commits(lake: Lake, folder: Path, *, tables: int, times: int) -> list[Row]:
    """One pointer a commit, beside its floor."""
    seeded = random.Random(7)

    def commit(n: int) -> None:
        path = f"tables/{'/'.join(table_name(seeded.randrange(tables)))}"
        lake.commit("main", {path: b"%d" % n + bytes(400)}, message="one table")

    lake.create_branch("watched")
    once = {"tables/ns0/t0": b"watched" + bytes(400)}
    written = written_by(lambda: lake.commit("watched", once, message="watched"), Path(lake.uri))
    floor = measured(
        f"the floor: {len(written.sizes)} files, {sum(written.sizes):,} bytes, synced",
        bare_writes(folder, written),
        times=times,
    )
    found = measured("durable commit of one table", commit, times=times)
    most = min(10.0, 2 * floor.p50_ms)
    return [floor, found.limited(found.p50_ms, most, f"p50 <= {most:.1f} ms (2 x the floor, and 10 ms)")]


def branches(lake: Lake, *, times: int) -> Row:
    """A branch of everything."""
    row = measured("branch of everything", lambda n: lake.create_branch(f"b{n}"), times=times)
    return row.limited(row.p99_ms, 2.0, "p99 <= 2 ms")


def merges(lake: Lake, *, tables: int, times: int) -> Row:
    """A hundred tables changed on one side; the other side moved elsewhere."""
    for n in range(times):
        lake.create_branch(f"side{n}", "main")
        chosen = random.Random(n).sample(range(tables), 100)
        changes = {f"tables/{'/'.join(table_name(t))}": b"side %d" % n + bytes(400) for t in chosen}
        lake.commit(f"side{n}", changes, message="a hundred tables")
    lake.commit("main", {"raw/elsewhere": b"moved"}, message="the target moves")

    def merge(n: int) -> None:
        lake.create_branch(f"into{n}", "main")
        lake.merge(f"side{n}", f"into{n}", message="merge")

    row = measured("branch and merge of 100 tables changed on one side", merge, times=times)
    return row.limited(row.p50_ms, 50.0, "p50 <= 50 ms")


def loads(lake: Lake, *, times: int) -> Row:
    """A table through the catalog: its pointer, then its metadata file."""
    catalog = open_catalog(lake)
    row = measured("load of a table", lambda n: catalog.load_table(("real", f"t{n % REAL_TABLES}")), times=times)
    return row.limited(row.p50_ms, 5.0, "p50 <= 5 ms")


def measure(folder: Path, *, tables: int, objects: int, times: int) -> list[Row]:
    """Every row of the table."""
    lake = open_lake(folder / "lake", create=True)
    start = time.perf_counter()
    filled(lake, tables=tables, objects=objects)
    print(f"{tables:,} tables and {objects:,} objects in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return [
        loads(lake, times=times),
        *commits(lake, folder, tables=tables, times=times),
        branches(lake, times=times),
        merges(lake, tables=tables, times=max(10, times // 20)),
    ]


def main() -> int:
    """Measure and print."""
    asked = parser(__doc__)
    asked.add_argument("--folder", type=Path, help="where to make the lake (default: a temporary folder)")
    asked.add_argument("--quick", action="store_true", help="a tenth of everything")
    options = asked.parse_args()
    part = 10 if options.quick else 1
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        rows = measure(folder, tables=10_000 // part, objects=100_000 // part, times=400 // part)
    finally:
        shutil.rmtree(folder)
    return show(rows, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
