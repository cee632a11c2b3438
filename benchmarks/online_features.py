"""Online features against Redis itself: one app and a hundred, in turns with the bare GET and MGET of the same bytes.

Beside them Feast's own SDK on scalar features, and the writing of a whole version. Starts a redis-server of its own.

Run: ``python -m benchmarks.online_features [--apps 78137] [--features 480] [--reads 20000] [--json]``
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Row, measured, parser, row, show
from dfp_platform.features.interface import Materialized, Rows
from dfp_platform.features.keeper import Keeper, index_of
from dfp_platform.features.redis_versions import RedisVersions
from dfp_platform.features.row_sources import FeastRows, PlainRows
from dfp_platform.lake.interface import Lake
from dfp_platform.models.data import feature_schema_hash

ONE_AT_MOST, HUNDRED_AT_MOST, SECONDS_AT_MOST = 5.0, 3.0, 30.0
"""Times a GET, times an MGET, seconds for a version of all apps: what issue 6 asks."""

SCALARS = 10
"""Scalar features that Feast's SDK is asked for: with hundreds it takes most of a second."""


@contextmanager
def own_redis() -> Iterator[str]:
    """The address of a redis-server without persistence, on a free port, that ends with the block."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed (Debian: apt install redis-server)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *told], stdout=subprocess.DEVNULL)
    try:
        _wait(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait(timeout=20)


def made_rows(apps: int, features: int) -> Rows:
    """Seeded rows under keys that look like digests."""
    random = np.random.default_rng(1)
    keys = [f"{app:064x}" for app in range(apps)]
    times = random.integers(1_500_000_000, 1_700_000_000, apps) * 1_000_000
    return Rows(keys, times, random.random((apps, features), dtype=np.float32))


def written(keeper: Keeper, rows: Rows) -> tuple[Row, str]:
    """One version of all rows, switched on for main: how long that took, from rows in memory on."""
    names = tuple(f"sys_f{place}" for place in range(rows.matrix.shape[1]))
    start = time.perf_counter()
    about = Materialized(
        "bench", len(rows.keys), names, feature_schema_hash(names), "c0", written="2026-01-01T00:00:00Z"
    )
    version = keeper.store.write(about, rows, index_of(rows), base=None, wrote=lambda _count: None)
    keeper.switch("main", version.version, "c0")
    took = time.perf_counter() - start
    figures = row(f"{_name(keeper)}: write {len(rows.keys):,} apps", [took * 1e3], seconds=round(took, 2))
    return figures.limited(took, SECONDS_AT_MOST, f"at most {SECONDS_AT_MOST:.0f} s"), version.schema_hash


def materialized(keeper: Keeper, lake: Lake) -> list[Row]:
    """From the lake's table to a version, whole and then from that one on with every tenth app changed."""
    took: list[float] = []
    commits = [lake.resolve("main"), lake.resolve("changed")]
    for commit, base in ((commits[0], None), (commits[1], keeper.version_for(lake, commits[0]))):
        start = time.perf_counter()
        keeper.materialize(lake, commit, base=base)
        took.append(time.perf_counter() - start)
    limit = f"at most {SECONDS_AT_MOST:.0f} s"
    return [
        row(f"{_name(keeper)}: {what}", [seconds * 1e3], seconds=round(seconds, 2)).limited(
            seconds, SECONDS_AT_MOST, limit
        )
        for what, seconds in zip(("materialize from the lake", "incremental, 10 % changed"), took, strict=True)
    ]


