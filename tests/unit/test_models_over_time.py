"""What goes beside the scores: duplicates, calibration, the drift alarm, the rejection option."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from dfp_platform.models.data import TrainingData
from dfp_platform.models.drift_alarm import FALSE_ALARMS, drift_alarm
from dfp_platform.models.duplicates import duplicates
from dfp_platform.models.rejection import SHARES, rejection
from dfp_platform.models.reliability import reliability
from tests.apps import tiny_table

RANDOM = np.random.default_rng(3)


# -- duplicates -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return TrainingData.from_arrow(tiny_table(300, a_day=3))


def test_apps_met_before_are_told_by_package_and_by_vector(data):
    test, past = data.test, (data.training, data.calibration)
    packages, matrix = test.packages.copy(), test.matrix.copy()
    packages[:] = [f"new.{row}" for row in range(len(test))]
    packages[0], packages[3] = data.training.packages[0], "new.2"
    matrix[1], matrix[5] = data.calibration.matrix[0], matrix[4]
    known = duplicates(replace(test, packages=packages, matrix=matrix), past)
    assert np.flatnonzero(known.packages).tolist() == [0]
    assert np.flatnonzero(known.vectors).tolist() == [1]
    assert np.flatnonzero(~known.distinct).tolist() == [0, 1, 3, 5]


# -- calibration ------------------------------------------------------------------------------------------------


def test_the_calibration_curve_is_that_of_scikit_learn():
    scores = RANDOM.random(2_000).astype(np.float32)
    labels = (RANDOM.random(2_000) < scores**2).astype(np.int8)
    told = reliability(labels, scores, probability=True)
    shares, means = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    assert [each.malware_share for each in told.bins] == pytest.approx(shares, abs=1e-3)
    assert [each.mean_score for each in told.bins] == pytest.approx(means, abs=1e-3)
    assert sum(each.apps for each in told.bins) == 2_000
    assert told.brier == pytest.approx(brier_score_loss(labels, scores), abs=1e-5)
    assert told.expected_calibration_error > 0.1
    honest = reliability((RANDOM.random(2_000) < scores).astype(np.int8), scores, probability=True)
    assert honest.expected_calibration_error < 0.05


@pytest.mark.parametrize("scores", [[], [0.5], [0.5] * 20, [0.0, 1.0]])
def test_few_or_equal_scores_still_make_a_curve(scores):
    told = reliability(np.ones(len(scores), np.int8), np.array(scores, np.float32), probability=True)
    assert sum(each.apps for each in told.bins) == len(scores)
    assert (told.brier is None) == (not scores)


# -- drift ------------------------------------------------------------------------------------------------------


def errors(apps: int, mean: float) -> np.ndarray:
    return RANDOM.gamma(2.0, mean / 2, size=apps).astype(np.float32)


def alarm(*months: tuple[float, float | None], usual_f1: float | None = 0.9, first: str = "2019-11"):
    """Months of 200 apps: mean error, F1. The past has a mean error of 1."""
    names = [str(np.datetime64(first, "M") + place) for place in range(len(months))]
    seen = [(name, errors(200, mean), f1) for name, (mean, f1) in zip(names, months, strict=True)]
    return drift_alarm(errors(800, 1.0), seen, usual_f1=usual_f1, seed=1)


def test_an_alarm_before_the_failure_has_a_lead_over_the_turn_of_the_year():
    told = alarm((1.0, 0.9), (1.6, 0.89), (1.7, 0.88), (1.9, 0.4))
    assert (told.first_alarm, told.first_failure, told.lead_months) == ("2019-12", "2020-02", 2)
    assert (told.alarms, told.false_alarms, told.missed_failures) == (3, 0, 0)


def test_an_alarm_that_no_failure_follows_is_false_and_a_failure_without_one_is_missed():
    told = alarm((1.8, 0.9), (1.0, 0.9), (1.0, 0.9), (1.0, 0.9), (1.0, 0.2))
    assert (told.alarms, told.false_alarms, told.missed_failures) == (1, 1, 1)
    assert (told.first_alarm, told.first_failure, told.lead_months) == (None, "2020-03", None)


def test_months_without_malware_or_a_past_without_any_fail_nothing():
    told = alarm((1.8, None), (1.0, 0.1), usual_f1=None)
    assert [month.failed for month in told.months] == [None, None]
    assert (told.first_failure, told.false_alarms) == (None, 1)


def test_months_like_the_past_raise_few_alarms_also_where_they_are_small():
    past = errors(800, 1.0)
    months = [(str(np.datetime64("1990-01", "M") + at), RANDOM.choice(past, size=20), 0.9) for at in range(400)]
    told = drift_alarm(past, months, usual_f1=0.9, seed=1)
    assert 0 < told.alarms <= 400 * FALSE_ALARMS * 3


# -- rejection --------------------------------------------------------------------------------------------------


def test_rejecting_what_is_in_doubt_leaves_fewer_errors():
    labels = (RANDOM.random(4_000) < 0.3).astype(np.int8)
    scores = np.clip(labels * 0.4 + 0.3 + RANDOM.normal(scale=0.2, size=4_000), 0, 1)
    alarms, doubts = scores > 0.5, -np.abs(scores - 0.5)
    told = rejection(
        "nearness to the threshold", doubts[:2_000], doubts[2_000:], labels=labels[2_000:], alarms=alarms[2_000:]
    )
    assert [budget.allowed for budget in told.budgets] == list(SHARES)
    assert told.budgets[0].rejected == 0
    assert told.budgets[-1].rejected == pytest.approx(0.3, abs=0.03)
    assert told.budgets[-1].f1 > told.budgets[0].f1 + 0.03


def test_a_rule_that_was_fixed_on_the_past_rejects_more_of_what_has_drifted():
    labels, alarms = np.zeros(500, np.int8), np.zeros(500, bool)
    told = rejection("reconstruction error", errors(500, 1.0), errors(500, 3.0), labels=labels, alarms=alarms)
    assert told.budgets[3].rejected > 5 * told.budgets[3].allowed
    assert {budget.f1 for budget in told.budgets} == {None}


def test_where_all_is_rejected_nothing_is_said_of_the_rest():
    told = rejection(
        "reconstruction error", np.zeros(9), np.ones(9), labels=np.ones(9, np.int8), alarms=np.ones(9, bool)
    )
    assert (told.budgets[1].rejected, told.budgets[1].f1, told.budgets[1].false_positive_rate) == (1.0, None, None)
