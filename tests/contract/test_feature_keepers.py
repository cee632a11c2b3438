"""What every keeper of features promises, over every store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform import features
from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.features import Rows, Served
from dfp_platform.features.keeper import Keeper, index_of
from dfp_platform.features.redis_versions import RedisVersions
from dfp_platform.features.sqlite_versions import SqliteVersions
from dfp_platform.features.versions import replaces
from dfp_platform.lake import Lake, open_lake
from tests.feature_keepers import ALL_KEEPERS, KEEPERS, one_node_cluster
from tests.feature_line import NAMES, ROWS, apply_registry, digest, raw_values, store_table, training_table
from tests.redis_server import PATIENT, RedisServer, redis_server

pytestmark = pytest.mark.xdist_group("features")  # on one worker, so that Feast is imported once
SOON = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """`main`, `next` with other values and 3 more apps, `mixed` where rows came, changed, went, and came late."""
    opened = open_lake(tmp_path_factory.mktemp("keepers") / "lake", create=True)
    store_table(opened, "main", training_table())
    apply_registry(opened, "main")
    for branch in ("next", "mixed", "reordered"):
        opened.create_branch(branch, "main")
    store_table(opened, "next", training_table(ROWS + 3, shift=5.0))
    store_table(opened, "mixed", mixed_table())
    store_table(
        opened, "reordered", training_table().select(["sha256", "device", "malware", "highest_date", *NAMES[::-1]])
    )
    apply_registry(opened, "reordered")
    return opened


def mixed_table() -> pa.Table:
    table = training_table(ROWS + 4)
    dates = table["highest_date"].to_pylist()
    dates[7], dates[8] = dates[7] - timedelta(days=300), dates[8] + timedelta(days=300)  # one late, one newer
    values = table["sys_read"].to_numpy().copy()
    values[9] += 1_000
    changed = table.set_column(table.column_names.index("highest_date"), "highest_date", [dates])
    changed = changed.set_column(table.column_names.index("sys_read"), "sys_read", [values])
    return pa.concat_tables([changed.slice(0, 20), changed.slice(23)])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RedisServer]]:
    """Redis servers by kind, each started when it is first asked for."""
    with ExitStack() as stack:
        yield _Started(stack, tmp_path_factory)


class _Started(dict[str, RedisServer]):
    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory) -> None:
        self._stack, self._folders = stack, folders

    def __missing__(self, kind: str) -> RedisServer:
        start = one_node_cluster if kind == "cluster" else redis_server
        self[kind] = server = self._stack.enter_context(start(self._folders.mktemp(kind)))
        return server


@pytest.fixture(params=ALL_KEEPERS)
def keeper(request: pytest.FixtureRequest, tmp_path: Path, servers: dict[str, RedisServer]) -> Iterator[Keeper]:
    name: str = request.param
    kind = name.split("-")[1]
    url = "" if kind == "sqlite" else servers[kind].url + PATIENT
    with closing(KEEPERS[name](tmp_path, url)) as made:
        if url:
            made.store._writing.client.flushall()
        yield made


def read(keeper: Keeper, keys: list[str], version: str | None = None, branch: str = "main") -> features.Vectors:
    with closing(keeper.reader(branch, version=version)) as reader:
        return reader.read(keys)


def expected(app: int, *, shift: float = 0.0) -> bytes:
    return (raw_values(ROWS + 3)[app] + shift).astype(np.float32).tobytes()


def publish(keeper: Keeper, lake: Lake, ref: str, branch: str = "main") -> str:
    version = keeper.materialize(lake, ref).version
    keeper.switch(branch, version, lake.resolve(ref), publication=True)
    return version


def pushed(key: str, day: datetime, value: float) -> Rows:
    return Rows([key], np.array([round(day.timestamp() * 1e6)]), np.full((1, len(NAMES)), value, np.float32))


def schema_hash(keeper: Keeper) -> str:
    return keeper.versions()[-1].schema_hash


def content(keeper: Keeper, version: str) -> dict[str, tuple[int, bytes]]:
    """All that a version serves, by key, read key by key."""
    found = next(each for each in keeper.versions() if each.version == version)
    index = keeper.store.index(found)
    assert index is not None
    keys = sorted(index["key"].to_pylist())
    served = read(keeper, keys, version)
    assert served.found.all()
    return {
        key: (int(at), row.tobytes()) for key, at, row in zip(keys, served.event_times, served.vectors, strict=True)
    }


def test_values_are_the_float32_of_the_table_in_the_order_asked(keeper: Keeper, lake: Lake) -> None:
    version = publish(keeper, lake, "main")
    served = read(keeper, [digest(3), digest(0), "f" * 64, digest(3)])
    wanted = raw_values(ROWS).astype(np.float32)[[3, 0]]
    assert served.names == NAMES
    assert served.found.tolist() == [True, True, False, True]
    assert served.vectors[:2].tobytes() == wanted.tobytes()
    assert np.isnan(served.vectors[2]).all()
    assert (served.version, served.commit) == (version, lake.resolve("main"))
    assert served.event_times[1] == datetime(2018, 1, 1, tzinfo=UTC).timestamp() * 1e6
    assert read(keeper, []).vectors.shape == (0, len(NAMES))


def test_any_feature_of_any_view_comes_out_of_the_one_vector(keeper: Keeper, lake: Lake) -> None:
    publish(keeper, lake, "main")
    whole = raw_values(ROWS)[5].astype(np.float32)
    with closing(keeper.reader("main")) as reader:
        static = reader.read([digest(5)], view="app_static")
        chosen = reader.read([digest(5)], view="app_dynamic", features=["sys_reboot", "sys_read"])
        assert (static.names, static.vectors[0].tolist()) == (NAMES[2:], whole[2:].tolist())
        assert (chosen.names, chosen.vectors[0].tolist()) == (("sys_reboot", "sys_read"), whole[[1, 0]].tolist())
        assert reader.read([digest(5)], features=["vector"]).vectors[0].tobytes() == whole.tobytes()
        with pytest.raises(InputError, match="sys_raed"):
            reader.read([digest(5)], features=["sys_raed"])
        with pytest.raises(InputError, match="no_view"):
            reader.read([digest(5)], view="no_view")


def test_served_equals_trained_and_finds_one_flipped_bit(keeper: Keeper, lake: Lake) -> None:
    version = publish(keeper, lake, "main")
    found = features.served_equals_trained(keeper, lake, "main", version)
    assert (found.checked, found.differing, found.passed) == (ROWS, 0, True)
    other = features.served_equals_trained(keeper, lake, "mixed", version)
    assert digest(9) in other.examples
    assert not other.passed


def test_a_reader_follows_its_branch_and_a_pinned_one_does_not(keeper: Keeper, lake: Lake) -> None:
    first = publish(keeper, lake, "main")
    with closing(keeper.reader("main")) as follows, closing(keeper.reader("main", version=first)) as pinned:
        assert follows.read([digest(0)]).version == first
        second = publish(keeper, lake, "next")
        after = follows.read([digest(0)])
        assert (after.version, after.vectors[0].tobytes()) == (second, expected(0, shift=5.0))
        assert pinned.read([digest(0)]).vectors[0].tobytes() == expected(0)
        assert (follows.rows, pinned.rows) == (ROWS + 3, ROWS)
        keeper.rollback("main")
        assert follows.read([digest(0)]).version == first


def test_branches_serve_what_they_were_switched_to(keeper: Keeper, lake: Lake) -> None:
    first, second = publish(keeper, lake, "main"), publish(keeper, lake, "next", branch="dev")
    assert read(keeper, [digest(0)]).version == first
    assert read(keeper, [digest(0)], branch="dev").version == second
    assert {branch: now.version for branch, now in keeper.branches().items()} == {"main": first, "dev": second}


def test_nothing_served_and_no_such_version_are_said(keeper: Keeper, lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="nothing is served"):
        read(keeper, [digest(0)])
    with pytest.raises(NotFoundError, match="no online version 'gone'"):
        read(keeper, [digest(0)], "gone")
    with pytest.raises(NotFoundError, match="no online version 'gone'"):
        keeper.switch("main", "gone", "a1")
    with pytest.raises(NotFoundError, match="served nothing before"):
        keeper.rollback("main")
    assert (keeper.current("main"), list(keeper.versions())) == (None, [])


def test_a_reader_of_nothing_finds_what_is_published_later(keeper: Keeper, lake: Lake) -> None:
    with closing(keeper.reader("main")) as reader:
        with pytest.raises(NotFoundError):
            reader.read([digest(0)])
        version = publish(keeper, lake, "main")
        assert reader.read([digest(0)]).version == version


def test_a_rollback_by_hand_stays_until_the_lake_asks_for_another_version(keeper: Keeper, lake: Lake) -> None:
    first, second = publish(keeper, lake, "main"), publish(keeper, lake, "next")
    assert keeper.rollback("main").version == first
    assert publish(keeper, lake, "next") == second
    assert keeper.current("main").version == first
    third = publish(keeper, lake, "mixed")
    assert keeper.current("main").version == third
    publish(keeper, lake, "main")  # as after `dfp lake revert`
    assert keeper.current("main").previous == Served(third, lake.resolve("mixed"))


def test_every_read_sees_one_version_whole_while_it_is_switched(keeper: Keeper, lake: Lake) -> None:
    versions = {publish(keeper, lake, "main"): 0.0, publish(keeper, lake, "next"): 5.0}
    keys, mixed, stop = [digest(app) for app in range(20)], [], threading.Event()
    with closing(keeper.reader("main")) as reader:

        def ask() -> None:
            while not stop.is_set():
                served = reader.read(keys)
                wanted = b"".join(expected(app, shift=versions[served.version]) for app in range(20))
                if served.vectors.tobytes() != wanted or not served.found.all():
                    mixed.append(served.version)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(30):
            keeper.rollback("main")
        stop.set()
        for thread in threads:
            thread.join()
    assert mixed == []


@pytest.mark.parametrize("target", ["mixed", "next", "reordered", "main"])
def test_an_incremental_version_equals_a_full_one(keeper: Keeper, lake: Lake, target: str) -> None:
    base = publish(keeper, lake, "main")
    partial = keeper.materialize(lake, target, version="partial", base=base)
    full = keeper.materialize(lake, target, version="full")
    assert content(keeper, "partial") == content(keeper, "full")
    assert (partial.rows, partial.names) == (full.rows, full.names)
    assert partial.changed == {"mixed": 3 + 4, "next": ROWS + 3, "reordered": ROWS, "main": 0}[target]


def test_a_base_that_lost_its_values_is_not_started_from(keeper: Keeper, lake: Lake) -> None:
    base = keeper.materialize(lake, "main")
    started = keeper._started_from

    def losing(*told: Any) -> Any:
        found = started(*told)
        if isinstance(keeper.store, SqliteVersions):
            keeper.store.path(base.version).unlink(missing_ok=True)
        elif isinstance(keeper.store, RedisVersions):
            keeper.store._writing.client.delete(keeper.store.layout.key(base.space, digest(30)))
        return found

    keeper._started_from = losing
    partial = keeper.materialize(lake, "mixed", version="partial", base=base.version)
    full = keeper.materialize(lake, "mixed", version="full")
    assert partial.changed == full.changed
    assert content(keeper, "partial") == content(keeper, "full")


def test_a_version_that_is_there_is_left_as_it_is(keeper: Keeper, lake: Lake) -> None:
    first = keeper.materialize(lake, "main")
    assert keeper.materialize(lake, "main") == first
    assert keeper.versions() == [first]


def test_a_backfill_takes_the_rows_of_its_window_where_they_are_newer(keeper: Keeper, lake: Lake) -> None:
    base = publish(keeper, lake, "main")
    start, end = datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 1, 21, tzinfo=UTC)
    written = keeper.backfill(lake, "next", "main", start=start, end=end)
    served = read(keeper, [digest(app) for app in (0, 19, 20, ROWS)], written.version)
    shifts = [5.0, 5.0, 0.0]
    assert [row.tobytes() for row in served.vectors[:3]] == [
        expected(app, shift=shift) for app, shift in zip((0, 19, 20), shifts, strict=True)
    ]
    assert served.found.tolist() == [True, True, True, False]
    assert keeper.current("main").version == base
    late = keeper.backfill(lake, "mixed", "main", start=datetime(2017, 1, 1, tzinfo=UTC), end=start)
    assert late.version == base, "app 7 came late: what is served is newer, so nothing is made"
    keeper.switch("main", written.version, lake.resolve("next"))
    again = keeper.backfill(lake, "next", "main", start=start, end=end)
    assert again.version == written.version, "the window is in what is served"


def test_a_pushed_value_is_served_at_once_unless_what_is_served_is_newer(keeper: Keeper, lake: Lake) -> None:
    publish(keeper, lake, "main")
    day = datetime(2018, 1, 1, tzinfo=UTC)
    told = schema_hash(keeper)
    with closing(keeper.reader("main")) as reader:
        assert keeper.push(told, pushed(digest(0), day, 7.0)) == 1
        assert reader.read([digest(0)]).vectors[0].tobytes() == expected(0)  # as old as what is served
        keeper.push(told, pushed(digest(0), day + timedelta(seconds=1), 8.0))
        keeper.push(told, pushed("f" * 64, day, 9.0))
        served = reader.read([digest(0), "f" * 64])
        assert (served.vectors[:, 0].tolist(), served.found.tolist()) == ([8.0, 9.0], [True, True])
        assert keeper.push(told, pushed(digest(0), day, 6.0)) == 0
        publish(keeper, lake, "next")
        assert reader.read([digest(0)]).vectors[0, 0] == 8.0  # the push is newer than the new version too
        publish(keeper, lake, "reordered")
        assert reader.read(["f" * 64]).found.tolist() == [False]  # of other features


def test_a_version_by_its_name_is_what_was_written_whatever_was_pushed(keeper: Keeper, lake: Lake) -> None:
    version = publish(keeper, lake, "main")
    keeper.push(schema_hash(keeper), pushed(digest(0), datetime(2030, 1, 1, tzinfo=UTC), 8.0))
    assert read(keeper, [digest(0)]).vectors[0, 0] == 8.0
    assert read(keeper, [digest(0)], version).vectors[0].tobytes() == expected(0)
    assert features.served_equals_trained(keeper, lake, "main", version).passed


def test_pruning_keeps_what_is_named_and_what_is_young(keeper: Keeper, lake: Lake) -> None:
    first, second = publish(keeper, lake, "main"), publish(keeper, lake, "next")
    keeper.materialize(lake, "main", version="loose")
    keeper.materialize(lake, "main", version="kept")
    assert keeper.prune(before=datetime.now(UTC) - timedelta(days=1)) == []
    assert keeper.prune(before=SOON, keep=["kept"]) == ["loose"]
    assert {each.version for each in keeper.versions()} == {first, second, "kept"}
    keeper.rollback("main")
    assert content(keeper, first)[digest(0)][1] == expected(0)
    with pytest.raises(NotFoundError):
        read(keeper, [digest(0)], "loose")


def test_pruning_forgets_pushes_that_every_served_version_has_caught_up_with(keeper: Keeper, lake: Lake) -> None:
    publish(keeper, lake, "main")
    told, day = schema_hash(keeper), datetime(2018, 1, 1, tzinfo=UTC)
    keeper.push(told, pushed(digest(0), day, 7.0))
    keeper.push(told, pushed(digest(1), day + timedelta(days=9), 8.0))
    keeper.push(told, pushed("f" * 64, day, 9.0))
    keeper.prune(before=SOON)
    assert set(keeper.store.pushed()[told]) == {digest(1), "f" * 64}
    assert read(keeper, [digest(1)]).vectors[0, 0] == 8.0


def test_history_is_the_newest_vector_not_younger_than_the_moment(keeper: Keeper, lake: Lake) -> None:
    day = datetime(2018, 1, 11, tzinfo=UTC)  # app 10's date
    asked = pa.table(
        {
            "sha256": [digest(10), digest(10), digest(11)],
            "event_timestamp": pa.array([day, day - timedelta(seconds=1), day]),
            "question": [0, 1, 2],
        }
    )
    answer = {row["question"]: row["vector"] for row in keeper.historical(lake, "main", asked).to_pylist()}
    assert answer == {0: raw_values(ROWS)[10].astype(np.float32).tolist(), 1: None, 2: None}
    assert len(keeper.historical(lake, "main")) == ROWS


def test_progress_is_told_row_by_row(keeper: Keeper, lake: Lake) -> None:
    told: list[tuple[str, int, int]] = []
    keeper.materialize(lake, "main", progress=lambda *each: told.append(each))
    assert told[-1] == ("rows written", ROWS, ROWS)
    assert ("rows read", ROWS, ROWS) in told


def test_of_two_writers_of_one_version_both_find_it_whole(keeper: Keeper, lake: Lake) -> None:
    first = keeper.materialize(lake, "main", version="both")
    names, rows = keeper.source.rows(lake, lake.resolve("main"))
    about = replace(first, commit="another", space="")
    second = keeper.store.write(about, rows, index_of(rows), base=None, wrote=lambda _count: None)
    assert second.version == "both"
    assert content(keeper, "both")[digest(0)][1] == expected(0)
    assert names == NAMES


def test_of_pushed_values_the_newer_stays_and_of_equal_times_the_greater() -> None:
    assert replaces((2, b"a"), (1, b"z"))
    assert not replaces((1, b"z"), (2, b"a"))
    assert replaces((1, b"b"), (1, b"a"))
    assert not replaces((1, b"a"), (1, b"a"))
