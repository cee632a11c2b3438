"""dbt-tests-adapter's folder `simple_copy`."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.simple_copy import test_copy_uppercase as copy_uppercase
from dbt.tests.adapter.simple_copy import test_simple_copy as simple_copy


class TestSimpleCopyUppercase(copy_uppercase.BaseSimpleCopyUppercase):
    """The base class's profile is one of Postgres."""

    @pytest.fixture(scope="class")
    def dbt_profile_target(self, lake_profile: dict[str, Any]) -> dict[str, Any]:
        return {**lake_profile, "database": "dbtMixedCase"}


class TestEmptyModelsArentRun(simple_copy.EmptyModelsArentRunBase):
    pass


class TestSimpleCopy(simple_copy.SimpleCopyBase):
    pass
