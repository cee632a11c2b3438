"""dbt-tests-adapter's folder `aliases`."""

from __future__ import annotations

from dbt.tests.adapter.aliases import test_aliases as aliases


class TestAliasErrors(aliases.BaseAliasErrors):
    pass


class TestAliases(aliases.BaseAliases):
    pass


class TestSameAliasDifferentSchemas(aliases.BaseSameAliasDifferentSchemas):
    pass
