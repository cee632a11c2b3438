"""dbt-tests-adapter's folder `empty`."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.empty import _models
from dbt.tests.adapter.empty import test_empty as empty


class TestEmpty(empty.BaseTestEmpty):
    pass


class TestEmptyInlineSourceRef(empty.BaseTestEmptyInlineSourceRef):
    pass


class TestEmptySeedFlag(empty.BaseTestEmptySeedFlag):
    pass


class TestMetadataWithEmptyFlag(empty.MetadataWithEmptyFlag):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        """Names keep their case here, and the seed's column is in lower case."""
        return {
            "schema.yml": _models.SCHEMA,
            "control.sql": _models.CONTROL,
            "get_columns_in_relation.sql": _models.GET_COLUMNS_IN_RELATION,
            "alter_column_type.sql": _models.ALTER_COLUMN_TYPE.replace("MY_VALUE", "my_value"),
            "alter_relation_comment.sql": _models.ALTER_RELATION_COMMENT,
            "alter_column_comment.sql": _models.ALTER_COLUMN_COMMENT,
            "alter_relation_add_remove_columns.sql": _models.ALTER_RELATION_ADD_REMOVE_COLUMNS,
            "truncate_relation.sql": _models.TRUNCATE_RELATION,
        }
