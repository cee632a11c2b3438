"""The evaluation counts what it says it counts, also where a slice has nothing to count."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from dfp_platform.errors import InputError
from dfp_platform.models.data import TrainingData
from dfp_platform.models.evaluation import Evaluation, evaluate
from dfp_platform.models.scores import Judge, Told
from dfp_platform.models.weights import Answer
from tests.apps import tiny_table
from tests.configured import tiny


@dataclass
class FirstFeature:
    """A scorer that needs no training: the logarithm of the first feature."""

    features: tuple[str, ...]
    threshold: float = 4.5 / 5.5
    synthetic: bool = False
    seed: int = 7
    kind: str = "xgboost"
    errors: bool = False

    @property
    def card(self):
        return SimpleNamespace(
            name="first",
            kind=self.kind,
            features=self.features,
            threshold=self.threshold,
            synthetic=self.synthetic,
            configuration=tiny("ae_small", f"training.seed={self.seed}"),
        )

    def answer(self, matrix):
        scores = np.log1p(matrix[:, 0]).astype(np.float32)
        return Answer(scores / (1 + scores), scores if self.errors else None)

    def label(self, scores):
        return (scores > self.threshold).astype(np.int8)


@pytest.fixture(scope="module")
def data():
    return TrainingData.from_arrow(tiny_table(900, a_day=3))


@pytest.fixture(scope="module")
def evaluation(data):
    return evaluate({"first": [FirstFeature(data.features)]}, data, seed=5)


def test_the_overall_figures_are_those_of_scikit_learn_on_the_future_apps_only(data, evaluation):
    test, overall = data.test, evaluation.models[0].overall
    scores = np.log1p(test.matrix[:, 0])
    alarms = scores > 4.5
    assert (overall.apps, overall.malware) == (len(test), test.labels.sum())
    assert overall.roc_auc == pytest.approx(roc_auc_score(test.labels, scores), abs=1e-6)
    assert overall.average_precision == pytest.approx(average_precision_score(test.labels, scores), abs=1e-6)
    assert overall.f1 == pytest.approx(f1_score(test.labels, alarms), abs=1e-6)
    assert overall.true_positive_rate == pytest.approx(alarms[test.labels == 1].mean(), abs=1e-6)
    assert overall.false_positive_rate == pytest.approx(alarms[test.labels == 0].mean(), abs=1e-6)
    assert overall.roc_auc_interval[0] < overall.roc_auc < overall.roc_auc_interval[1]


def test_months_and_quarters_partition_the_test_in_time_order(data, evaluation):
    months, quarters = evaluation.models[0].months, evaluation.models[0].quarters
    assert [part.name for part in months] == ["2019-07", "2019-08", "2019-09", "2019-10"]
    assert [part.name for part in quarters] == ["2019-Q3", "2019-Q4"]
    assert sum(part.apps for part in months) == sum(part.apps for part in quarters) == len(data.test)


def test_seen_and_unseen_packages_partition_the_test(data, evaluation):
    model = evaluation.models[0]
    past = set(data.packages[~data.future])
    unseen = sum(package not in past for package in data.test.packages)
    assert (model.unseen_packages.apps, model.seen_packages.apps) == (unseen, len(data.test) - unseen)


def test_recall_per_family_counts_malware_only(data, evaluation):
    test, families = data.test, evaluation.models[0].families
    assert {entry.family for entry in families} == {"Agent", "Malap"}
    for entry in families:
        members = (test.families == entry.family) & (test.labels == 1)
        assert entry.apps == members.sum()
        assert entry.found == (np.log1p(test.matrix[members, 0]) > 4.5).sum()


def test_a_benign_app_that_bears_a_family_is_no_member_of_it(data):
    families = data.families.copy()
    families[data.labels == 0] = "Nonsense"
    mislabelled = TrainingData(**{name: getattr(data, name) for name in data.__slots__} | {"families": families})
    found = evaluate({"first": [FirstFeature(data.features)]}, mislabelled, seed=5).models[0].families
    assert "Nonsense" not in {entry.family for entry in found}


def test_equal_inputs_give_equal_bytes_and_the_bytes_read_back(data, evaluation):
    again = evaluate({"first": [FirstFeature(data.features)]}, data, seed=5)
    assert again.to_json() == evaluation.to_json()
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_curves_have_at_most_200_points(evaluation):
    assert 2 < len(evaluation.models[0].roc) <= 200
    assert 2 < len(evaluation.models[0].precision_recall) <= 200


@pytest.mark.parametrize("label", [0, 1])
def test_a_test_of_one_label_gives_counts_and_no_areas(data, label):
    labels = data.labels.copy()
    labels[data.future] = label
    single = TrainingData(**{name: getattr(data, name) for name in data.__slots__} | {"labels": labels})
    model = evaluate({"first": [FirstFeature(data.features)]}, single, seed=5).models[0]
    assert (model.overall.roc_auc, model.overall.roc_auc_interval, model.overall.average_precision) == (None,) * 3
    assert (model.overall.true_positive_rate is None) == (label == 0)
    assert (model.overall.false_positive_rate is None) == (label == 1)
    assert (model.roc, model.precision_recall) == ((), ())
    assert model.to_json()


def test_an_empty_slice_has_no_figures():
    nothing = Told(np.empty(0, np.float32), np.empty(0, bool), None)
    judge = Judge.of(np.empty(0, np.int8), [nothing], resamples=10, seed=0)
    empty = judge.slice("none", np.empty(0, np.int64))
    assert (empty.apps, empty.malware) == (0, 0)
    assert {empty.roc_auc, empty.f1, empty.true_positive_rate, empty.alarm_rate, empty.median_score} == {None}


def test_apps_without_a_date_count_overall_and_in_no_month(data):
    dates = data.dates.copy()
    dates[-10:] = np.datetime64("NaT")
    undated = TrainingData(**{name: getattr(data, name) for name in data.__slots__} | {"dates": dates})
    model = evaluate({"first": [FirstFeature(data.features)]}, undated, seed=5).models[0]
    assert model.overall.apps - sum(part.apps for part in model.months) == 10


def test_generated_apps_mark_the_evaluation(data, evaluation):
    assert not evaluation.synthetic
    assert evaluate({"first": [FirstFeature(data.features, synthetic=True)]}, data, seed=5).synthetic


def test_a_model_of_other_columns_is_refused(data):
    with pytest.raises(InputError, match="other feature columns"):
        evaluate({"first": [FirstFeature(("sys_of_another_table",))]}, data, seed=5)


def test_a_model_of_some_columns_is_judged_by_those_in_its_own_order(data):
    some = (data.features[4], data.features[1])
    model = evaluate({"first": [FirstFeature(some)]}, data, seed=5).models[0]
    scores = np.log1p(data.test.matrix[:, 4])
    assert model.overall.roc_auc == pytest.approx(roc_auc_score(data.test.labels, scores), abs=1e-6)


def test_a_table_without_a_future_is_refused(data):
    with pytest.raises(InputError, match="no app is left for the test"):
        evaluate({}, data.take(~data.future), seed=5)
