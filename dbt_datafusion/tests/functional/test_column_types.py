"""dbt-tests-adapter's folder `column_types`."""

from __future__ import annotations

from dbt.tests.adapter.column_types import test_column_types as column_types


class TestPostgresColumnTypes(column_types.BasePostgresColumnTypes):
    pass
