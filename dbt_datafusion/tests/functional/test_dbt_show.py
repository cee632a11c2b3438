"""dbt-tests-adapter's folder `dbt_show`."""

from __future__ import annotations

from dbt.tests.adapter.dbt_show import test_dbt_show as dbt_show


class TestShowDoesNotHandleDoubleLimit(dbt_show.BaseShowDoesNotHandleDoubleLimit):
    DATABASE_ERROR_MESSAGE = "Expected: end of statement, found: limit"


class TestShowLimit(dbt_show.BaseShowLimit):
    pass
