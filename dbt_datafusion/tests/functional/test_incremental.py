"""dbt-tests-adapter's folder `incremental`."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.incremental import test_incremental_merge_exclude_columns as incremental_merge_exclude_columns
from dbt.tests.adapter.incremental import test_incremental_microbatch as incremental_microbatch
from dbt.tests.adapter.incremental import test_incremental_on_schema_change as incremental_on_schema_change
from dbt.tests.adapter.incremental import test_incremental_predicates as incremental_predicates
from dbt.tests.adapter.incremental import test_incremental_unique_id as incremental_unique_id


class TestMergeExcludeColumns(incremental_merge_exclude_columns.BaseMergeExcludeColumns):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"models": {"+incremental_strategy": "merge"}}


class TestMicrobatch(incremental_microbatch.BaseMicrobatch):
    """DataFusion reads no zone of the form `-0`: the same points in time without it."""

    @pytest.fixture(scope="class")
    def input_model_sql(self) -> str:
        return incremental_microbatch._input_model_sql.replace("00-0'", "00'")

    @pytest.fixture(scope="class")
    def insert_two_rows_sql(self, project: Any) -> str:
        values = "(4, TIMESTAMP '2020-01-04 00:00:00'), (5, TIMESTAMP '2020-01-05 00:00:00')"
        return f"insert into {project.test_schema}.input_model (id, event_time) values {values}"


class TestIncrementalOnSchemaChange(incremental_on_schema_change.BaseIncrementalOnSchemaChange):
    pass


class TestIncrementalPredicates(incremental_predicates.BaseIncrementalPredicates):
    """The strategy is delete+insert, which is the default with a key; the predicate is the base class's own."""

    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"models": {"+incremental_predicates": ["id != 2"], "+incremental_strategy": "delete+insert"}}


class TestPredicates(incremental_predicates.BaseIncrementalPredicates):
    """The same under dbt's older name for it."""

    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"models": {"+predicates": ["id != 2"], "+incremental_strategy": "delete+insert"}}


class TestIncrementalUniqueKey(incremental_unique_id.BaseIncrementalUniqueKey):
    pass


class TestIncrementalUniqueKeyByMerge(incremental_unique_id.BaseIncrementalUniqueKey):
    """Every case of keys again, by MERGE."""

    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"models": {"+incremental_strategy": "merge"}}
