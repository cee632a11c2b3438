"""dbt-tests-adapter's folder `caching`."""

from __future__ import annotations

from dbt.tests.adapter.caching import test_caching as caching


class TestCachingLowercaseModel(caching.BaseCachingLowercaseModel):
    pass


class TestCachingSelectedSchemaOnly(caching.BaseCachingSelectedSchemaOnly):
    pass


class TestCachingUppercaseModel(caching.BaseCachingUppercaseModel):
    pass


class TestNoPopulateCache(caching.BaseNoPopulateCache):
    pass
