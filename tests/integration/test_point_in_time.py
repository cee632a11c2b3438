"""What was known at a moment: held to a join written plainly, and to the one of Feast's ibis helpers."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.errors import InputError, ReadOnlyError
from dfp_platform.features.registry import store_from
from dfp_platform.features.repository import KEY, VECTOR
from dfp_platform.features.rows import read_rows
from dfp_platform.lake import Lake, open_lake

TABLE, DAY = ("marts", "histories"), dt.datetime(2020, 3, 1, tzinfo=dt.UTC)
FEATURES = {"app_all": ("sys_read", "perm_reboot"), "app_dynamic": ("sys_read",)}
TTL = {"app_all": dt.timedelta(0), "app_dynamic": dt.timedelta(days=2)}
REFS = ["app_all:vector", "app_all:perm_reboot", "app_dynamic:vector", "app_dynamic:sys_read"]
KINDS = {
    "zoned": pa.timestamp("us", tz="UTC"),
    "plain": pa.timestamp("us"),
    "day": pa.date32(),
}
"""Types that a column of event times may have."""

APPS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
HOURS = st.integers(0, 24 * 5)
VERSIONS = st.lists(
    st.tuples(
        st.sampled_from([*APPS[:3], None]),
        st.one_of(st.none(), HOURS),
        st.one_of(st.none(), st.integers(0, 2)),
        st.sampled_from([0.0, 1.0, 2.0, math.nan]),
        st.sampled_from([-1.0, 5.0, math.nan]),
        st.sampled_from(["real_device"] * 3 + ["emulator"]),
    ),
    min_size=1,
    max_size=24,
)
ASKED = st.lists(st.tuples(st.sampled_from([*APPS, None]), st.one_of(st.none(), HOURS)), min_size=1, max_size=12)


def hours(count: int | None) -> dt.datetime | None:
    return None if count is None else DAY + dt.timedelta(hours=count)


def as_table(versions: list[Any], kind: str) -> pa.Table:
    keys, times, created, read, reboot, devices = zip(*versions, strict=True)
    moments = pa.array([hours(time) for time in times], pa.timestamp("us", tz="UTC"))
    if kind == "day":
        moments = pa.array([time and time.date() for time in map(hours, times)], pa.date32())
    return pa.table(
        {
            KEY: pa.array(keys, pa.string()),
            "device": pa.array(devices),
            "seen_at": moments.cast(KINDS[kind]),
            "created": pa.array([hours(time) for time in created], pa.timestamp("us", tz="UTC")),
            "sys_read": pa.array(read, pa.float64(), from_pandas=True),
            "perm_reboot": pa.array(reboot, pa.float64(), from_pandas=True),
        }
    )


def store_of(lake: Lake, ref: str, ttl: Mapping[str, dt.timedelta] = TTL) -> Any:
    """A Feast store of two views over the histories; `app_dynamic` forgets after two days."""
    store = store_from(b"", lake_uri=lake.uri, ref=ref, online=None)
    from feast import Entity, FeatureView, Field
    from feast.types import Array, Float32, String
    from feast.value_type import ValueType

    from dfp_platform.features.source import LakeSource

    entity = Entity(name="app", join_keys=[KEY], value_type=ValueType.STRING)
    views = [
        FeatureView(
            name=view,
            entities=[entity],
            ttl=ttl.get(view),
            schema=[
                Field(name=KEY, dtype=String),
                Field(name=VECTOR, dtype=Array(Float32)),
                *[Field(name=column, dtype=Float32) for column in columns],
            ],
            source=LakeSource(
                name=view,
                table=".".join(TABLE),
                device="real_device",
                features=columns,
                event_time="seen_at",
                created_timestamp_column="created",
            ),
        )
        for view, columns in FEATURES.items()
    ]
    store.apply([entity, *views])
    return store


class ByIbis:
    """The join of Feast's own helpers, over every version that the lake has.

    Without a ttl: the ibis of today says that interval in a way that its sqlglot refuses.
    """

    @staticmethod
    def get_historical_features(config: Any, **asked: Any) -> Any:
        import ibis
        from feast.infra.offline_stores.ibis import get_historical_features_ibis

        def read(source: Any, _: str) -> Any:
            at = config.offline_store
            rows = read_rows(open_lake(at.lake), at.ref, source, columns=source.features)
            columns = {name: pa.array(rows.matrix[:, place]) for place, name in enumerate(source.features)}
            vectors = pa.array(list(rows.matrix), pa.list_(pa.float32()))
            told = {KEY: rows.keys, "event_timestamp": rows.times, "created": rows.created, VECTOR: vectors}
            return ibis.memtable(pa.table({**told, **columns}))

        readers = {"data_source_reader": read, "data_source_writer": read}
        return get_historical_features_ibis(config=config, **asked, **readers)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return open_lake(tmp_path_factory.mktemp("histories") / "lake", create=True)


@pytest.fixture(autouse=True, scope="module")
def duckdb() -> Iterator[None]:
    """What ibis works on. Left to the interpreter's end, the connection that it keeps complains of leaks."""
    yield
    import ibis

    backend, ibis.options.default_backend = ibis.options.default_backend, None
    if backend is not None:
        backend.disconnect()


