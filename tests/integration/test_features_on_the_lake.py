"""Features through a real lake, a real table and real Feast: registry, history, online versions."""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform import features
from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.errors import InputError, NotFoundError, ReadOnlyError
from dfp_platform.lake import Lake, open_lake

ROWS, NAMES = 60, ("sys_read", "sys_reboot", "perm_reboot", "app_file_size")
TABLE = ("marts", "fct_training_dataset")


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def raw_values(rows: int) -> np.ndarray:
    """Values that float32 has to round, a null (NaN) and one large count."""
    values = np.random.default_rng(7).integers(0, 90_000_000, (rows, len(NAMES))).astype(np.float64)
    values[:, 1] /= 3
    values[3, 1] = np.nan
    return values


def training_table(rows: int = ROWS, *, shift: float = 0.0) -> pa.Table:
    """`rows` apps of the real device, and the first ten of them again, with other values, on the emulator."""
    values = np.concatenate([raw_values(rows), raw_values(rows)[:10] + 1]) + shift
    apps = [*range(rows), *range(10)]
    columns: dict[str, pa.Array] = {
        "sha256": pa.array([digest(app) for app in apps]),
        "device": pa.array(["real_device"] * rows + ["emulator"] * 10),
        "malware": pa.array([app % 2 for app in apps]),
        "highest_date": pa.array([datetime.date(2018, 1, 1) + datetime.timedelta(days=app) for app in apps]),
    }
    for name, column in zip(NAMES, values.T, strict=True):
        whole = name != "sys_reboot"
        columns[name] = pa.array(column.astype(np.int64)) if whole else pa.array(column, from_pandas=True)
    return pa.table(columns)


def store_table(lake: Lake, branch: str, table: pa.Table) -> None:
    overwrite(open_catalog(lake, branch), TABLE, table)


