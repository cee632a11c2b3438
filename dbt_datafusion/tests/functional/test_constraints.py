"""dbt-tests-adapter's folder `constraints`."""

from __future__ import annotations

import pytest
from dbt.tests.adapter.constraints import fixtures
from dbt.tests.adapter.constraints import test_constraints as constraints


def with_bigint(schema: str) -> str:
    """A literal such as `1` is a `bigint` to DataFusion."""
    return schema.replace("data_type: integer", "data_type: bigint").replace("data_type: int\n", "data_type: bigint\n")


class Types:
    """DataFusion's names of types, and literals of them. It has no JSON."""

    @pytest.fixture
    def string_type(self) -> str:
        return "varchar"

    @pytest.fixture
    def int_type(self) -> str:
        return "bigint"

    @pytest.fixture
    def data_types(self) -> list[list[str]]:
        return [
            ["1", "bigint", "bigint"],
            ["'1'", "varchar", "varchar"],
            ["true", "bool", "boolean"],
            ["cast('2013-11-03 00:00:00-07' as timestamptz)", "timestamptz", "timestamptz"],
            ["cast('2013-11-03 00:00:00' as timestamp)", "timestamp", "timestamp"],
            ["make_array('a', 'b', 'c')", "varchar[]", "varchar[]"],
            ["make_array(1, 2, 3)", "bigint[]", "bigint[]"],
            ["cast('1' as decimal(10, 2))", "decimal(10, 2)", "decimal(10,2)"],
        ]


QUERY = """
select id, color, date_day from (
    -- depends_on: <foreign_key_model_identifier>
    select 'blue' as color, 1 as id, '2019-01-01' as date_day
) as model_subq
"""


class Ddl:
    """This adapter's statement: of the constraints only `not null` is enforced, and the others are warned about."""

    @pytest.fixture(scope="class")
    def expected_sql(self) -> str:
        return (
            "create or replace table <model_identifier> (id bigint not null, color varchar, date_day varchar) as "
            + QUERY
        )


class FkModels:
    model = fixtures.my_model_wrong_order_depends_on_fk_sql
    schema = fixtures.model_fk_constraint_schema_yml

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "my_model.sql": self.model,
            "foreign_key_model.sql": fixtures.foreign_key_model_sql,
            "constraints_schema.yml": with_bigint(self.schema),
        }


class Rollback:
    model = fixtures.my_model_sql
    null_model = fixtures.my_model_with_nulls_sql

    @pytest.fixture(scope="class")
    def null_model_sql(self) -> str:
        return self.null_model.replace("dbt.type_int()", "dbt.type_bigint()")

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {"my_model.sql": self.model, "constraints_schema.yml": with_bigint(fixtures.model_schema_yml)}


class TestConstraintQuotedColumn(constraints.BaseConstraintQuotedColumn):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "my_model.sql": fixtures.my_model_with_quoted_column_name_sql,
            "constraints_schema.yml": with_bigint(fixtures.model_quoted_column_schema_yml),
        }

    @pytest.fixture(scope="class")
    def expected_sql(self) -> str:
        return """
create or replace table <model_identifier> (id bigint not null, "from" varchar not null, date_day varchar) as
select id, "from", date_day from (
    select 'blue' as "from", 1 as id, '2019-01-01' as date_day
) as model_subq
"""


class TestConstraintsRollback(Rollback, constraints.BaseConstraintsRollback):
    pass


class TestConstraintsRuntimeDdlEnforcement(Ddl, FkModels, constraints.BaseConstraintsRuntimeDdlEnforcement):
    pass


class TestIncrementalConstraintsColumnsEqual(Types, constraints.BaseIncrementalConstraintsColumnsEqual):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "my_model_wrong_order.sql": fixtures.my_model_incremental_wrong_order_sql,
            "my_model_wrong_name.sql": fixtures.my_model_incremental_wrong_name_sql,
            "constraints_schema.yml": with_bigint(fixtures.model_schema_yml),
        }


class TestIncrementalConstraintsRollback(Rollback, constraints.BaseIncrementalConstraintsRollback):
    model = fixtures.my_incremental_model_sql
    null_model = fixtures.my_model_incremental_with_nulls_sql


class TestIncrementalConstraintsRuntimeDdlEnforcement(
    Ddl, FkModels, constraints.BaseIncrementalConstraintsRuntimeDdlEnforcement
):
    model = fixtures.my_model_incremental_wrong_order_depends_on_fk_sql


class TestIncrementalForeignKeyConstraint(constraints.BaseIncrementalForeignKeyConstraint):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "schema.yml": with_bigint(fixtures.incremental_foreign_key_schema_yml),
            "raw_numbers.sql": fixtures.incremental_foreign_key_model_raw_numbers_sql,
            "stg_numbers.sql": fixtures.incremental_foreign_key_model_stg_numbers_sql,
        }


class TestModelConstraintsRuntimeEnforcement(Ddl, FkModels, constraints.BaseModelConstraintsRuntimeEnforcement):
    schema = fixtures.constrained_model_schema_yml


class TestTableConstraintsColumnsEqual(Types, constraints.BaseTableConstraintsColumnsEqual):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "my_model_wrong_order.sql": fixtures.my_model_wrong_order_sql,
            "my_model_wrong_name.sql": fixtures.my_model_wrong_name_sql,
            "constraints_schema.yml": with_bigint(fixtures.model_schema_yml),
        }


class TestViewConstraintsColumnsEqual(Types, constraints.BaseViewConstraintsColumnsEqual):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "my_model_wrong_order.sql": fixtures.my_model_view_wrong_order_sql,
            "my_model_wrong_name.sql": fixtures.my_model_view_wrong_name_sql,
            "constraints_schema.yml": with_bigint(fixtures.model_schema_yml),
        }