@cache
def branch_of(lake: Lake, kind: str) -> str:
    return lake.create_branch(kind, "main") and kind


def stored(lake: Lake, versions: list[Any], kind: str, **ttl: Any) -> Any:
    overwrite(open_catalog(lake, branch_of(lake, kind)), TABLE, as_table(versions, kind))
    return store_of(lake, kind, **ttl)


def frame(asked: list[Any], zone: str) -> pd.DataFrame:
    times = pd.Series([hours(time) for _, time in asked], dtype="datetime64[us, UTC]").dt.tz_convert(zone)
    rows = {KEY: [key for key, _ in asked], "event_timestamp": times, "question": range(len(asked))}
    return pd.DataFrame(rows)


def known(versions: list[Any], kind: str, key: str | None, moment: int | None, ttl: dt.timedelta) -> Any:
    """The join as one would say it: of all versions that were there and good, the greatest."""
    best = None
    for app, time, created, read, reboot, device in versions:
        if None in (app, time, key, moment) or device != "real_device" or app != key:
            continue
        then = time - time % 24 if kind == "day" else time
        if then > moment or (ttl and hours(then) + ttl < hours(moment)):
            continue
        order = tuple((math.isnan(value), value) if not math.isnan(value) else (True, 0) for value in (read, reboot))
        found = ((then, -1 if created is None else created, order), (read, reboot))
        best = found if best is None or found[0] > best[0] else best
    return None if best is None else best[1]


def same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    return np.array_equal(np.float32(left), np.float32(right), equal_nan=True)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(versions=VERSIONS, asked=ASKED, kind=st.sampled_from(list(KINDS)), zone=st.sampled_from(["UTC", "Asia/Tokyo"]))
def test_the_answer_is_that_of_a_join_written_plainly(
    lake: Lake, versions: list[Any], asked: list[Any], kind: str, zone: str
) -> None:
    entity_rows = frame(asked, zone)
    job = stored(lake, versions, kind).get_historical_features(entity_rows, REFS, full_feature_names=True)
    answer = job.to_arrow().to_pylist()
    assert [row["question"] for row in answer] == list(range(len(asked)))
    for row, (key, moment) in zip(answer, asked, strict=True):
        every = known(versions, kind, key, moment, TTL["app_all"])
        young = known(versions, kind, key, moment, TTL["app_dynamic"])
        assert row[KEY] == key
        assert same(row["app_all__vector"], every)
        assert same(row["app_all__perm_reboot"], every and every[1])
        assert same(row["app_dynamic__vector"], young and young[:1])
        assert same(row["app_dynamic__sys_read"], young and young[0])