def made_lake(folder: Path, rows: Rows) -> Lake:
    """A lake whose table holds the rows on `main`, and on `changed` with one value of every tenth app changed."""
    import pyarrow as pa

    from dfp_platform import features
    from dfp_platform.catalog import open_catalog, overwrite
    from dfp_platform.lake import open_lake

    lake = open_lake(folder / "lake", create=True)
    columns: dict[str, Any] = {
        "sha256": rows.keys,
        "device": ["real_device"] * len(rows.keys),
        "highest_date": pa.array(rows.event_times // 86_400_000_000, pa.int64()).cast(pa.int32()).cast(pa.date32()),
        **{f"sys_f{place}": values for place, values in enumerate(rows.matrix.T)},
    }
    overwrite(open_catalog(lake, "main"), ("marts", "fct_training_dataset"), pa.table(columns))
    lake.commit("main", {features.REGISTRY: features.apply(lake, "main")}, message="apply")
    lake.create_branch("changed", "main")
    changed = rows.matrix[:, 0].copy()
    changed[::10] += 1
    overwrite(
        open_catalog(lake, "changed"), ("marts", "fct_training_dataset"), pa.table({**columns, "sys_f0": changed})
    )
    return lake


def reads(keeper: Keeper, bare: Any, rows: Rows, *, times: int) -> list[Row]:
    """One app and a hundred through a keeper, in turns with the bare commands."""
    draw = np.random.default_rng(2).integers(0, len(rows.keys), (times, 100))
    with closing(keeper.reader("main")) as reader:
        reader.read(rows.keys[:1])
        one = in_turns(
            lambda call: reader.read([rows.keys[draw[call, 0]]]), lambda call: bare.get(f"bare:{draw[call, 0]}"), times
        )
        few = max(100, times // 20)
        hundred = in_turns(
            lambda call: reader.read([rows.keys[app] for app in draw[call]]),
            lambda call: bare.mget([f"bare:{app}" for app in draw[call]]),
            few,
        )
    return [
        *_beside(f"{_name(keeper)}: one app, all features", *one, bare="GET", most=ONE_AT_MOST),
        *_beside(f"{_name(keeper)}: 100 apps, all features", *hundred, bare="MGET of 100", most=HUNDRED_AT_MOST),
    ]


def in_turns(
    ours: Callable[[int], object], theirs: Callable[[int], object], times: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of two calls that take turns, so that what disturbs one disturbs the other."""
    took: tuple[list[float], list[float]] = ([], [])
    for call in range(times):
        for kept, ask in zip(took, (ours, theirs), strict=True):
            start = time.perf_counter()
            ask(call)
            kept.append((time.perf_counter() - start) * 1e3)
    return took


def feast_scalars(url: str, apps: Sequence[str], *, times: int) -> list[Row]:
    """Feast's SDK with its own Redis store: `SCALARS` scalar features of one app and of a hundred."""
    from dfp_platform.features.repository import import_feast

    feast = import_feast()
    from feast.types import Float32

    with tempfile.TemporaryDirectory() as folder:
        online = {"type": "redis", "connection_string": url.removeprefix("redis://").removesuffix("/0")}
        config = feast.RepoConfig(
            project="bench", registry=f"{folder}/registry.db", online_store=online, entity_key_serialization_version=3
        )
        store = feast.FeatureStore(config=config)
        entity = feast.Entity(name="app", join_keys=["sha256"], value_type=feast.ValueType.STRING)
        source = feast.FileSource(name="s", path=f"{folder}/none.parquet", timestamp_field="event_timestamp")
        fields = [feast.Field(name=f"f{place}", dtype=Float32) for place in range(SCALARS)]
        store.apply([entity, feast.FeatureView(name="scalars", entities=[entity], schema=fields, source=source)])
        store.write_to_online_store("scalars", _frame(apps))
        asked = [f"scalars:{field.name}" for field in fields]

        def ask(keys: Sequence[str]) -> object:
            rows = [{"sha256": key} for key in keys]
            return store.get_online_features(features=asked, entity_rows=rows).to_dict()

        one = measured(f"Feast's SDK: one app, {SCALARS} scalars", lambda call: ask([apps[call % 100]]), times=times)
        hundred = measured(f"Feast's SDK: 100 apps, {SCALARS} scalars", lambda _call: ask(apps[:100]), times=times // 5)
        return [one, hundred]


def keeper_scalars(keeper: Keeper, apps: Sequence[str], *, times: int) -> list[Row]:
    """The same question to a keeper: as many scalars, out of the one vector."""
    asked = [f"sys_f{place}" for place in range(SCALARS)]
    with closing(keeper.reader("main")) as reader:
        one = measured(
            f"{_name(keeper)}: one app, {SCALARS} scalars",
            lambda call: reader.read([apps[call % 100]], features=asked),
            times=times,
        )
        hundred = measured(
            f"{_name(keeper)}: 100 apps, {SCALARS} scalars",
            lambda _call: reader.read(apps[:100], features=asked),
            times=times // 5,
        )
    return [one, hundred]


def main() -> int:
    """Print the table; return 1 if a limit does not hold."""
    options = parser(__doc__)
    options.add_argument("--apps", type=int, default=78_137)
    options.add_argument("--features", type=int, default=480)
    options.add_argument("--reads", type=int, default=20_000)
    told = options.parse_args()
    import redis

    rows = made_rows(told.apps, told.features)
    found: list[Row] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        own_redis() as url,
        closing(redis.Redis.from_url(url)) as bare,
    ):
        lake = made_lake(Path(folder), rows)
        _lay_bare(bare, rows)
        keepers = [Keeper(FeastRows(), RedisVersions(url, layout="feast"))]
        keepers += [Keeper(PlainRows(), RedisVersions(url, layout="plain"))]
        for keeper in keepers:
            with closing(keeper):
                found.append(written(keeper, rows)[0])
                found += materialized(keeper, lake)
                found += reads(keeper, bare, rows, times=told.reads)
                found += keeper_scalars(keeper, rows.keys, times=min(1_000, told.reads))
        found += feast_scalars(url, rows.keys[:100], times=min(1_000, told.reads))
    return show(found, as_json=told.json)


def _beside(what: str, ours: list[float], theirs: list[float], *, bare: str, most: float) -> list[Row]:
    mine, other = row(what, ours), row(f"  beside it: Redis {bare} of the same bytes", theirs)
    times = mine.p50_ms / other.p50_ms
    return [row(what, ours, times=round(times, 2)).limited(times, most, f"p50 at most {most:.0f}x {bare}"), other]


def _lay_bare(bare: Any, rows: Rows) -> None:
    with bare.pipeline(transaction=False) as pipeline:
        for app, vector in enumerate(rows.matrix):
            pipeline.set(f"bare:{app}", vector.tobytes())
            if app % 2_000 == 0:
                pipeline.execute()
        pipeline.execute()


def _frame(apps: Sequence[str]) -> Any:
    import pandas as pd

    columns = {f"f{place}": np.random.default_rng(place).random(len(apps), np.float32) for place in range(SCALARS)}
    return pd.DataFrame({"sha256": list(apps), "event_timestamp": pd.Timestamp("2024-01-01", tz="UTC"), **columns})


def _name(keeper: Keeper) -> str:
    return "feast+redis" if isinstance(keeper.source, FeastRows) else "plain+redis"


def _wait(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit("redis-server did not listen within 20 s")


if __name__ == "__main__":
    sys.exit(main())
