"""The training table as a configuration wants it: chosen features, one device, apart by time or by hash."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.errors import InputError
from dfp_platform.models.configs import DataConfig, SplitConfig
from dfp_platform.models.lightning_data import AppsDataModule, Batches
from dfp_platform.models.parts import parts, unseen, with_features
from dfp_platform.schemas import LEAKING_COLUMNS
from tests.apps import tiny_table
from tests.configured import tiny

TIME, HASH = SplitConfig(by="time"), SplitConfig(by="hash")


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """1,200 apps of which every tenth row is for the test and every fifth for validation, in no order of time."""
    told = ["test" if row % 10 == 0 else "validation" if row % 5 == 0 else "train" for row in range(1_200)]
    made = tiny_table().set_column(6, "split", [told])
    return made.take(np.random.default_rng(1).permutation(made.num_rows))


def test_by_time_the_parts_follow_each_other(table: pa.Table) -> None:
    apart = parts(table, DataConfig(), TIME)
    assert apart.training.time_rank.max() < apart.calibration.time_rank.min()
    assert apart.calibration.time_rank.max() < apart.test.time_rank.min() == 840


def test_by_hash_each_app_is_where_its_column_says(table: pa.Table) -> None:
    apart = parts(table, DataConfig(), HASH)
    told = dict(zip(table["sha256"].to_pylist(), table["split"].to_pylist(), strict=True))
    for part, name in ((apart.training, "train"), (apart.calibration, "validation"), (apart.test, "test")):
        assert {told[app] for app in part.ids} == {name}
    assert [len(part) for part in (apart.training, apart.calibration, apart.test)] == [960, 120, 120]
    assert (apart.device, len(apart.features)) == ("real_device", 12)


def test_by_hash_another_word_in_the_column_is_refused(table: pa.Table) -> None:
    with pytest.raises(InputError, match="holds 'future'"):
        parts(table.set_column(6, "split", [["future"] * table.num_rows]), DataConfig(), HASH)
    with pytest.raises(InputError, match="lacks the column split"):
        parts(table.drop_columns(["split"]), DataConfig(), HASH)


def test_features_are_chosen_by_name_and_glob_in_the_tables_order(table: pa.Table) -> None:
    chosen = parts(table, DataConfig(features=("perm_*", "app_f2")), TIME)
    assert chosen.features == ("perm_f1", "app_f2", "perm_f4", "perm_f7", "perm_f10")
    every = parts(table, DataConfig(), TIME)
    assert np.array_equal(chosen.training.matrix, every.training.columns(chosen.features))
    with pytest.raises(InputError, match="called perm_f2"):
        parts(table, DataConfig(features=("perm_f2",)), TIME)


def test_nothing_is_copied_where_all_features_are_chosen(table: pa.Table) -> None:
    assert with_features(table, ("*",)) is table


@pytest.mark.parametrize("name", sorted(LEAKING_COLUMNS))
def test_a_leaking_column_is_refused_though_the_chosen_features_would_leave_it_out(table: pa.Table, name: str) -> None:
    leaking = table.append_column(f"app_{name}", [list(range(table.num_rows))])
    for features in (("*",), ("perm_*",)):
        with pytest.raises(InputError, match="tells the label"):
            parts(leaking, DataConfig(features=features), TIME)


def test_a_common_test_leaves_out_what_a_model_split_by_hash_has_seen(table: pa.Table) -> None:
    future = parts(table, DataConfig(), TIME).test
    held_out = set(parts(table, DataConfig(), HASH).test.ids)
    assert len(unseen(table, [tiny("ae_small")], device="real_device").test) == len(future)
    left = unseen(table, [tiny("ae_small"), tiny("xgboost", "split=hash")], device="real_device").test
    assert list(left.ids) == [app for app in future.ids if app in held_out]


def test_the_standardisation_is_fitted_on_benign_training_apps_alone_and_lies_in_the_network(table: pa.Table) -> None:
    module, network = AppsDataModule.from_arrow(table, tiny("detector", "split=hash"))
    fitted = np.log1p(parts(table, DataConfig(), HASH).training.benign.matrix)
    assert np.allclose(network.mean.numpy(), fitted.mean(axis=0), atol=1e-5)
    features, labels = module.training.tensors
    assert (len(features), int(labels.sum())) == (960, int(parts(table, DataConfig(), HASH).training.labels.sum()))


def test_an_autoencoders_module_holds_benign_apps_only(table: pa.Table) -> None:
    module, _ = AppsDataModule.from_arrow(table, tiny("vae"))
    apart = parts(table, DataConfig(), TIME)
    assert len(module.training.tensors[0]) == len(apart.training.benign)
    assert len(module.calibration.tensors[0]) == len(apart.calibration.benign)


def test_the_order_of_an_epoch_follows_from_seed_and_number_and_no_app_is_left_out() -> None:
    import torch

    rows = torch.arange(10)

    def order(seed: int, epoch: int) -> list[int]:
        batches = Batches([rows], batch=4, seed=seed)
        batches.epoch = epoch
        assert len(batches) == 3
        return torch.cat([batch[0] for batch in batches]).tolist()

    assert order(1, 0) == order(1, 0) != order(1, 1) != order(2, 1)
    assert sorted(order(1, 5)) == rows.tolist()
    assert [len(batch[0]) for batch in Batches([rows], batch=4)] == [4, 4, 2]
