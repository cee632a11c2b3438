"""dbt-tests-adapter's folder `relations`."""

from __future__ import annotations

from dbt.tests.adapter.relations import test_changing_relation_type as changing_relation_type
from dbt.tests.adapter.relations import test_dropping_schema_named as dropping_schema_named


class TestChangeRelationTypeValidator(changing_relation_type.BaseChangeRelationTypeValidator):
    pass


class TestDropSchemaNamed(dropping_schema_named.BaseDropSchemaNamed):
    pass
