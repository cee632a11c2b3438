"""A target that moved in the very table a run wrote: merged by rows into the run's branch, judged there, published."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dfp_platform.catalog import content_at, open_catalog, scan
from dfp_platform.publishing import executor, publication
from dfp_platform.publishing.launch import RunOutcome, publish_run, rerun, run_job
from dfp_platform.publishing.publication import PUBLISHED_TAG
from dfp_platform.resources.dagster_internals import ASSET_JOB, graph_of, latest_data_versions
from dfp_platform.settings import settings
from tests import table_line
from tests.toy_harness import Toy, toy

__all__ = ["toy"]

EVENTS = "tables/marts/events"


def run(toy: Toy, *, selection: tuple[str, ...] = (EVENTS,), meanwhile: Callable[[], Any] = lambda: None) -> RunOutcome:
    """A run that writes the partition `mon`; `meanwhile` happens once its rows are written."""
    todo = [meanwhile]

    def progress(event: Any) -> None:
        if event.is_step_success and event.step_key == "tables__marts__events" and todo:
            todo.pop()()

    return run_job(
        job=ASSET_JOB, instance=toy.instance, module="tests.table_line", selection=list(selection), progress=progress
    )


def days(toy: Toy, ref: str = "main") -> dict[str, int]:
    return {row["day"]: row["value"] for row in scan(toy.lake, ref, "marts.events").to_pylist()}


@pytest.fixture
def published(toy: Toy) -> Toy:
    """One run is published: monday is 1."""
    assert run(toy).success
    assert days(toy) == {"mon": 1}
    return toy


def somebody_adds(toy: Toy, day: str, value: int) -> Callable[[], None]:
    import pyarrow as pa

    def add() -> None:
        rows = pa.table({"day": [day], "value": pa.array([value], pa.int64())})
        open_catalog(toy.lake, "main").load_table("marts.events").append(rows)

    return add


def test_a_run_whose_table_moved_elsewhere_is_merged_judged_again_and_published(published: Toy) -> None:
    published.turn("value", "2")
    outcome = run(published, meanwhile=somebody_adds(published, "tue", 5))
    assert outcome.success, outcome
    assert days(published) == {"mon": 2, "tue": 5}
    assert set(published.lake.branches()) == {"main"}, "neither the run's branch nor that of its judges stays"
    verdict = published.lake.read("main", f"checks/{EVENTS}/the_sum_is_small").decode()
    assert '"figure": 7.0' in verdict, "the sum of both sides was judged"
    [(shown, _)] = latest_data_versions(published.instance, [EVENTS]).values()
    assert shown == content_at(published.lake, "main", EVENTS), "the asset's page shows what main holds"


def test_what_passes_apart_but_not_together_is_held_back(published: Toy) -> None:
    published.turn("value", "6")
    outcome = run(published, meanwhile=somebody_adds(published, "tue", 6))
    assert not outcome.success
    assert any("the_sum_is_small" in reason and "failed: 12" in reason for reason in outcome.reasons), outcome.reasons
    assert days(published) == {"mon": 1, "tue": 6}
    assert days(published, outcome.branch) == {"mon": 6, "tue": 6}


@pytest.mark.parametrize(("check", "again"), [("local", 0), ("partitioned", 0), ("both", 1)])
def test_checks_that_look_at_rows_or_partitions_one_by_one_need_not_judge_again(
    published: Toy, check: str, again: int
) -> None:
    published.turn("checks", check)
    published.turn("value", "2")
    judged = published.home / "toy" / "judged"

    def another_run_publishes_tuesday() -> None:
        published.turn("day", "tue")
        assert run(published).success
        published.turn("day", "mon")

    before = len(judged.read_text().splitlines())
    assert run(published, meanwhile=another_run_publishes_tuesday).success
    assert days(published) == {"mon": 2, "tue": 2}
    assert len(judged.read_text().splitlines()) == before + 2 + again


def test_the_same_partition_written_on_both_sides_is_held_back_and_made_anew(published: Toy) -> None:
    published.turn("value", "2")
    outcome = run(published, meanwhile=somebody_adds(published, "mon", 4))
    assert not outcome.success
    assert any("day=mon" in reason for reason in outcome.reasons), outcome.reasons
    again = rerun(outcome.run_id, instance=published.instance, module="tests.table_line")
    assert again.success, again
    assert days(published) == {"mon": 2}


def test_results_made_from_a_table_that_moved_are_made_anew(published: Toy) -> None:
    published.turn("value", "2")
    both = (EVENTS, "tables/marts/totals")
    outcome = run(published, selection=both, meanwhile=somebody_adds(published, "tue", 5))
    assert not outcome.success, "the total was made without tuesday"
    assert "tables/marts/events changed on the target too since the run began" in outcome.reasons


def test_a_publication_cut_short_between_merging_and_judging_is_finished_by_a_later_try(
    published: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.turn("value", "2")
    with monkeypatch.context() as without:
        without.setattr(executor, "_judge_of", lambda plan_context, run_id: None)
        outcome = run(published, meanwhile=somebody_adds(published, "tue", 5))
    assert not outcome.success
    assert any("the_sum_is_small has not judged" in reason for reason in outcome.reasons), outcome.reasons
    graph = graph_of(table_line.defs().resolve_asset_graph())
    again = publish_run(outcome.run_id, instance=published.instance, graph=graph, module="tests.table_line")
    assert not again.reasons, again
    assert days(published) == {"mon": 2, "tue": 5}
    assert published.instance.get_run_by_id(outcome.run_id).tags[PUBLISHED_TAG] == again.commit


@pytest.fixture
def impatient(published: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Whenever a publication looks at the clock, a third of its patience is over."""
    looks = itertools.count(step=settings().publishing_patience / 3)
    monkeypatch.setattr(publication, "time", SimpleNamespace(monotonic=lambda: next(looks)))
    published.turn("value", "2")
    return published


