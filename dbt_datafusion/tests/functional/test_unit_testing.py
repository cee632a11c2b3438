"""dbt-tests-adapter's folder `unit_testing`."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.unit_testing import test_case_insensitivity as case_insensitivity
from dbt.tests.adapter.unit_testing import test_invalid_input as invalid_input
from dbt.tests.adapter.unit_testing import test_quoted_reserved_word_column_names as quoted_reserved_word_column_names
from dbt.tests.adapter.unit_testing import test_types as types


class TestUnitTestCaseInsensivity(case_insensitivity.BaseUnitTestCaseInsensivity):
    pass


class TestUnitTestInvalidInput(invalid_input.BaseUnitTestInvalidInput):
    pass


class TestUnitTestQuotedReservedWordColumnNames(
    quoted_reserved_word_column_names.BaseUnitTestQuotedReservedWordColumnNames
):
    pass


class TestUnitTestingTypes(types.BaseUnitTestingTypes):
    @pytest.fixture
    def data_types(self) -> list[list[str]]:
        """The base class's without JSON, which DataFusion lacks, and without zones of the form `-0`."""
        return [
            ["1", "1"],
            ["'1'", "1"],
            ["true", "true"],
            ["DATE '2020-01-02'", "2020-01-02"],
            ["TIMESTAMP '2013-11-03 00:00:00'", "2013-11-03 00:00:00"],
            ["cast('2013-11-03 00:00:00+00' as timestamptz)", "2013-11-03 00:00:00+00"],
            ["'1'::numeric", "1"],
        ]


class TestUnitTestingVarcharFixtureNoTruncation(types.BaseUnitTestingVarcharFixtureNoTruncation):
    pass
