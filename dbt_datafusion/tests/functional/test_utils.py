"""dbt-tests-adapter's folder `utils`."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.utils import fixture_date_spine, fixture_get_intervals_between
from dbt.tests.adapter.utils import test_any_value as any_value
from dbt.tests.adapter.utils import test_array_append as array_append
from dbt.tests.adapter.utils import test_array_concat as array_concat
from dbt.tests.adapter.utils import test_array_construct as array_construct
from dbt.tests.adapter.utils import test_bool_or as bool_or
from dbt.tests.adapter.utils import test_cast as cast
from dbt.tests.adapter.utils import test_cast_bool_to_text as cast_bool_to_text
from dbt.tests.adapter.utils import test_concat as concat
from dbt.tests.adapter.utils import test_current_timestamp as current_timestamp
from dbt.tests.adapter.utils import test_date as date
from dbt.tests.adapter.utils import test_date_spine as date_spine
from dbt.tests.adapter.utils import test_date_trunc as date_trunc
from dbt.tests.adapter.utils import test_dateadd as dateadd
from dbt.tests.adapter.utils import test_datediff as datediff
from dbt.tests.adapter.utils import test_equals as equals
from dbt.tests.adapter.utils import test_escape_single_quotes as escape_single_quotes
from dbt.tests.adapter.utils import test_except as except_
from dbt.tests.adapter.utils import test_generate_series as generate_series
from dbt.tests.adapter.utils import test_get_intervals_between as get_intervals_between
from dbt.tests.adapter.utils import test_get_powers_of_two as get_powers_of_two
from dbt.tests.adapter.utils import test_hash as hash
from dbt.tests.adapter.utils import test_intersect as intersect
from dbt.tests.adapter.utils import test_last_day as last_day
from dbt.tests.adapter.utils import test_length as length
from dbt.tests.adapter.utils import test_listagg as listagg
from dbt.tests.adapter.utils import test_null_compare as null_compare
from dbt.tests.adapter.utils import test_position as position
from dbt.tests.adapter.utils import test_replace as replace
from dbt.tests.adapter.utils import test_right as right
from dbt.tests.adapter.utils import test_safe_cast as safe_cast
from dbt.tests.adapter.utils import test_source_freshness_custom_info as source_freshness_custom_info
from dbt.tests.adapter.utils import test_split_part as split_part
from dbt.tests.adapter.utils import test_string_literal as string_literal
from dbt.tests.adapter.utils import test_timestamps as timestamps
from dbt.tests.adapter.utils import test_validate_sql as validate_sql
from dbt.tests.adapter.utils.data_types import test_type_bigint as type_bigint
from dbt.tests.adapter.utils.data_types import test_type_boolean as type_boolean
from dbt.tests.adapter.utils.data_types import test_type_float as type_float
from dbt.tests.adapter.utils.data_types import test_type_int as type_int
from dbt.tests.adapter.utils.data_types import test_type_numeric as type_numeric
from dbt.tests.adapter.utils.data_types import test_type_string as type_string
from dbt.tests.adapter.utils.data_types import test_type_timestamp as type_timestamp


class TestTypeBigInt(type_bigint.BaseTypeBigInt):
    pass


class TestTypeBoolean(type_boolean.BaseTypeBoolean):
    pass


class TestTypeFloat(type_float.BaseTypeFloat):
    pass


class TestTypeInt(type_int.BaseTypeInt):
    def assert_columns_equal(self, project: Any, expected_cols: Any, actual_cols: Any) -> None:
        """Whole numbers of a seed are `bigint`."""
        assert (expected_cols, actual_cols) == ([("int_col", "bigint", None)], [("int_col", "int", None)])


class TestTypeNumeric(type_numeric.BaseTypeNumeric):
    pass


class TestTypeString(type_string.BaseTypeString):
    pass


class TestTypeTimestamp(type_timestamp.BaseTypeTimestamp):
    pass


class TestAnyValue(any_value.BaseAnyValue):
    pass


class TestArrayAppend(array_append.BaseArrayAppend):
    pass


class TestArrayConcat(array_concat.BaseArrayConcat):
    pass


class TestArrayConstruct(array_construct.BaseArrayConstruct):
    pass


class TestBoolOr(bool_or.BaseBoolOr):
    pass


class TestCast(cast.BaseCast):
    pass


class TestCastBoolToText(cast_bool_to_text.BaseCastBoolToText):
    pass


class TestConcat(concat.BaseConcat):
    pass


class TestCurrentTimestampAware(current_timestamp.BaseCurrentTimestampAware):
    pass


class TestDate(date.BaseDate):
    pass


class TestDateSpine(date_spine.BaseDateSpine):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        """The base class's form for Postgres: dates are said to be such."""
        model = fixture_date_spine.models__test_date_spine_sql.replace("== 'postgres'", "in ('postgres', 'datafusion')")
        return {"test_date_spine.sql": model, "test_date_spine.yml": fixture_date_spine.models__test_date_spine_yml}


class TestDateTrunc(date_trunc.BaseDateTrunc):
    pass


class TestDateAdd(dateadd.BaseDateAdd):
    pass


class TestDateDiff(datediff.BaseDateDiff):
    pass


class TestEquals(equals.BaseEquals):
    pass


class TestEscapeSingleQuotesQuote(escape_single_quotes.BaseEscapeSingleQuotesQuote):
    pass


class TestExcept(except_.BaseExcept):
    pass


class TestGenerateSeries(generate_series.BaseGenerateSeries):
    pass


class TestGetIntervalsBetween(get_intervals_between.BaseGetIntervalsBetween):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        """DataFusion reads dates in the order of ISO 8601 only."""
        model = fixture_get_intervals_between.models__test_get_intervals_between_sql
        for day in ("01", "12"):
            model = model.replace(f"09/{day}/2023", f"2023-09-{day}")
        return {
            "test_get_intervals_between.sql": model,
            "test_get_intervals_between.yml": fixture_get_intervals_between.models__test_get_intervals_between_yml,
        }


class TestGetPowersOfTwo(get_powers_of_two.BaseGetPowersOfTwo):
    pass


class TestHash(hash.BaseHash):
    pass


class TestIntersect(intersect.BaseIntersect):
    pass


class TestLastDay(last_day.BaseLastDay):
    pass


class TestLength(length.BaseLength):
    pass


class TestListagg(listagg.BaseListagg):
    pass


class TestMixedNullCompare(null_compare.BaseMixedNullCompare):
    pass


class TestNullCompare(null_compare.BaseNullCompare):
    pass


class TestPosition(position.BasePosition):
    pass


class TestReplace(replace.BaseReplace):
    pass


class TestRight(right.BaseRight):
    pass


class TestSafeCast(safe_cast.BaseSafeCast):
    pass


class TestCalculateFreshnessMethod(source_freshness_custom_info.BaseCalculateFreshnessMethod):
    pass


class TestSplitPart(split_part.BaseSplitPart):
    pass


class TestStringLiteral(string_literal.BaseStringLiteral):
    pass


class TestCurrentTimestamps(timestamps.BaseCurrentTimestamps):
    @pytest.fixture(scope="class")
    def expected_schema(self) -> dict[str, str]:
        return {
            "current_timestamp": "timestamptz",
            "current_timestamp_in_utc_backcompat": "timestamp",
            "current_timestamp_backcompat": "timestamp",
        }

    @pytest.fixture(scope="class")
    def expected_sql(self) -> None:
        """The text is Postgres's."""


class TestValidateSqlMethod(validate_sql.BaseValidateSqlMethod):
    pass
