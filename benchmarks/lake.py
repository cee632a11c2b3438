"""What the embedded lake costs, on this machine's disk: `python -m benchmarks.lake [--json] [--folder DIR] [--quick]`.

Commits are durable (fsync).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Row, measured, parser, show
from dfp_platform.lake import Lake, open_lake


def fsync_alone(folder: Path, n: int) -> None:
    """The floor under everything durable: one small file, written, synced and renamed."""
    temporary = folder / f"floor-{n}.tmp"
    with temporary.open("wb") as stream:
        stream.write(b"x" * 100)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, folder / f"floor-{n}")


def small_lake(folder: Path) -> list[Row]:
    """Commits, branches and transactions of a young lake."""
    lake = open_lake(folder / "small", create=True)
    rows = [measured("one file written, fsynced, renamed (the floor)", lambda n: fsync_alone(folder, n), times=200)]

    def commit(n: int) -> None:
        lake.commit("main", {f"tables/marts/t{n % 7}": b"%d" % n}, message="m")

    def commit_big(n: int) -> None:
        lake.commit("main", {"raw/part.parquet": os.urandom(8) + bytes(1_000_000)}, message="m")

    def transaction(n: int) -> None:
        with lake.transaction("main", message="m") as branch:
            lake.commit(branch, {"a": b"%d" % n}, message="m")

    rows.append(measured("durable commit of one small object", commit, times=300))
    rows.append(measured("durable commit of one 1 MB object", commit_big, times=50))
    rows.append(measured("branch from main", lambda n: lake.create_branch(f"b{n}"), times=200))
    rows.append(measured("transaction with one commit (branch, commit, merge, delete)", transaction, times=50))
    return rows


def wide_lake(folder: Path, tables: int) -> list[Row]:
    """A namespace of many tables."""
    lake = open_lake(folder / "wide", create=True)
    before = lake.commit("main", {f"tables/marts/t{n}": b"%d" % n for n in range(tables)}, message="all")
    after = lake.commit("main", {f"tables/marts/t{n}": b"new" for n in range(0, tables, 100)}, message="1 %")

    def commit(n: int) -> None:
        lake.commit("main", {f"tables/marts/t{n * 31 % tables}": b"again %d" % n}, message="m")

    return [
        measured(f"durable commit, {tables:,} tables in one namespace", commit, times=200),
        measured(f"branch, {tables:,} tables", lambda n: lake.create_branch(f"b{n}"), times=100),
        measured("diff of 1 % of them", lambda n: list(lake.diff(before, after)), times=20),
        measured("list all of them", lambda n: list(lake.list("main")), times=5),
        measured("stat of one", lambda n: lake.stat("main", f"tables/marts/t{n}"), times=200),
    ]


def long_lake(folder: Path, commits: int) -> list[Row]:
    """A long history, with its index and without."""
    lake = open_lake(folder / "long", create=True)
    start = lake.resolve("main")

    def commit(n: int) -> None:
        lake.commit("main", {f"a/{n % 50}": b"%d" % n, "b": b"%d" % (n // 2)}, message=f"{n}", metadata={"n": str(n)})

    rows = [measured(f"durable commit, over the first {commits:,} (packing inside)", commit, times=commits)]
    lake.create_branch("side", start)
    lake.commit("side", {"c": b"1"}, message="side")
    fresh = open_lake(lake.uri)
    rows += [
        measured("provenance", lambda n: lake.provenance("main", f"a/{n % 50}"), times=100),
        measured("provenance, 200 commits back", lambda n: lake.provenance(_back(lake, 200), "b"), times=10),
        measured("log, newest 20", lambda n: list(lake.log(limit=20)), times=50),
        measured("log of one path", lambda n: list(lake.log(path=f"a/{n}")), times=10),
        measured("log, all", lambda n: list(lake.log()), times=3),
        measured("merge base across the whole history, cold", lambda n: fresh.merge_base("main", "side"), times=1),
    ]
    Path(lake.uri, "index.db").unlink()
    again = open_lake(lake.uri)
    rows.append(measured("provenance after the index was lost", lambda n: again.provenance("main", "b"), times=1))
    rows.append(measured("verify everything", lambda n: again.verify(), times=1))
    return rows


def _back(lake: Lake, commits: int) -> str:
    return list(lake.log(limit=commits))[-1].id


def main() -> int:
    """Measure and print."""
    asked = parser(__doc__)
    asked.add_argument("--folder", type=Path, help="where to make the lakes (default: a temporary folder)")
    asked.add_argument("--quick", action="store_true", help="a tenth of the tables and commits")
    options = asked.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    size = 1_000 if options.quick else 10_000
    try:
        rows = [*small_lake(folder), *wide_lake(folder, size), *long_lake(folder, size)]
    finally:
        shutil.rmtree(folder)
    return show(rows, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
