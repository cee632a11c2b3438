"""The training table becomes tensors in time order, and nothing that tells the label becomes a feature."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.errors import InputError
from dfp_platform.models.data import TrainingData, feature_columns, feature_matrix, feature_schema_hash, placed
from dfp_platform.schemas import LEAKING_COLUMNS
from tests.apps import tiny_table


def changed(table: pa.Table, name: str, values: list | pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, [values])


def test_the_matrix_is_float32_and_row_major_with_the_columns_in_the_order_of_the_table():
    table = tiny_table(30)
    data = TrainingData.from_arrow(table)
    assert data.features == tuple(name for name in table.column_names if name.startswith(("sys_", "perm_", "app_")))
    assert data.matrix.dtype == np.float32
    assert data.matrix.flags.c_contiguous
    assert data.matrix[7, 2] == np.float32(table[data.features[2]][7].as_py())


def test_apps_come_oldest_first_whatever_the_order_of_the_table():
    table = tiny_table(50)
    shuffled = table.take(np.random.default_rng(3).permutation(50))
    straight, mixed = TrainingData.from_arrow(table), TrainingData.from_arrow(shuffled)
    assert list(mixed.time_rank) == list(range(50))
    assert list(mixed.ids) == list(straight.ids)
    assert np.array_equal(mixed.matrix, straight.matrix)


def test_training_calibration_and_test_follow_each_other_in_time():
    data = TrainingData.from_arrow(tiny_table(100))
    assert [len(part) for part in (data.training, data.calibration, data.test)] == [56, 14, 30]
    assert data.training.time_rank.max() < data.calibration.time_rank.min() <= data.calibration.time_rank.max() < 70
    assert data.test.time_rank.min() == 70
    assert not data.benign.labels.any()


def test_slices_are_views_so_that_a_large_table_lies_in_memory_once():
    data = TrainingData.from_arrow(tiny_table(100))
    assert all(np.shares_memory(part.matrix, data.matrix) for part in (data.training, data.calibration, data.test))


def test_only_apps_of_the_named_device_are_taken():
    table = pa.concat_tables([tiny_table(20, seed=1), changed(tiny_table(30, seed=2), "device", ["emulator"] * 30)])
    assert len(TrainingData.from_arrow(table)) == 20
    assert len(TrainingData.from_arrow(table, device="emulator")) == 30
    with pytest.raises(InputError, match="no app of device 'toaster'"):
        TrainingData.from_arrow(table, device="toaster")


@pytest.mark.parametrize("name", sorted(LEAKING_COLUMNS))
@pytest.mark.parametrize("prefix", ["", "app_", "sys_", "perm_"])
def test_a_column_that_leaks_the_label_is_refused_under_any_prefix(name, prefix):
    with pytest.raises(InputError) as caught:
        TrainingData.from_arrow(tiny_table(10).append_column(prefix + name, [list(range(10))]))
    assert caught.value.fields["column"] == prefix + name


@pytest.mark.parametrize("name", ["sha256", "time_rank", "malware", "mal_family"])
def test_a_missing_column_is_named(name):
    with pytest.raises(InputError, match=name):
        TrainingData.from_arrow(tiny_table(10).drop_columns([name]))


def test_a_table_without_features_is_refused():
    with pytest.raises(InputError, match="no feature column"):
        feature_columns(["sha256", "malware"])


def test_a_label_that_is_neither_0_nor_1_is_named_with_its_app():
    table = changed(tiny_table(10), "malware", [0, 1, 0, 2, 0, 0, 0, 0, 0, 0])
    with pytest.raises(InputError, match=f"label 2 of app {table['sha256'][3]}"):
        TrainingData.from_arrow(table)


def test_an_unknown_label_is_refused():
    with pytest.raises(InputError, match="neither 0 nor 1"):
        TrainingData.from_arrow(changed(tiny_table(3), "malware", [0, None, 1]))


def test_an_app_that_occurs_twice_is_refused():
    table = tiny_table(10)
    with pytest.raises(InputError, match="more than once"):
        TrainingData.from_arrow(changed(table, "sha256", ["a", "b", *table["sha256"].to_pylist()[:7], "a"]))


def test_a_past_app_after_a_future_one_is_refused():
    with pytest.raises(InputError, match="follows a future one"):
        TrainingData.from_arrow(changed(tiny_table(4), "time_split", ["past", "future", "past", "future"]))


def test_an_unknown_value_is_nan_and_an_infinite_one_is_refused():
    table = tiny_table(3).append_column("app_extra", [[1.5, None, 2.0]])
    assert np.array_equal(feature_matrix(table, ["app_extra"])[:, 0], [1.5, np.nan, 2.0], equal_nan=True)
    with pytest.raises(InputError) as caught:
        feature_matrix(changed(table, "app_extra", [1.0, 2.0, float("inf")]), ["sys_f0", "app_extra"])
    assert (caught.value.fields["row"], caught.value.fields["column"]) == (3, "app_extra")


def test_text_in_a_feature_column_is_refused():
    with pytest.raises(InputError, match="of type string"):
        TrainingData.from_arrow(tiny_table(3).append_column("app_extra", [["1", "2", "3"]]))


def test_an_unknown_date_does_not_hinder():
    table = changed(tiny_table(3), "highest_date", pa.array([None, None, None], pa.date32()))
    assert np.isnat(TrainingData.from_arrow(table).dates).all()


def test_the_schema_hash_tells_order_and_names():
    hashes = {feature_schema_hash(names) for names in (["a", "b"], ["b", "a"], ["a", "b", "c"], ["ab"])}
    assert len(hashes) == 4
    assert feature_schema_hash(["a", "b"]) == feature_schema_hash(("a", "b"))


def test_each_app_is_placed_in_time_on_its_own_device():
    apps = pa.table({"sha256": ["a", "b", "a"], "device": ["emulator", "real_device", "real_device"]})
    places = pa.table(
        {
            "sha256": ["a", "a", "b"],
            "device": ["real_device", "emulator", "real_device"],
            "time_rank": [1, 0, 0],
            "time_split": ["future", "past", "past"],
        }
    )
    assert placed(apps, places)["time_rank"].to_pylist() == [0, 0, 1]
    assert placed(apps, places)["time_split"].to_pylist() == ["past", "past", "future"]


def test_an_app_without_a_place_is_named():
    apps = pa.table({"sha256": ["a", "b"], "device": ["emulator", "emulator"]})
    places = pa.table({"sha256": ["a"], "device": ["emulator"], "time_rank": [0], "time_split": ["past"]})
    with pytest.raises(InputError, match="app b has no place"):
        placed(apps, places)
