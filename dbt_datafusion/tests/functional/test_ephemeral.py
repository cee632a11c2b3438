"""dbt-tests-adapter's folder `ephemeral`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dbt.tests.adapter.ephemeral import test_ephemeral as ephemeral
from dbt.tests.util import check_relations_equal, run_dbt


def assert_statement(model: str, expected: str) -> None:
    text = re.sub(r"\d+", "", Path(f"target/run/test/models/{model}.sql").read_text())
    assert "".join(text.split()) == "".join(expected.split())


class TestEphemeralErrorHandling(ephemeral.BaseEphemeralErrorHandling):
    pass


class TestEphemeralMulti(ephemeral.BaseEphemeralMulti):
    def test_ephemeral_multi(self, project: Any) -> None:
        """As the base class has it; only the first line of its text is Postgres's, with another name to build under."""
        run_dbt(["seed"])
        assert len(run_dbt(["run"])) == 3
        for model in ("dependent", "double_dependent", "super_dependent"):
            check_relations_equal(project.adapter, ["seed", model])
        assert_statement(
            "double_dependent",
            'create or replace view "test_test_ephemeral"."double_dependent" as '
            "with __dbt__cte__base as ("
            "select * from test_test_ephemeral.seed"
            "),  __dbt__cte__base_copy as ("
            "select * from __dbt__cte__base"
            ")-- base_copy just pulls from base. Make sure the listed"
            "-- graph of CTEs all share the same dbt_cte__base cte"
            "select * from __dbt__cte__base where gender = 'Male'"
            "union all"
            "select * from __dbt__cte__base_copy where gender = 'Female'",
        )


class TestEphemeralNested(ephemeral.BaseEphemeralNested):
    def test_ephemeral_nested(self, project: Any) -> None:
        """As the base class has it; only the first line of its text is Postgres's, with another name to build under."""
        assert len(run_dbt(["run"])) == 2
        assert_statement(
            "root_view",
            'create or replace view "test_test_ephemeral"."root_view" as '
            "with __dbt__cte__ephemeral_level_two as ("
            'select * from "test_test_ephemeral"."source_table"'
            "),  __dbt__cte__ephemeral as ("
            "select * from __dbt__cte__ephemeral_level_two"
            ")select * from __dbt__cte__ephemeral",
        )
