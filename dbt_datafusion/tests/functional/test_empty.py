"""dbt-tests-adapter's folder `empty`."""

from __future__ import annotations

from dbt.tests.adapter.empty import test_empty as empty


class TestEmpty(empty.BaseTestEmpty):
    pass


class TestEmptyInlineSourceRef(empty.BaseTestEmptyInlineSourceRef):
    pass


class TestEmptySeedFlag(empty.BaseTestEmptySeedFlag):
    pass


class TestMetadataWithEmptyFlag(empty.MetadataWithEmptyFlag):
    pass
