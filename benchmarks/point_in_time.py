"""Point-in-time joins: what was known of an app at a moment, for many apps and moments, against the same join by hand.

A table of apps of 486 features, some in two versions, and entity rows (app, moment, number) at random. Everybody gives
the entity rows with one list of float32 beside each, null where nothing was known. `from the lake`: everybody reads the
same columns of the same Iceberg table by the same scan, and makes vectors of them. `in memory`: everybody is handed
keys, times and vectors as they like them best; only the join is measured. Ours answers in the order of the entity rows,
theirs need not. Each way runs in a process of its own; the best of its rounds counts (our first one imports Feast, for
seconds), and the peak memory of the first is said.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.figures import Row, milliseconds, parser, row, show
from dfp_platform.lake import Lake, open_lake

APPS, VERSIONS, ASKED = 78_137, 100_000, 1_000_000
"""Apps of the real device, rows of the table (some apps twice), and entity rows."""

SHAPE = {"sys": 288, "perm": 186, "app": 12}
"""Feature columns: as many of each kind as the real table has."""

RATIO = 2.0
"""What the project promises: at most this many times the better join by hand."""

TABLE = "marts.fct_training_dataset"
_FIRST = datetime(2010, 1, 1, tzinfo=UTC)
_SPAN = 3_650
"""Days in which versions and moments lie."""


def digests(apps: int) -> np.ndarray:
    """Keys of that many apps."""
    return np.array([hashlib.sha256(str(app).encode()).hexdigest() for app in range(apps)])


def training_rows(versions: int, *, apps: int, seed: int = 3) -> pa.Table:
    """A table as models read it: whole numbers, mostly small, in `SHAPE`. No app is there twice on one day.

    Args:
        versions: rows, at most two an app.
    """
    random = np.random.default_rng(seed)
    app = np.concatenate([np.arange(apps), random.permutation(apps)])[:versions]
    first = random.integers(0, _SPAN, apps)
    days = (first[app] + np.where(np.arange(versions) < apps, 0, random.integers(1, _SPAN, versions))) % _SPAN
    dates = days.astype("timedelta64[D]") + np.datetime64(_FIRST.date())
    columns = {"sha256": digests(apps)[app], "device": ["real_device"] * versions, "highest_date": dates}
    names = [f"{kind}_{number}" for kind, count in SHAPE.items() for number in range(count)]
    return pa.table({**columns, **{name: random.geometric(0.1, versions).astype(np.int32) for name in names}})


def entity_rows(count: int, *, apps: int, seed: int = 4) -> pa.Table:
    """Apps and moments at random; about 4 in 10 moments are before their app was known."""
    random = np.random.default_rng(seed)
    seconds = random.integers(0, _SPAN * 86_400, count)
    moments = (seconds + int(_FIRST.timestamp())) * 1_000_000
    return pa.table(
        {
            "sha256": digests(apps)[random.integers(0, apps, count)],
            "event_timestamp": pa.array(moments, pa.timestamp("us", tz="UTC")),
            "number": np.arange(count),
        }
    )


def made_lake(folder: Path, *, versions: int, apps: int) -> Lake:
    """A lake with the table and an applied registry."""
    from dfp_platform import features
    from dfp_platform.catalog import open_catalog, overwrite

    lake = open_lake(folder, create=True)
    overwrite(open_catalog(lake, "main"), tuple(TABLE.split(".")), training_rows(versions, apps=apps))
    lake.commit("main", {features.REGISTRY: features.apply(lake, "main")}, message="apply")
    return lake


def scanned(lake: Lake) -> tuple[pa.Table, list[str]]:
    """What a join by hand reads: keys, dates and all features of the table, and the names of the features."""
    from dfp_platform.catalog import scan

    rows = scan(lake, "main", TABLE, row_filter="device == 'real_device'")
    return rows, [name for name in rows.column_names if name.startswith(tuple(f"{kind}_" for kind in SHAPE))]


def ours_from_lake(lake: Lake, asked: pa.Table) -> pa.Table:
    """Through Feast: `features.historical`."""
    from dfp_platform import features

    return features.historical(lake, "main", asked)


def polars_from_lake(lake: Lake, asked: pa.Table) -> pa.Table:
    """By hand in polars."""
    import polars as pl

    return polars_join(polars_vectors(lake), pl.DataFrame(asked))


def duckdb_from_lake(lake: Lake, asked: pa.Table) -> pa.Table:
    """By hand in DuckDB, which is given the scanned columns and makes lists of them."""
    rows, names = scanned(lake)
    listed = ", ".join(f"{name}::float" for name in names)
    return duckdb_join(f"select sha256, highest_date::timestamptz as at, [{listed}] as vector from rows", rows, asked)


def polars_vectors(lake: Lake) -> Any:
    """The table as polars joins it: key, time and one list."""
    import polars as pl

    rows, names = scanned(lake)
    moment = pl.col("highest_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    vector = pl.concat_list(pl.col(names).cast(pl.Float32))
    return pl.DataFrame(rows).select("sha256", moment.alias("at"), vector.alias("vector"))


def polars_join(versions: Any, asked: Any) -> pa.Table:
    """An as-of join of lists by polars."""
    joined = asked.sort("event_timestamp").join_asof(
        versions.sort("at"), left_on="event_timestamp", right_on="at", by="sha256", check_sortedness=False
    )
    return joined.drop("at").to_arrow()


def duckdb_join(versions: str, rows: pa.Table, asked: pa.Table) -> pa.Table:
    """An as-of join of lists by DuckDB; `rows` and `asked` are what its query names."""
    import duckdb

    session = duckdb.connect()
    session.execute("set timezone = 'UTC'")
    session.register("rows", rows)
    session.register("asked", asked)
    joined = session.sql(
        f"select asked.*, vector from asked asof left join ({versions}) as known "
        "on asked.sha256 = known.sha256 and asked.event_timestamp >= known.at"
    )
    return joined.to_arrow_table()


def ours_in_memory(lake: Lake, asked: pa.Table) -> Callable[[], pa.Table]:
    """The join of the offline store, once rows are read."""
    from dfp_platform.features.point_in_time import newest, told
    from dfp_platform.features.rows import in_utc, read_versions

    source: Any = _source(lake)
    rows = read_versions(lake, "main", source, columns=source.features)
    keys, moments = asked["sha256"].combine_chunks(), in_utc(asked["event_timestamp"])
    return lambda: asked.append_column("vector", told(rows, newest(rows, keys, moments), rows.columns))


def polars_in_memory(lake: Lake, asked: pa.Table) -> Callable[[], pa.Table]:
    """The join of polars, once lists are made."""
    import polars as pl

    versions, questions = polars_vectors(lake), pl.DataFrame(asked)
    return lambda: polars_join(versions, questions)


def duckdb_in_memory(lake: Lake, asked: pa.Table) -> Callable[[], pa.Table]:
    """The join of DuckDB, once lists are made."""
    versions = polars_vectors(lake).to_arrow()
    return lambda: duckdb_join("select * from rows", versions, asked)


def _source(lake: Lake) -> Any:
    from dfp_platform import features

    return features.open_store(lake, "main").get_feature_view("app_all").batch_source


FROM_LAKE: Mapping[str, Callable[[Lake, pa.Table], pa.Table]] = {
    "ours": ours_from_lake,
    "polars": polars_from_lake,
    "duckdb": duckdb_from_lake,
}
IN_MEMORY: Mapping[str, Callable[[Lake, pa.Table], Callable[[], pa.Table]]] = {
    "ours": ours_in_memory,
    "polars": polars_in_memory,
    "duckdb": duckdb_in_memory,
}


def told_of(answer: pa.Table) -> dict[str, float]:
    """What answers are compared by: rows, nulls, the sum of all values, and which row has which sum."""
    vectors: Any = answer["vector"].combine_chunks() if answer["vector"].num_chunks == 1 else answer["vector"]
    chunks = [vectors] if isinstance(vectors, pa.Array) else vectors.chunks
    sums = [np.add.reduceat(np.append(c.flatten().to_numpy(), 0), _starts(c), dtype=np.float64) for c in chunks]
    there = np.asarray(answer["vector"].is_valid())
    numbers = answer["number"].to_numpy()[there]
    every = np.concatenate(sums)
    return {
        "rows": answer.num_rows,
        "nulls": int((~there).sum()),
        "sum": float(every.sum()),
        "placed": float((every * (numbers % 1_009)).sum()),
    }


def _starts(lists: Any) -> np.ndarray:
    lengths = np.diff(lists.offsets.to_numpy())[np.asarray(lists.is_valid())]
    return np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64) if len(lengths) else np.array([], np.int64)


def one_way(way: str, place: str, lake: Lake, asked: pa.Table, rounds: int) -> dict[str, Any]:
    """Times of one way, what it answered, and the most memory that its process held."""
    call = IN_MEMORY[way](lake, asked) if place == "memory" else lambda: FROM_LAKE[way](lake, asked)
    times, said, peak = [], {}, 0
    for _ in range(rounds):
        answers: list[pa.Table] = []
        times.append(milliseconds(lambda kept=answers: kept.append(call())))
        peak = peak or _peak()
        said = told_of(answers[0])
    return {"times": times, "said": said, "peak_mb": peak}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def in_own_process(way: str, place: str, lake: Lake, options: argparse.Namespace) -> dict[str, Any]:
    """`one_way` in a process that ends with it, so that its memory is its own."""
    sizes = ["--asked", options.asked, "--apps", options.apps, "--rounds", options.rounds]
    command = [sys.executable, "-m", "benchmarks.point_in_time", "--way", way, "--place", place, "--lake", lake.uri]
    done = subprocess.run([*command, *map(str, sizes)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{way} failed: {done.stderr[-1_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compared(place: str, lake: Lake, options: argparse.Namespace) -> list[Row]:
    """A row for each way; ours is held against the better of the others. Raises RuntimeError: answers differ."""
    found = {way: in_own_process(way, place, lake, options) for way in FROM_LAKE}
    if len({json.dumps(one["said"]) for one in found.values()}) > 1:
        raise RuntimeError("the answers differ: " + json.dumps({way: one["said"] for way, one in found.items()}))
    rival = min(min(found[way]["times"]) for way in found if way != "ours")
    ratio = min(found["ours"]["times"]) / rival
    facts = {way: {"peak_mb": one["peak_mb"]} for way, one in found.items()}
    facts["ours"] |= {"nulls": found["ours"]["said"]["nulls"], "ratio": round(ratio, 2)}
    ours, *others = [row(f"{place}: {way}", one["times"], **facts[way]) for way, one in found.items()]
    return [ours.limited(ratio, RATIO, f"at most {RATIO:g} times the better one by hand"), *others]


def main() -> int:
    """Measure; return 1 if the promise is broken."""
    options = parser(__doc__)
    options.add_argument("--asked", type=int, default=ASKED, help="entity rows")
    options.add_argument("--versions", type=int, default=VERSIONS, help="rows of the table")
    options.add_argument("--apps", type=int, default=APPS)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--lake", help="a lake that an earlier call made; without it one is made and removed")
    options.add_argument("--way", choices=FROM_LAKE, help=argparse.SUPPRESS)
    options.add_argument("--place", choices=["lake", "memory"], help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.way:
        asked = entity_rows(chosen.asked, apps=chosen.apps)
        print(json.dumps(one_way(chosen.way, chosen.place, open_lake(chosen.lake), asked, chosen.rounds)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        there = chosen.lake and Path(chosen.lake).exists()
        place = Path(chosen.lake or Path(folder) / "lake")
        lake = open_lake(place) if there else made_lake(place, versions=chosen.versions, apps=chosen.apps)
        rows = [one for where in ("lake", "memory") for one in compared(where, lake, chosen)]
    return show(rows, as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
