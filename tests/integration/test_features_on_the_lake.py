"""Features through a real lake, a real table and real Feast: registry, history, online versions."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform import features
from dfp_platform.errors import InputError, NotFoundError
from dfp_platform.features.keeper import Keeper
from dfp_platform.features.row_sources import FeastRows
from dfp_platform.features.sqlite_versions import SqliteVersions
from dfp_platform.lake import Lake, open_lake
from tests.feature_line import NAMES, ROWS, apply_registry, digest, raw_values, store_table, training_table

pytestmark = pytest.mark.xdist_group("features")  # on one worker, so that Feast is imported once


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


@pytest.fixture
def keeper(online: Path) -> Keeper:
    return Keeper(FeastRows(), SqliteVersions(online))


def read(keeper: Keeper, keys: list[str], version: str | None = None) -> features.Vectors:
    with closing(keeper.reader("main", version=version)) as reader:
        return reader.read(keys)


def test_served_vectors_are_the_float32_values_of_the_table(lake: Lake, keeper: Keeper) -> None:
    written = keeper.materialize(lake, "main")
    keeper.switch("main", written.version, lake.resolve("main"))
    served = read(keeper, [digest(3), digest(0), "f" * 64])
    expected = raw_values(ROWS).astype(np.float32)
    assert written.rows == ROWS
    assert served.names == NAMES
    assert served.found.tolist() == [True, True, False]
    assert served.vectors[:2].tobytes() == expected[[3, 0]].tobytes()
    assert np.isnan(served.vectors[2]).all()
    assert served.commit == lake.resolve("main")


def test_the_emulators_run_of_an_app_is_not_served_as_the_real_devices(lake: Lake, keeper: Keeper) -> None:
    written = keeper.materialize(lake, "main")
    served = read(keeper, [digest(app) for app in range(10)], written.version)
    assert np.array_equal(served.vectors, raw_values(ROWS)[:10].astype(np.float32), equal_nan=True)


def test_stock_feast_reads_the_version_being_served(lake: Lake, online: Path, keeper: Keeper) -> None:
    written = keeper.materialize(lake, "main")
    keeper.switch("main", written.version, lake.resolve("main"))
    store = features.open_store(lake, "main", online={"type": "sqlite", "path": str(online / f"{written.version}.db")})
    answer = store.get_online_features(
        features=store.get_feature_service("malware_model"), entity_rows=[{"sha256": digest(5)}]
    ).to_dict()
    assert np.array(answer["vector"][0], np.float32).tobytes() == raw_values(ROWS)[5].astype(np.float32).tobytes()


def test_stock_feast_materializes_the_same_bits_through_the_offline_store(lake: Lake, tmp_path: Path) -> None:
    from dfp_platform.features.registry import store_from
    from dfp_platform.features.repository import definitions

    store = store_from(
        b"", lake_uri=lake.uri, ref="main", online={"type": "sqlite", "path": str(tmp_path / "stock.db")}
    )
    store.apply(definitions(NAMES))
    store.materialize(datetime.datetime(2000, 1, 1), datetime.datetime(2030, 1, 1))
    keys = [{"sha256": digest(app)} for app in range(ROWS)]
    answer = store.get_online_features(features=["app_all:vector"], entity_rows=keys).to_dict()
    store.provider.online_store._conn.close()
    assert np.array(answer["vector"], np.float32).tobytes() == raw_values(ROWS).astype(np.float32).tobytes()


def test_a_version_cannot_be_written_to(lake: Lake, online: Path, keeper: Keeper) -> None:
    written = keeper.materialize(lake, "main")
    assert (online / f"{written.version}.db").stat().st_mode & 0o222 == 0


def test_the_registry_tells_which_number_of_the_vector_means_what(lake: Lake) -> None:
    from dfp_platform.models.data import feature_schema_hash

    store = features.open_store(lake, "main")
    for tags in (store.get_feature_service("malware_model").tags, store.get_feature_view("app_all").tags):
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
    assert FeastRows().version_for(lake, "earlier") == FeastRows().version_for(lake, "main")
    assert FeastRows().version_for(lake, "later") != FeastRows().version_for(lake, "main")


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


@pytest.mark.parametrize("asked", [["app_all:sys_rea"], ["nowhere:vector"], ["app_static:sys_read"], "malwaremodel"])
def test_history_names_the_feature_or_service_that_is_not_there(lake: Lake, asked: Any) -> None:
    with pytest.raises(InputError, match=asked if isinstance(asked, str) else asked[0]) as caught:
        features.historical(lake, "main", features=asked)
    assert caught.value.hint


def test_history_tells_what_a_service_names(lake: Lake) -> None:
    answers = [features.historical(lake, "main", **asked) for asked in ({}, {"features": "xgboost"})]
    first, second = (answer["vector"].combine_chunks().flatten().to_numpy().tobytes() for answer in answers)
    assert first == second
    assert answers[0].drop(["vector"]).equals(answers[1].drop(["vector"]))


def test_history_asks_for_a_moment_of_every_app(lake: Lake) -> None:
    with pytest.raises(InputError, match="event_timestamp"):
        features.historical(lake, "main", pa.table({"sha256": [digest(0)]}))


def test_served_equals_trained_finds_one_flipped_bit(lake: Lake, keeper: Keeper) -> None:
    written = keeper.materialize(lake, "main")
    sound = features.served_equals_trained(keeper, lake, "main", written.version)
    assert (sound.checked, sound.differing, sound.passed) == (ROWS, 0, True)
    lake.create_branch("flipped", "main")
    rows = training_table()
    size = rows["app_file_size"].to_numpy().copy()
    size[17] = np.nextafter(np.float32(size[17]), np.float32(np.inf))
    store_table(lake, "flipped", rows.set_column(rows.column_names.index("app_file_size"), "app_file_size", [size]))
    found = features.served_equals_trained(keeper, lake, "flipped", written.version)
    assert (found.checked, found.differing, found.examples, found.passed) == (ROWS, 1, (digest(17),), False)


def test_served_equals_trained_finds_apps_that_are_not_served(lake: Lake, keeper: Keeper) -> None:
    written = keeper.materialize(lake, "main")
    lake.create_branch("grown", "main")
    store_table(lake, "grown", training_table(ROWS + 3))
    found = features.served_equals_trained(keeper, lake, "grown", written.version)
    assert not found.passed
    assert (found.rows_served, found.rows_trained) == (ROWS, ROWS + 3)


def test_served_equals_trained_finds_features_in_another_order(lake: Lake, keeper: Keeper) -> None:
    written = keeper.materialize(lake, "main")
    lake.create_branch("reordered", "main")
    store_table(
        lake, "reordered", training_table().select(["sha256", "device", "malware", "highest_date", *NAMES[::-1]])
    )
    found = features.served_equals_trained(keeper, lake, "reordered", written.version, sample=20)
    assert (found.checked, found.differing) == (20, 20)


def test_a_registry_of_other_features_is_not_materialized(lake: Lake, online: Path, keeper: Keeper) -> None:
    lake.create_branch("drifted", "main")
    store_table(lake, "drifted", training_table().append_column("sys_new", pa.array([0] * (ROWS + 10))))
    with pytest.raises(InputError, match="sys_new"):
        keeper.materialize(lake, "drifted")
    assert list(online.glob("*")) == []


def test_of_two_versions_of_an_app_the_newer_is_served(lake: Lake, keeper: Keeper) -> None:
    lake.create_branch("twice", "main")
    newer = training_table(shift=3.0).slice(0, 1)
    day = pa.array([datetime.date(2018, 1, 2)])
    newer = newer.set_column(newer.column_names.index("highest_date"), "highest_date", day)
    store_table(lake, "twice", pa.concat_tables([newer, training_table()]))
    written = keeper.materialize(lake, "twice")
    served = read(keeper, [digest(0), digest(1)], written.version)
    assert written.rows == ROWS
    assert served.vectors[0].tobytes() == (raw_values(ROWS)[0] + 3).astype(np.float32).tobytes()
    assert served.vectors[1].tobytes() == raw_values(ROWS)[1].astype(np.float32).tobytes()
    assert features.served_equals_trained(keeper, lake, "twice", written.version).passed


def test_without_a_registry_nothing_is_opened(lake: Lake, tmp_path: Path, keeper: Keeper) -> None:
    bare = open_lake(tmp_path / "bare", create=True)
    store_table(bare, "main", training_table())
    with pytest.raises(NotFoundError):
        features.open_store(bare, "main")
    with pytest.raises(NotFoundError):
        keeper.materialize(bare, "main")


def test_a_version_is_read_by_nobody_until_it_is_switched_on(lake: Lake, keeper: Keeper) -> None:
    first = keeper.materialize(lake, "main")
    keeper.switch("main", first.version, "commit-one")
    lake.create_branch("next", "main")
    store_table(lake, "next", training_table(shift=5.0))
    second = keeper.materialize(lake, "next")
    assert second.version != first.version
    assert read(keeper, [digest(0)]).version == first.version
    keeper.switch("main", second.version, "commit-two")
    served = read(keeper, [digest(0)])
    assert (served.version, served.commit) == (second.version, "commit-two")
    assert served.vectors[0].tobytes() == (raw_values(ROWS)[0] + 5).astype(np.float32).tobytes()
    keeper.rollback("main")
    assert read(keeper, [digest(0)]).commit == "commit-one"


def test_materializing_again_leaves_one_whole_file(lake: Lake, online: Path, keeper: Keeper) -> None:
    first = keeper.materialize(lake, "main", version="run-1")
    again = keeper.materialize(lake, "main", version="run-1")
    assert again == first
    assert [path.name for path in online.iterdir()] == ["run-1.db"]


def test_the_page_on_features_reads_as_it_says(lake: Lake) -> None:
    page = (Path(features.__file__).parents[2] / "docs" / "features.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"lake": lake}
    exec(block, names)
    known = names["known"]
    assert known.num_rows == ROWS + 10
    assert known["vector"].null_count == 0
    assert known["perm_reboot"].type == pa.float32()
