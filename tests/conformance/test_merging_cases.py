"""Thousands of random histories of two branches against the oracle by row identity: `make conformance-merge`."""

from __future__ import annotations

import pytest

from tests.integration.test_merging_histories import run_cases

CASES, CASES_TO_A_TEST = 2_400, 60
FIRST_SEED = 1_000_000
"""Far from the seeds of the everyday suite."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + CASES, CASES_TO_A_TEST))
def test_no_wrong_row_no_missed_conflict_and_few_needless_ones(first, tmp_path):
    outcomes = run_cases(tmp_path, range(first, first + CASES_TO_A_TEST))
    assert outcomes["needless"] <= CASES_TO_A_TEST // 4, outcomes
