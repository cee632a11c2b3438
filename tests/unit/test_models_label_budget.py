"""The label-budget curve: the most doubtful apps of a quarter are labelled, learnt before the next, and counted."""

from __future__ import annotations

import numpy as np
import pytest

from dfp_platform.errors import InputError
from dfp_platform.models.data import TrainingData
from dfp_platform.models.evaluation import evaluate
from dfp_platform.models.label_budget import doubtful, joined, label_budget
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from tests.apps import tiny_table
from tests.configured import tiny


def test_the_apps_nearest_to_the_threshold_are_chosen_and_at_least_one():
    scores = np.array([0.1, 0.45, 0.9, 0.52, 0.5], np.float32)
    assert doubtful(scores, 0.5, 0.4).tolist() == [3, 4]
    assert doubtful(scores, 0.5, 0.001).tolist() == [4]
    assert doubtful(scores, 0.5, 1.0).tolist() == [0, 1, 2, 3, 4]
    assert doubtful(scores, 0.5, 0.0).tolist() == []
    assert doubtful(scores[:0], 0.5, 0.5).tolist() == []


@pytest.fixture(scope="module")
def apps():
    """Malware changes its ways in the future: what was learnt of it before is of little use."""
    data = TrainingData.from_arrow(tiny_table(a_day=2))
    matrix = data.matrix.copy()
    new = data.future & (data.labels == 1)
    matrix[new] = data.matrix[data.labels == 0][: new.sum()]
    matrix[new, 0] = 500_000
    return TrainingData(**{name: getattr(data, name) for name in data.__slots__} | {"matrix": matrix})


@pytest.fixture(scope="module")
def model(apps):
    return load_model(train(apps, tiny("xgboost"), progress=False).files)


def test_labels_buy_back_what_drift_took(apps, model):
    curve = label_budget(model, apps, budgets=(0.0, 0.1, 1.0))
    nothing, some, all_of_it = curve.budgets
    quarters = len(nothing.quarters)
    assert quarters == 3
    assert (nothing.labels, nothing.trainings, some.trainings) == (0, 0, quarters - 1)
    assert all_of_it.labels == sum(quarter.apps for quarter in all_of_it.quarters[:-1])
    assert nothing.quarters[0] == some.quarters[0] == all_of_it.quarters[0]
    assert all_of_it.average_precision > nothing.average_precision + 0.1
    assert all_of_it.quarters[-1].average_precision > 0.95


def test_without_labels_it_is_what_the_evaluation_says(apps, model):
    nothing = label_budget(model, apps, budgets=(0.0,)).budgets[0]
    judged = evaluate({"xgboost": [model]}, apps, seed=1, resamples=0).models[0]
    assert nothing.f1 == judged.over_quarters.f1.value
    assert nothing.average_precision == judged.over_quarters.average_precision.value


def test_apps_are_joined_in_order(apps):
    both = joined(apps.training, apps.test.take(np.array([1, 5])))
    assert len(both) == len(apps.training) + 2
    assert both.ids[-1] == apps.test.ids[5]
    assert (both.matrix[-2] == apps.test.matrix[1]).all()


def test_a_model_that_learns_nothing_from_labels_and_apps_without_dates_are_refused(apps, model):
    told = tiny("ae_small", "training.epochs=1")
    with pytest.raises(InputError, match="learns nothing from labels"):
        label_budget(load_model(train(apps, told, progress=False).files), apps)
    hashed = load_model(train(apps, tiny("xgboost", "split=hash"), progress=False).files)
    with pytest.raises(InputError, match="was split by hash"):
        label_budget(hashed, apps)
    dates = np.full(len(apps), np.datetime64("NaT"), dtype="datetime64[D]")
    undated = TrainingData(**{name: getattr(apps, name) for name in apps.__slots__} | {"dates": dates})
    with pytest.raises(InputError, match="no app of the test has a date"):
        label_budget(model, undated)
