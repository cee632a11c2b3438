"""dbt-tests-adapter's folder `dbt_clone`."""

from __future__ import annotations

from dbt.tests.adapter.dbt_clone import test_dbt_clone as dbt_clone


class TestClonePossible(dbt_clone.BaseClonePossible):
    pass


class TestCloneSameSourceAndTarget(dbt_clone.BaseCloneSameSourceAndTarget):
    pass


class TestCloneSameTargetAndState(dbt_clone.BaseCloneSameTargetAndState):
    pass
