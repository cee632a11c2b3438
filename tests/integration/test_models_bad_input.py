"""Tables that no training likes: each gives an error a person can act on, or a model that behaves as documented."""

from __future__ import annotations

import numpy as np
import pytest

from dfp_platform.errors import CalibrationError, InputError
from dfp_platform.mobile.interface import EXPORTERS
from dfp_platform.mobile.parity import check_parity
from dfp_platform.models.data import TrainingData
from dfp_platform.models.evaluation import evaluate
from dfp_platform.models.training import TrainedModel, train
from dfp_platform.models.weights import load_model
from tests.apps import tiny_table
from tests.configured import NETWORKS, tiny

PRESETS = (*NETWORKS, "xgboost")


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData.from_arrow(tiny_table())


def with_arrays(data: TrainingData, **arrays: object) -> TrainingData:
    return TrainingData(**{name: getattr(data, name) for name in data.__slots__} | arrays)


def with_column(data: TrainingData, column: int, values: object) -> TrainingData:
    matrix = data.matrix.copy()
    matrix[:, column] = values
    return with_arrays(data, matrix=matrix)


def trained(preset: str, data: TrainingData, *choices: str) -> TrainedModel:
    return train(data, tiny(preset, "training.epochs=3", *choices), progress=False)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only_trains_an_autoencoder_if_it_is_the_benign_one(
    preset: str, label: int, data: TrainingData
) -> None:
    alike = with_arrays(data, labels=np.full_like(data.labels, label))
    if label == 0 and preset not in ("detector", "xgboost"):
        assert trained(preset, alike).card.slices["training"].malware == 0
        return
    with pytest.raises(CalibrationError, match="too few to calibrate" if label else "same label") as refused:
        trained(preset, alike)
    assert refused.value.hint


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_a_column_that_is_constant_or_unknown_in_training_changes_no_score_by_being_so(
    preset: str, value: float, data: TrainingData
) -> None:
    """A newer archive may count a system call that older ones lack: NULL there, until rows that know it are fitted."""
    flat = with_column(data, 3, np.where(data.time_rank < 840, value, data.matrix[:, 3]))
    model = load_model(trained(preset, flat).files)
    told = model.answer(flat.test.matrix)
    assert np.isfinite(told.scores).all()
    if np.isnan(value):
        unknown = with_column(flat, 3, np.nan).test.matrix
        assert np.array_equal(model.score(unknown), told.scores), "what no trained app knew tells nothing"


def test_a_model_with_a_column_unknown_in_training_is_exported_alike(data: TrainingData) -> None:
    files = trained("detector", with_column(data, 3, np.nan)).files
    assert check_parity(files, EXPORTERS["onnx"].export(files), data.test.matrix, seed=1).passed


def test_a_column_that_some_trained_apps_know_is_average_where_it_is_unknown(data: TrainingData) -> None:
    known = data.time_rank % 2 == 0
    model = load_model(trained("ae_small", with_column(data, 3, np.where(known, data.matrix[:, 3], np.nan))).files)
    logs = np.log1p(data.training.matrix[(data.training.labels == 0) & known[: len(data.training)], 3])
    average, row = np.float32(np.expm1(logs.mean())), data.test.matrix[:1].copy()
    row[0, 3] = average
    with_average = model.score(row)
    row[0, 3] = np.nan
    assert model.score(row) == pytest.approx(with_average, abs=1e-5)


@pytest.mark.parametrize("preset", NETWORKS)
def test_fewer_rows_than_a_batch_are_one_batch(preset: str, data: TrainingData) -> None:
    made = trained(preset, data, "training.batch=100000")
    assert made.card.figures["epochs"] == 3
    assert np.isfinite(load_model(made.files).score(data.test.matrix)).all()


def test_one_benign_app_to_train_on_is_too_few(data: TrainingData) -> None:
    labels = data.labels.copy()
    labels[1 : len(data.training)] = 1
    with pytest.raises(CalibrationError, match="too few to standardise"):
        trained("ae_small", with_arrays(data, labels=labels))


def test_a_table_of_the_past_alone_trains_and_cannot_be_judged(data: TrainingData) -> None:
    past = data.take(~data.future)
    model = load_model(trained("ae_small", past).files)
    with pytest.raises(InputError, match="no app is left for the test"):
        evaluate({"ae_small": [model]}, past, seed=1)


def test_a_month_without_malware_has_alarms_and_no_areas(data: TrainingData) -> None:
    labels = data.labels.copy()
    labels[data.dates.astype("datetime64[M]") == np.datetime64("2019-04")] = 0
    clean = with_arrays(data, labels=labels)
    months = evaluate({"m": [load_model(trained("ae_small", data).files)]}, clean, seed=1).models[0].months
    april = next(month for month in months if month.name == "2019-04")
    assert (april.malware, april.roc_auc, april.true_positive_rate, april.f1) == (0, None, None, None)
    assert april.false_positive_rate is not None
    assert any(month.roc_auc is not None for month in months)
