"""Thresholds keep the false positive rate they promise on what they were calibrated by."""

from __future__ import annotations

import numpy as np
import pytest

from dfp_platform.errors import CalibrationError
from dfp_platform.models.calibration import alarm_threshold


def test_the_threshold_is_the_linear_quantile():
    errors = np.arange(101, dtype=np.float32)
    assert alarm_threshold(errors, false_positive_rate=0.01) == 99.0
    assert alarm_threshold(errors, false_positive_rate=0.5) == 50.0


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.1])
@pytest.mark.parametrize("apps", [100, 101, 218, 5_000])
def test_at_most_the_allowed_share_of_benign_apps_raises_an_alarm(rate, apps):
    errors = np.random.default_rng(apps).gamma(2.0, size=apps).astype(np.float32)
    threshold = alarm_threshold(errors, false_positive_rate=rate)
    assert 0 < np.count_nonzero(errors > threshold) <= np.ceil(apps * rate)


def test_the_threshold_is_a_float32_so_that_every_runtime_compares_the_same_number():
    threshold = alarm_threshold(np.random.default_rng(1).random(333).astype(np.float32), false_positive_rate=0.01)
    assert threshold == float(np.float32(threshold))


@pytest.mark.parametrize(("apps", "rate"), [(99, 0.01), (0, 0.01), (9, 0.1)])
def test_too_few_apps_are_refused(apps, rate):
    with pytest.raises(CalibrationError) as caught:
        alarm_threshold(np.zeros(apps, np.float32), false_positive_rate=rate)
    assert caught.value.fields == {"apps": apps, "needed": round(1 / rate)}


def test_exactly_enough_apps_are_accepted():
    assert alarm_threshold(np.ones(100, np.float32), false_positive_rate=0.01) == 1.0


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(CalibrationError, match="no number"):
        alarm_threshold(np.array([1.0] * 200 + [np.nan], np.float32), false_positive_rate=0.01)
