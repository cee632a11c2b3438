"""dbt-tests-adapter's folder `dbt_debug`."""

from __future__ import annotations

from dbt.tests.adapter.dbt_debug import test_dbt_debug as dbt_debug


class TestDebugInvalidProjectPostgres(dbt_debug.BaseDebugInvalidProjectPostgres):
    pass


class TestDebugPostgres(dbt_debug.BaseDebugPostgres):
    pass
