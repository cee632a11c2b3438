"""The dbt project at full size on each engine: `python -m benchmarks.engines [--rows N] [--engines …] [--json]`.

Generated apps (as many as `--rows` a device; 39,069 make KronoDroid's 78,138 of the real device) lie as raw tables in a
new lake, and each engine builds all models and tests from nothing, one after the other: wall-clock seconds, CPU seconds
and peak memory of all its processes. `bare` are DataFusion's own queries, as dbt compiled them, from parquet to parquet
without dbt, Iceberg or a lake. Spark is a local session of two cores (`make spark`); DuckDB works in a file of its own
(dbt-duckdb), into which the raw tables are loaded beforehand. `increment` is DataFusion's second build, after one
percent of new apps was appended to what the first one read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "dbt_project"
ENGINES = ("datafusion", "bare", "increment", "duckdb", "spark")
"""In this order: the bare queries are those that dbt compiled for the full build."""

MEMORY_LIMIT = 2.5 * 2**30
"""Bytes that DataFusion may use for 78,137 rows."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One build.

    Attributes:
        wall: seconds from start to end.
        cpu: seconds that all its processes worked.
        peak: bytes of all its processes at once, at most.
        models: seconds that models took, added up, as dbt tells; 0 where there is no dbt.
    """

    engine: str
    wall: float
    cpu: float
    peak: int
    models: float = 0.0


def watched(engine: str, command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run a command and watch it and its children; end here if it fails."""
    started, peak, cpu = time.monotonic(), 0, {}
    with tempfile.TemporaryFile() as said:
        with psutil.Popen(command, env={**os.environ, **environment}, cwd=ROOT, stdout=said, stderr=said) as process:
            while process.poll() is None:
                peak = max(peak, _look(process, cpu))
                time.sleep(0.1)
        wall = time.monotonic() - started
        if process.returncode:
            said.seek(0)
            sys.exit(f"{engine} failed:\n{said.read().decode()[-6_000:]}")
    return Measured(engine, wall, sum(cpu.values()), peak)


def built(engine: str, target: str, folder: Path, environment: Mapping[str, str]) -> Measured:
    """`dbt build` of the whole project, watched."""
    found = watched(engine, dbt_command(target, folder), environment)
    results = json.loads((folder / target / "run_results.json").read_text())["results"]
    models = sum(r["execution_time"] for r in results if r["unique_id"].startswith("model."))
    return replace(found, models=models)


def _look(process: psutil.Popen, cpu: dict[int, float]) -> int:
    """Bytes in use now; what each process has worked so far goes into `cpu`."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_info().rss
            times = each.cpu_times()
            cpu[each.pid] = times.user + times.system
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return total


def dbt_command(target: str, folder: Path) -> list[str]:
    """`dbt build` of the whole project."""
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target", target]
    outputs = ["--target-path", str(folder / target), "--log-level-file", "none", "--quiet"]
    return [sys.executable, "-W", "ignore", "-c", "from dbt.cli.main import cli; cli()", "build", *places, *outputs]


def land(folder: Path, rows: int, *, branch: str = "main", append: bool = False) -> str:
    """A new lake with the raw tables, or one load more on a branch of the lake that is there; its address."""
    from dfp_platform.ingest import DATASETS, land, register
    from dfp_platform.lake import open_lake

    lake, cache = open_lake(folder / "lake", create=not append), folder / "cache"
    how, seed = ("append", 8) if append else ("replace", 7)
    for dataset in DATASETS:
        land(lake, branch, dataset, source="sample", sample_rows=rows, seed=seed, cache=cache, write_disposition=how)
        register(lake, branch, dataset)
    return lake.uri


def measure(engine: str, lake_uri: str, folder: Path, rows: int) -> Measured:
    """One engine's build, on a branch or in a file of its own."""
    from dfp_platform.lake import open_lake
    from dfp_platform.resources.engines import ENGINES as IN_THE_LAKE

    if engine in (*IN_THE_LAKE, "increment"):
        lake = open_lake(lake_uri)
        branch = "datafusion" if engine == "increment" else engine
        if engine == "increment":
            land(folder, max(rows // 100, 1), branch=branch, append=True)
        else:
            lake.create_branch(branch)
        with IN_THE_LAKE[branch](lake, branch) as target:
            return built(engine, target.name, folder, target.environment)
    if engine == "bare":
        return watched(engine, [sys.executable, "-m", "benchmarks.bare_queries", lake_uri, str(folder)], {})
    path = folder / "third.duckdb"
    load_duckdb(lake_uri, path)
    return built(engine, "duckdb", folder, {"DFP_DUCKDB": str(path)})


def load_duckdb(lake_uri: str, path: Path) -> None:
    """The raw tables of a lake as tables of a DuckDB file."""
    import duckdb

    from dfp_platform.catalog import open_catalog
    from dfp_platform.ingest import DATASETS
    from dfp_platform.lake import open_lake

    catalog = open_catalog(open_lake(lake_uri))
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema raw")
        for dataset in DATASETS:
            connection.register("rows", catalog.load_table(f"raw.{dataset}").scan().to_arrow())
            connection.execute(f"create table raw.{dataset} as from rows")


def judged(found: Mapping[str, Measured], rows: int) -> dict[str, str]:
    """What the project asks of DataFusion, and whether it holds."""
    mine, said = found.get("datafusion"), {}
    if mine is None:
        return said
    if spark := found.get("spark"):
        said["CPU, of Spark's (at most 0.33)"] = _verdict(mine.cpu / spark.cpu, 1 / 3)
        said["wall-clock, of Spark's (at most 0.25)"] = _verdict(mine.wall / spark.wall, 0.25)
    if bare := found.get("bare"):
        said["wall-clock, times the bare queries (at most 3)"] = _verdict(mine.wall / bare.wall, 3.0)
    if more := found.get("increment"):
        said["increment of 1 %: models' seconds, of the full build's (at most 0.15)"] = _verdict(
            more.models / mine.models, 0.15
        )
        said["increment of 1 %: wall-clock, of the full build's (at most 0.15)"] = _verdict(more.wall / mine.wall, 0.15)
    if rows * 2 <= 80_000:
        said["peak, GiB (at most 2.5)"] = _verdict(mine.peak / 2**30, MEMORY_LIMIT / 2**30)
    else:
        said["peak, GiB (at most 8)"] = _verdict(mine.peak / 2**30, 8.0)
    return said


def _verdict(figure: float, most: float) -> str:
    return f"{figure:.2f}: {'holds' if figure <= most else 'BROKEN'}"


def main() -> int:
    """Measure, print, and end with 1 if a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=39_069, help="generated apps a device (two devices)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dfp-engines-") as scratch:
        folder = Path(scratch)
        os.environ["DFP_HOME"] = str(folder / "home")
        lake_uri = land(folder, options.rows)
        order = [engine for engine in ENGINES if engine in options.engines]
        found = {engine: measure(engine, lake_uri, folder, options.rows) for engine in order}
    said = judged(found, options.rows)
    if options.json:
        print(json.dumps({"rows": 2 * options.rows, "builds": [asdict(f) for f in found.values()], "limits": said}))
    else:
        print(f"{2 * options.rows:,} rows      wall s    CPU s  peak GiB  models s")
        for each in found.values():
            print(f"{each.engine:<14} {each.wall:8.1f} {each.cpu:8.1f} {each.peak / 2**30:9.2f} {each.models:9.1f}")
        for limit, verdict in said.items():
            print(f"DataFusion: {limit}: {verdict}")
    return int(any("BROKEN" in verdict for verdict in said.values()))


if __name__ == "__main__":
    sys.exit(main())
