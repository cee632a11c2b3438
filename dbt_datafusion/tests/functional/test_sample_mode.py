"""dbt-tests-adapter's folder `sample_mode`."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.sample_mode import fixtures
from dbt.tests.adapter.sample_mode import test_sample_mode as sample_mode


class TestSampleModeTest(sample_mode.BaseSampleModeTest):
    @pytest.fixture(scope="class")
    def input_model_sql(self) -> str:
        """DataFusion reads no zone of the form `-0`: the same points in time without it."""
        return fixtures.input_model_sql.replace("00-0'", "00'")