def check_held_back_as_busy(toy: Toy, outcome: RunOutcome, moves: int) -> None:
    assert not outcome.success
    assert any("main moved on each of" in reason for reason in outcome.reasons), outcome.reasons
    assert moves > 1, "it tried again"
    assert days(toy)["mon"] == 1
    graph = graph_of(table_line.defs().resolve_asset_graph())
    again = publish_run(outcome.run_id, instance=toy.instance, graph=graph, module="tests.table_line")
    assert not again.reasons, "what was held back can be published once the target is quiet"
    assert days(toy)["mon"] == 2


def test_a_target_that_moves_before_every_merge_holds_the_run_back(
    impatient: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[str] = []

    def gathered_too_early(*arguments: Any, **options: Any) -> Any:
        found = gather(*arguments, **options)
        moves.append(impatient.lake.commit("main", {"notes/n": str(len(moves)).encode()}, message="moves"))
        return found

    gather = publication.gather
    with monkeypatch.context() as busy:
        busy.setattr(publication, "gather", gathered_too_early)
        outcome = run(impatient)
    check_held_back_as_busy(impatient, outcome, len(moves))


def test_a_table_that_moves_whenever_the_merged_one_was_judged_holds_the_run_back(
    impatient: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[str] = []

    def slow_judge(*arguments: Any) -> Any:
        judge = judge_in(*arguments)

        def judged(*state: Any) -> str:
            said = judge(*state)
            moves.append(f"day-{len(moves)}")
            somebody_adds(impatient, moves[-1], 0)()
            return said

        return judged

    judge_in = executor.judge_in
    with monkeypatch.context() as busy:
        busy.setattr(executor, "judge_in", slow_judge)
        outcome = run(impatient, meanwhile=somebody_adds(impatient, "tue", 0))
    check_held_back_as_busy(impatient, outcome, len(moves))
    assert days(impatient).keys() == {"mon", "tue", *moves}