@settings(max_examples=12, phases=[Phase.generate])
@given(versions=VERSIONS, asked=ASKED, kind=st.sampled_from(list(KINDS)))
def test_the_answer_is_that_of_feasts_ibis_helpers(
    lake: Lake, versions: list[Any], asked: list[Any], kind: str
) -> None:
    told = {(*version[:1], version[1], version[2]): version for version in versions if version[-1] == "real_device"}
    if kind == "day":  # ibis leaves open which of two undecided rows it takes
        told = {(key, time and time // 24, created): row for (key, time, created), row in told.items()}
    rows = [*told.values()] or versions[:1]
    asked = [(key, moment) for key, moment in asked if moment is not None] or [(APPS[0], 0)]
    store, answers = stored(lake, rows, kind, ttl={}), []
    for other in (None, ByIbis()):
        store._get_provider()._offline_store = other or store._get_provider().offline_store
        job = store.get_historical_features(frame(asked, "UTC"), REFS, full_feature_names=True)
        answers.append(job.to_arrow())
    ours, theirs = answers
    assert ours.column_names == theirs.column_names
    by_question = {row["question"]: row for row in theirs.to_pylist()}
    for row in ours.to_pylist():
        other = by_question[row["question"]]
        assert (row[KEY], row["event_timestamp"]) == (other[KEY], other["event_timestamp"])
        assert all(same(row[name], other[name]) for name in ours.column_names if "__" in name)


ONE = [(APPS[0], 0, 0, 1.0, 5.0, "real_device"), (APPS[0], 30, 0, 2.0, 5.0, "real_device")]


def test_rows_that_nothing_decides_between_are_told_apart_by_all_of_their_values(lake: Lake) -> None:
    tied = [(APPS[0], 0, 0, 2.0, -1.0, "real_device"), (APPS[0], 0, 0, 1.0, 5.0, "real_device")]
    for rows in (tied, tied[::-1]):
        store = stored(lake, rows, "zoned")
        for refs, value in ((["app_all:perm_reboot"], -1.0), (["app_dynamic:sys_read"], 2.0)):
            job = store.get_historical_features(frame([(APPS[0], 1)], "UTC"), refs)
            assert job.to_arrow()[refs[0].split(":")[1]].to_pylist() == [value]


def test_entity_rows_may_be_a_query_over_the_tables(lake: Lake) -> None:
    store = stored(lake, ONE, "zoned")
    sql = f"select {KEY}, seen_at + interval '1 hour' as event_timestamp from marts.histories"
    answer = store.get_historical_features(sql, ["app_all:sys_read"]).to_arrow()
    assert sorted(answer["sys_read"].to_pylist()) == [1.0, 2.0]


def test_without_entity_rows_every_version_in_the_window_is_told(lake: Lake) -> None:
    store = stored(lake, ONE, "zoned")
    every = store.get_historical_features(features=["app_all:sys_read"], start_date=DAY).to_arrow()
    assert every["sys_read"].to_pylist() == [1.0, 2.0]
    later = store.get_historical_features(
        features=["app_all:sys_read"], start_date=DAY + dt.timedelta(hours=1), end_date=DAY + dt.timedelta(hours=30)
    )
    assert later.to_arrow()["event_timestamp"].to_pylist() == [hours(30)]


def test_the_column_that_names_the_app_may_be_called_otherwise(lake: Lake) -> None:
    store = stored(lake, ONE, "zoned")
    view = store.get_feature_view("app_all").with_join_key_map({KEY: "parent"}).with_name("parents")
    from feast import FeatureService

    rows = frame([(APPS[0], 1)], "UTC").rename(columns={KEY: "parent"})
    service = FeatureService(name="asked", features=[view])
    store.apply([service])
    answer = store.get_historical_features(rows, service, full_feature_names=True)
    assert answer.to_arrow()["parents__sys_read"].to_pylist() == [1.0]


@pytest.mark.parametrize("missing", [KEY, "event_timestamp"])
def test_a_column_that_the_entity_rows_lack_is_named(lake: Lake, missing: str) -> None:
    rows = pa.table({name: [APPS[0]] for name in (KEY, "event_timestamp") if name != missing})
    with pytest.raises(InputError, match=missing):
        stored(lake, ONE, "zoned").get_historical_features(rows, ["app_all:vector"])


def test_moments_may_be_texts_and_what_is_none_is_refused(lake: Lake) -> None:
    store = stored(lake, ONE, "zoned")
    rows = pa.table({KEY: [APPS[0]] * 2, "event_timestamp": ["2020-03-01", "2020-03-02T15:00:00+09:00"]})
    assert store.get_historical_features(rows, ["app_all:sys_read"]).to_arrow()["sys_read"].to_pylist() == [1.0, 2.0]
    for wrong in (pa.array([5, 6]), pa.array(["yesterday", "2020-03-01"])):
        with pytest.raises(InputError, match="holds no moments"):
            store.get_historical_features(rows.set_column(1, "event_timestamp", wrong), ["app_all:sys_read"])


def test_nothing_is_written_through_the_offline_store(lake: Lake) -> None:
    store = stored(lake, ONE, "zoned")
    job = store.get_historical_features(frame([(APPS[0], 1)], "UTC"), ["app_all:vector"])
    with pytest.raises(ReadOnlyError, match="saved datasets"):
        job.persist(storage=None)
    with pytest.raises(ReadOnlyError, match="not written to app_all"):
        store._get_provider().offline_store.offline_write_batch(
            store.config, store.get_feature_view("app_all"), pa.table({}), None
        )


def test_only_the_columns_and_rows_that_are_asked_for_are_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    store, read = stored(lake, ONE, "plain"), []
    from dfp_platform import catalog

    def noted(*place: Any, **asked: Any) -> pa.Table:
        read.append((asked["columns"], table := scan(*place, **asked)))
        return table

    scan = catalog.scan
    monkeypatch.setattr(catalog, "scan", noted, raising=False)
    store.get_historical_features(frame([(APPS[0], 1)], "UTC"), ["app_dynamic:sys_read"]).to_arrow()
    store.get_historical_features(frame([(APPS[1], 1)], "UTC"), ["app_dynamic:sys_read"]).to_arrow()
    assert all(columns == [KEY, "seen_at", "created", "sys_read"] for columns, _ in read)
    assert [rows.num_rows for _, rows in read] == [1, 0]
