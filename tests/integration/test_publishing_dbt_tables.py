"""A target that moved in a table which dbt makes and tests: the merged table is tested again before it is published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog, scan
from dfp_platform.publishing.launch import RunOutcome, run_job
from dfp_platform.resources import dbt
from dfp_platform.resources.dagster_internals import ASSET_JOB, key_of
from tests.dbt_line import PEOPLE, write_project
from tests.toy_harness import Toy, toy

__all__ = ["toy"]

pytestmark = [
    pytest.mark.slow,  # in `make conformance-merge`
    pytest.mark.timeout(600),
    # dagster-dbt 0.29 asks its context by names that Dagster 1.13 has replaced
    pytest.mark.filterwarnings("ignore:AssetExecutionContext:DeprecationWarning"),
]


def run(toy: Toy, person: int, *, meanwhile: Callable[[], Any] = lambda: None) -> RunOutcome:
    """A run whose model appends a person; `meanwhile` happens once dbt has built and tested it."""
    toy.turn("person", str(person))
    todo = [meanwhile]

    def progress(event: Any) -> None:
        if event.is_step_success and todo:
            todo.pop()()

    return run_job(job=ASSET_JOB, instance=toy.instance, module="tests.dbt_line", progress=progress)


def people(toy: Toy, ref: str = "main") -> list[int]:
    return sorted(scan(toy.lake, ref, "marts.people")["id"].to_pylist())


def somebody_adds(toy: Toy, *persons: int) -> Callable[[], None]:
    def add() -> None:
        rows = pa.table({"id": pa.array(persons, pa.int64())})
        open_catalog(toy.lake, "main").load_table("marts.people").append(rows)

    return add


@pytest.fixture
def published(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """One run is published: person 1 is there."""
    write_project(toy.home / "project")
    monkeypatch.setattr(dbt, "PROJECT", toy.home / "project")
    monkeypatch.setenv("DFP_TEST_PERSON", "1")
    outcome = run(toy, 1)
    assert outcome.success, outcome
    assert people(toy) == [1]
    return toy


def test_a_merged_table_is_published_if_it_passes_its_dbt_tests_and_held_back_if_not(published: Toy) -> None:
    outcome = run(published, 2, meanwhile=somebody_adds(published, 3))
    assert outcome.success, outcome
    assert people(published) == [1, 2, 3]
    assert set(published.lake.branches()) == {"main"}
    for check in ("unique_people_id", "not_null_people_id"):
        assert b'"passed": true' in published.lake.read("main", f"checks/{PEOPLE}/{check}")

    outcome = run(published, 4, meanwhile=somebody_adds(published, 4, 5))  # each side has one 4
    assert not outcome.success
    assert any("check unique_people_id" in reason and "failed" in reason for reason in outcome.reasons), outcome
    assert people(published) == [1, 2, 3, 4, 5]
    assert people(published, outcome.branch) == [1, 2, 3, 4, 4, 5], "the run's branch shows what was judged"
    said = judged(published, "unique_people_id")
    assert (said.passed, said.metadata["figure"].value, said.metadata["limit"].value) == (False, 1.0, 0.0)
    assert said.description == "Rows that break the rule: 1, limit 0"
    shown = said.metadata["sample of bad rows"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [dict(row.data) for row in shown.records] == [{"unique_field": 4, "n_records": 2}]
    assert '"marts"."people"' in str(said.metadata["query"].value)
    assert said.metadata["lake/commit"].value in {commit.id for commit in published.lake.log(outcome.branch)}
    passing = judged(published, "not_null_people_id")
    assert passing.passed
    assert not {"sample of bad rows", "query"} & set(passing.metadata)


def judged(toy: Toy, check: str) -> dg.AssetCheckEvaluation:
    """What the newest evaluation of a check says on its page."""
    key = dg.AssetCheckKey(key_of(PEOPLE), check)
    record = toy.instance.get_latest_asset_check_evaluation_record(key)
    assert record is not None
    assert record.event is not None
    event = record.event.dagster_event
    assert event is not None
    return event.asset_check_evaluation_data
