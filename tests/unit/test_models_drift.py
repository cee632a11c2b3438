"""Drift of features: found where it is, not found where it is not, also of few rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dfp_platform.errors import CalibrationError, InputError
from dfp_platform.models.drift import MAJOR_SHIFT, MOST_ROWS, evenly, feature_drift, psi_limit


def counts(rows: int, *rates: float, seed: int) -> NDArray[np.float32]:
    """Counts as apps have them: most are zero, some are large."""
    random = np.random.default_rng(seed)
    return np.stack([random.poisson(rate, rows) * random.integers(1, 9, rows) for rate in rates], axis=1).astype("f4")


def test_the_index_is_the_one_that_is_worked_out_by_hand() -> None:
    reference = np.repeat([[0.0], [1.0]], [1_000, 1_000], axis=0).astype(np.float32)
    rows = np.repeat([[0.0], [1.0]], [500, 1_500], axis=0).astype(np.float32)
    found = feature_drift(reference, rows, ["perm_internet"])
    assert found.psi[0] == pytest.approx(
        (0.5 - 0.25) * np.log(0.5 / 0.25) + (0.5 - 0.75) * np.log(0.5 / 0.75), abs=1e-3
    )


def test_a_feature_that_moved_is_named_and_those_that_did_not_are_not() -> None:
    trained = counts(4_000, 0.1, 1.0, 5.0, seed=1)
    live = counts(2_000, 0.1, 1.0, 9.0, seed=2)
    found = feature_drift(trained, live, ["a", "b", "c"])
    assert list(found.named(10)) == ["c"]
    assert found.share == pytest.approx(1 / 3)
    assert found.worst(3)[0] == 2


def test_values_that_stop_coming_are_drift() -> None:
    trained, live = counts(2_000, 1.0, 1.0, seed=1), counts(2_000, 1.0, 1.0, seed=2)
    live[:1_000, 1] = np.nan
    found = feature_drift(trained, live, ["a", "b"])
    assert list(found.named(10)) == ["b"]
    assert found.missing.tolist() == [0.0, 0.5]
    assert found.reference_missing.tolist() == [0.0, 0.0]


def test_a_value_that_the_training_never_had_is_drift() -> None:
    never = np.zeros((2_000, 1), dtype=np.float32)
    assert feature_drift(never, np.ones((500, 1), dtype=np.float32), ["a"]).drifted.all()
    unknown = np.full((2_000, 1), np.nan, dtype=np.float32)
    assert feature_drift(unknown, never, ["a"]).drifted.all()
    assert not feature_drift(unknown, unknown, ["a"]).drifted.any()


def test_a_flag_that_most_apps_have_is_looked_at_too() -> None:
    random = np.random.default_rng(1)
    trained = (random.random((4_000, 1)) < 0.95).astype(np.float32)
    live = (random.random((4_000, 1)) < 0.5).astype(np.float32)
    assert feature_drift(trained, live, ["a"]).drifted.all()


@pytest.mark.parametrize("rows", [20, 50, 200])
def test_few_rows_of_the_same_apps_raise_no_alarm(rows: int) -> None:
    names = [str(feature) for feature in range(200)]
    trained = counts(4_000, *[0.3] * 100, *[3.0] * 100, seed=1)
    alarms = 0
    for seed in range(20):
        alarms += feature_drift(trained, counts(rows, *[0.3] * 100, *[3.0] * 100, seed=100 + seed), names).drifted.sum()
    assert alarms <= 2  # of 4,000; 0.2 would come by chance


def test_the_limit_is_the_known_one_where_rows_are_many_and_higher_where_they_are_few() -> None:
    ten = np.array([10.0])
    assert psi_limit(ten, 10_000, 10_000)[0] == MAJOR_SHIFT
    assert psi_limit(ten, 20, 10_000)[0] > 1.0
    assert psi_limit(np.repeat(ten, 400), 100, 10_000)[0] > psi_limit(ten, 100, 10_000)[0]


def test_rows_beyond_the_most_are_taken_evenly() -> None:
    rows = np.arange(3 * MOST_ROWS, dtype=np.float32)[:, None]
    taken = evenly(rows)
    assert len(taken) == MOST_ROWS
    assert (taken[0, 0], taken[-1, 0]) == (0.0, 3 * MOST_ROWS - 1)
    assert np.array_equal(taken, evenly(rows))


def test_without_rows_or_with_other_columns_nothing_is_said() -> None:
    some = np.zeros((2, 1), dtype=np.float32)
    with pytest.raises(CalibrationError):
        feature_drift(some, some[:0], ["a"])
    with pytest.raises(InputError):
        feature_drift(some, some, ["a", "b"])


@given(arrays(np.float32, st.tuples(st.integers(1, 40), st.just(2)), elements=st.sampled_from([0, 1, 2, 7, np.nan])))
def test_rows_do_not_drift_from_themselves_in_whatever_order(rows: NDArray[np.float32]) -> None:
    found = feature_drift(rows, rows[::-1], ["a", "b"])
    assert np.allclose(found.psi, 0.0)
    assert np.isfinite(found.limit).all()