def apply_registry(lake: Lake, branch: str) -> bytes:
    registry = features.apply(lake, branch)
    lake.commit(branch, {features.REGISTRY: registry}, message="apply")
    return registry


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake whose `main` holds the training table and its applied registry; tests write on branches of their own."""
    opened = open_lake(tmp_path_factory.mktemp("features") / "lake", create=True)
    store_table(opened, "main", training_table())
    apply_registry(opened, "main")
    return opened


@pytest.fixture
def online(tmp_path: Path) -> Path:
    return tmp_path / "online"


def test_served_vectors_are_the_float32_values_of_the_table(lake: Lake, online: Path) -> None:
    written = features.materialize(lake, "main", online=online)
    features.switch(online, written.version, lake.resolve("main"))
    served = features.read_online(online, [digest(3), digest(0), "f" * 64])
    expected = raw_values(ROWS).astype(np.float32)
    assert written.rows == ROWS
    assert served.names == NAMES
    assert served.found.tolist() == [True, True, False]
    assert served.vectors[:2].tobytes() == expected[[3, 0]].tobytes()
    assert np.isnan(served.vectors[2]).all()
    assert served.commit == lake.resolve("main")


def test_the_emulators_run_of_an_app_is_not_served_as_the_real_devices(lake: Lake, online: Path) -> None:
    written = features.materialize(lake, "main", online=online)
    served = features.read_online(online, [digest(app) for app in range(10)], version=written.version)
    assert np.array_equal(served.vectors, raw_values(ROWS)[:10].astype(np.float32), equal_nan=True)


def test_stock_feast_reads_the_version_being_served(lake: Lake, online: Path) -> None:
    written = features.materialize(lake, "main", online=online)
    features.switch(online, written.version, lake.resolve("main"))
    store = features.open_store(lake, "main", online=online)
    answer = store.get_online_features(
        features=store.get_feature_service("malware_model"), entity_rows=[{"sha256": digest(5)}]
    ).to_dict()
    assert np.array(answer["vector"][0], np.float32).tobytes() == raw_values(ROWS)[5].astype(np.float32).tobytes()


def test_stock_feast_materializes_the_same_bits_through_the_offline_store(lake: Lake, tmp_path: Path) -> None:
    from dfp_platform.features.registry import store_from
    from dfp_platform.features.repository import definitions

    store = store_from(b"", lake_uri=lake.uri, ref="main", online=tmp_path / "stock.db")
    store.apply(definitions(NAMES))
    store.materialize(datetime.datetime(2000, 1, 1), datetime.datetime(2030, 1, 1))
    keys = [{"sha256": digest(app)} for app in range(ROWS)]
    answer = store.get_online_features(features=["app_vector:vector"], entity_rows=keys).to_dict()
    store.provider.online_store._conn.close()
    assert np.array(answer["vector"], np.float32).tobytes() == raw_values(ROWS).astype(np.float32).tobytes()


def test_features_are_not_written_through_the_offline_store(lake: Lake) -> None:
    store = features.open_store(lake, "main")
    view = store.get_feature_view("app_vector")
    job = store.provider.offline_store.pull_all_from_table_or_query(
        store.config, view.batch_source, ["sha256"], ["vector"], "event_timestamp"
    )
    assert len(job.to_df()) == ROWS
    with pytest.raises(ReadOnlyError):
        job.data_source_writer(job.table, view.batch_source, "")


def test_a_version_cannot_be_written_to(lake: Lake, online: Path) -> None:
    written = features.materialize(lake, "main", online=online)
    assert (online / f"{written.version}.db").stat().st_mode & 0o222 == 0


def test_the_registry_tells_which_number_of_the_vector_means_what(lake: Lake) -> None:
    from dfp_platform.models.data import feature_schema_hash

    store = features.open_store(lake, "main")
    for tags in (store.get_feature_service("malware_model").tags, store.get_feature_view("app_vector").tags):
        assert json.loads(tags["feature_names"]) == list(NAMES)
        assert tags["schema_hash"] == feature_schema_hash(NAMES)


_ELSEWHERE = """
import json, os, sys
before = dict(os.environ)
from dfp_platform import features
heavy = sorted({"feast", "pandas", "torch", "ibis"} & set(sys.modules))
from dfp_platform.lake import open_lake
registry = features.apply(open_lake(sys.argv[1]), "main")
changed = sorted(name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name))
print(json.dumps({"heavy": heavy, "changed": changed, "registry": registry.hex(), "feast": "feast" in sys.modules}))
"""


@pytest.fixture(scope="module")
def elsewhere(lake: Lake) -> dict:
    """What another process found that applied the same definitions."""
    answer = subprocess.run([sys.executable, "-c", _ELSEWHERE, lake.uri], capture_output=True, check=True, timeout=150)
    return json.loads(answer.stdout)


def test_two_processes_that_apply_equal_definitions_get_equal_bytes(lake: Lake, elsewhere: dict) -> None:
    assert bytes.fromhex(elsewhere["registry"]) == lake.read("main", features.REGISTRY)


def test_the_room_brings_no_feast_before_it_is_needed(elsewhere: dict) -> None:
    assert elsewhere["heavy"] == []
    assert elsewhere["feast"]


def test_feast_leaves_the_environment_as_it_was(elsewhere: dict) -> None:
    assert elsewhere["changed"] == []


def test_other_features_are_another_registry(lake: Lake) -> None:
    assert features.apply(lake, "main", features=NAMES[::-1]) != lake.read("main", features.REGISTRY)


def test_a_branch_does_not_see_features_of_later_commits_of_main(lake: Lake, online: Path) -> None:
    lake.create_branch("earlier", "main")
    lake.create_branch("later", "main")
    store_table(lake, "later", training_table(shift=1000.0))
    before = features.historical(lake, "earlier")
    after = features.historical(lake, "later")
    first = {row["sha256"]: row["vector"] for row in before.to_pylist()}
    second = {row["sha256"]: row["vector"] for row in after.to_pylist()}
    assert first[digest(0)] == raw_values(ROWS)[0].astype(np.float32).tolist()
    assert second[digest(0)] == (raw_values(ROWS)[0] + 1000).astype(np.float32).tolist()
    assert features.version_for(lake, "earlier") == features.version_for(lake, "main")
    assert features.version_for(lake, "later") != features.version_for(lake, "main")


def test_history_knows_no_vector_before_the_apps_date(lake: Lake) -> None:
    day = datetime.datetime(2018, 1, 11, tzinfo=datetime.UTC)  # app 10's date
    asked = pa.table(
        {
            "sha256": [digest(10), digest(10), digest(11)],
            "event_timestamp": pa.array([day, day - datetime.timedelta(seconds=1), day]),
            "question": [0, 1, 2],
        }
    )
    answer = {row["question"]: row["vector"] for row in features.historical(lake, "main", asked).to_pylist()}
    assert answer[0] == raw_values(ROWS)[10].astype(np.float32).tolist()
    assert answer[1] is None
    assert answer[2] is None


def test_history_asks_for_a_moment_of_every_app(lake: Lake) -> None:
    with pytest.raises(InputError, match="event_timestamp"):
        features.historical(lake, "main", pa.table({"sha256": [digest(0)]}))


def test_served_equals_trained_finds_one_flipped_bit(lake: Lake, online: Path) -> None:
    written = features.materialize(lake, "main", online=online)
    sound = features.served_equals_trained(lake, "main", online, written.version)
    assert (sound.checked, sound.differing, sound.passed) == (ROWS, 0, True)
    lake.create_branch("flipped", "main")
    rows = training_table()
    size = rows["app_file_size"].to_numpy().copy()
    size[17] = np.nextafter(np.float32(size[17]), np.float32(np.inf))
    store_table(lake, "flipped", rows.set_column(rows.column_names.index("app_file_size"), "app_file_size", [size]))
    found = features.served_equals_trained(lake, "flipped", online, written.version)
    assert (found.checked, found.differing, found.examples, found.passed) == (ROWS, 1, (digest(17),), False)


def test_served_equals_trained_finds_apps_that_are_not_served(lake: Lake, online: Path) -> None:
    written = features.materialize(lake, "main", online=online)
    lake.create_branch("grown", "main")
    store_table(lake, "grown", training_table(ROWS + 3))
    found = features.served_equals_trained(lake, "grown", online, written.version)
    assert not found.passed
    assert (found.rows_served, found.rows_trained) == (ROWS, ROWS + 3)


def test_served_equals_trained_finds_features_in_another_order(lake: Lake, online: Path) -> None:
    written = features.materialize(lake, "main", online=online)
    lake.create_branch("reordered", "main")
    store_table(
        lake, "reordered", training_table().select(["sha256", "device", "malware", "highest_date", *NAMES[::-1]])
    )
    found = features.served_equals_trained(lake, "reordered", online, written.version, sample=20)
    assert (found.checked, found.differing) == (20, 20)


def test_a_registry_of_other_features_is_not_materialized(lake: Lake, online: Path) -> None:
    lake.create_branch("drifted", "main")
    store_table(lake, "drifted", training_table().append_column("sys_new", pa.array([0] * (ROWS + 10))))
    with pytest.raises(InputError, match="sys_new"):
        features.materialize(lake, "drifted", online=online)
    assert [path for path in online.iterdir() if not path.name.startswith(".")] == []


def test_an_app_that_occurs_twice_is_no_entity(lake: Lake, online: Path) -> None:
    lake.create_branch("twice", "main")
    rows = training_table()
    store_table(lake, "twice", pa.concat_tables([rows, rows.slice(0, 1)]))
    with pytest.raises(InputError, match="more than once"):
        features.materialize(lake, "twice", online=online)


def test_without_a_registry_nothing_is_opened(lake: Lake, tmp_path: Path) -> None:
    bare = open_lake(tmp_path / "bare", create=True)
    store_table(bare, "main", training_table())
    with pytest.raises(NotFoundError):
        features.open_store(bare, "main")
    with pytest.raises(NotFoundError):
        features.materialize(bare, "main", online=tmp_path / "online")


def test_a_version_is_read_by_nobody_until_it_is_switched_on(lake: Lake, online: Path) -> None:
    first = features.materialize(lake, "main", online=online)
    features.switch(online, first.version, "commit-one")
    lake.create_branch("next", "main")
    store_table(lake, "next", training_table(shift=5.0))
    second = features.materialize(lake, "next", online=online)
    assert second.version != first.version
    assert features.read_online(online, [digest(0)]).version == first.version
    features.switch(online, second.version, "commit-two")
    served = features.read_online(online, [digest(0)])
    assert (served.version, served.commit) == (second.version, "commit-two")
    assert served.vectors[0].tobytes() == (raw_values(ROWS)[0] + 5).astype(np.float32).tobytes()
    features.rollback(online)
    assert features.read_online(online, [digest(0)]).commit == "commit-one"


def test_materializing_again_leaves_one_whole_file(lake: Lake, online: Path) -> None:
    first = features.materialize(lake, "main", online=online, version="run-1")
    again = features.materialize(lake, "main", online=online, version="run-1")
    assert again == first
    assert [path.name for path in online.iterdir()] == ["run-1.db"]
