"""dbt-tests-adapter's folder `basic`."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.basic import expected_catalog as catalogs
from dbt.tests.adapter.basic import test_adapter_methods as adapter_methods
from dbt.tests.adapter.basic import test_base as base
from dbt.tests.adapter.basic import test_docs_generate as docs_generate
from dbt.tests.adapter.basic import test_empty as empty
from dbt.tests.adapter.basic import test_ephemeral as ephemeral
from dbt.tests.adapter.basic import test_generic_tests as generic_tests
from dbt.tests.adapter.basic import test_get_catalog_for_single_relation as get_catalog_for_single_relation
from dbt.tests.adapter.basic import test_incremental as incremental
from dbt.tests.adapter.basic import test_singular_tests as singular_tests
from dbt.tests.adapter.basic import test_singular_tests_ephemeral as singular_tests_ephemeral
from dbt.tests.adapter.basic import test_snapshot_check_cols as snapshot_check_cols
from dbt.tests.adapter.basic import test_snapshot_timestamp as snapshot_timestamp
from dbt.tests.adapter.basic import test_table_materialization as table_materialization
from dbt.tests.adapter.basic import test_validate_connection as validate_connection
from dbt_common.contracts.metadata import CatalogTable, ColumnMetadata, StatsItem, TableMetadata


def rows(count: int) -> dict[str, Any]:
    """What dbt's docs say of a table's size; of a view they say nothing."""
    label = {"id": "rows", "label": "Rows", "description": "Rows of the current snapshot"}
    return {
        "has_stats": {**catalogs.no_stats()["has_stats"], "value": True},
        "rows": {**label, "value": float(count), "include": True},
    }


def catalog_table(project: Any, name: str, kind: str, *, rows: int) -> CatalogTable:
    types = {
        "id": "bigint",
        "first_name": "varchar",
        "email": "varchar",
        "ip_address": "varchar",
        "updated_at": "timestamp",
    }
    return CatalogTable(
        metadata=TableMetadata(type=kind, schema=project.test_schema, name=name, database=project.database),
        columns={
            column: ColumnMetadata(type=type_, index=index, name=column)
            for index, (column, type_) in enumerate(types.items(), 1)
        },
        stats={"rows": StatsItem("rows", "Rows", str(rows), kind == "table", "Rows of the current snapshot")},
    )


TYPES = {"id_type": "bigint", "text_type": "varchar", "time_type": "timestamp", "view_type": "view"}


class TestAdapterMethod(adapter_methods.BaseAdapterMethod):
    pass


class TestSimpleMaterializations(base.BaseSimpleMaterializations):
    pass


class TestDocsGenReferences(docs_generate.BaseDocsGenReferences):
    @pytest.fixture(scope="class")
    def expected_catalog(self, project: Any) -> dict[str, Any]:
        return catalogs.expected_references_catalog(
            project,
            role=None,
            table_type="table",
            bigint_type="bigint",
            model_stats=rows(1),
            seed_stats=rows(1),
            view_summary_stats=catalogs.no_stats(),
            **TYPES,
        )


class TestDocsGenerate(docs_generate.BaseDocsGenerate):
    @pytest.fixture(scope="class")
    def expected_catalog(self, project: Any) -> dict[str, Any]:
        views = catalogs.no_stats()
        return catalogs.base_expected_catalog(
            project, role=None, table_type="table", model_stats=views, seed_stats=rows(1), **TYPES
        )


class TestEmpty(empty.BaseEmpty):
    pass


class TestEphemeral(ephemeral.BaseEphemeral):
    pass


class TestGenericTests(generic_tests.BaseGenericTests):
    pass


class TestGetCatalogForSingleRelation(get_catalog_for_single_relation.BaseGetCatalogForSingleRelation):
    @pytest.fixture(scope="class")
    def expected_catalog_my_seed(self, project: Any) -> CatalogTable:
        return catalog_table(project, "my_seed", "table", rows=1)

    @pytest.fixture(scope="class")
    def expected_catalog_my_view_model(self, project: Any) -> CatalogTable:
        return catalog_table(project, "my_view_model", "view", rows=0)


class TestIncremental(incremental.BaseIncremental):
    pass


class TestIncrementalBadStrategy(incremental.BaseIncrementalBadStrategy):
    pass


class TestIncrementalNotSchemaChange(incremental.BaseIncrementalNotSchemaChange):
    pass


class TestSingularTests(singular_tests.BaseSingularTests):
    pass


class TestSingularTestsEphemeral(singular_tests_ephemeral.BaseSingularTestsEphemeral):
    pass


class TestSnapshotCheckCols(snapshot_check_cols.BaseSnapshotCheckCols):
    pass


class TestSnapshotTimestamp(snapshot_timestamp.BaseSnapshotTimestamp):
    pass


class TestTableMaterialization(table_materialization.BaseTableMaterialization):
    pass


class TestValidateConnection(validate_connection.BaseValidateConnection):
    pass
