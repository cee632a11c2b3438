"""The standardisation inside the network is the one that was fitted, also for values that training never saw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dfp_platform.errors import CalibrationError
from dfp_platform.models.configs import AutoencoderConfig
from dfp_platform.models.networks import Autoencoder
from dfp_platform.models.standardisation import Standardisation

RAW = np.array([[0, 1, 5, 10], [3, 1, 5, 1_000], [9, 1, 5, np.nan]], dtype=np.float32)


def standardised(raw: np.ndarray, *, clip: float = 5.0) -> np.ndarray:
    network = Autoencoder(RAW.shape[1], AutoencoderConfig(hidden=(4,), latent=2, clip=clip))
    network.adopt(Standardisation.fit(RAW, floor=0.1, limit=clip))
    return network.standardise(torch.from_numpy(raw)).numpy()


def test_log_counts_of_the_fitted_rows_have_mean_0_and_deviation_1():
    result = standardised(RAW)
    assert result[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert result[:, 0].std() == pytest.approx(1, abs=1e-6)


def test_a_feature_that_never_varied_is_0_and_a_small_step_of_it_stays_small():
    assert np.allclose(standardised(RAW)[:, 1:3], 0, atol=1e-5)
    stepped = RAW.copy()
    stepped[:, 2] = 6
    assert standardised(stepped)[0, 2] == pytest.approx((np.log1p(6) - np.log1p(5)) / 0.1, rel=1e-4)


def test_an_unknown_value_is_an_average_one_and_does_not_spoil_the_fit():
    assert standardised(RAW)[2, 3] == 0
    assert standardised(RAW)[:2, 3] == pytest.approx([-1, 1], abs=1e-6)
    assert (standardised(np.full_like(RAW, np.nan)) == 0).all()


def test_a_feature_that_no_fitted_row_knows_is_0_whatever_later_rows_hold():
    fitted = RAW.copy()
    fitted[:, 1] = np.nan
    network = Autoencoder(RAW.shape[1], AutoencoderConfig(hidden=(4,), latent=2))
    network.adopt(Standardisation.fit(fitted, floor=0.1, limit=5))
    later = network.standardise(torch.from_numpy(np.full_like(RAW, 1e6))).numpy()
    assert (later[:, 1] == 0).all()
    assert (later[:, 0] > 0).all()


@pytest.mark.parametrize("extreme", [1e30, np.finfo(np.float32).max])
def test_no_value_leaves_the_limits(extreme):
    assert np.abs(standardised(np.full_like(RAW, extreme), clip=5.0)).max() == 5


def test_a_negative_value_counts_as_none():
    assert np.array_equal(standardised(np.full_like(RAW, -7)), standardised(np.zeros_like(RAW)))


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_are_refused(rows):
    with pytest.raises(CalibrationError, match="too few to standardise"):
        Standardisation.fit(RAW[:rows], floor=0.1, limit=5)
