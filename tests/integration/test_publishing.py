"""A run is a branch: what is on `main`, on asset pages and in the run's record after every kind of end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from dfp_platform.errors import ReadOnlyError
from dfp_platform.publishing.publication import PUBLISHED_TAG
from dfp_platform.resources.dagster_internals import latest_data_versions
from tests import toy_line
from tests.toy_harness import ASSETS, Toy, toy

__all__ = ["toy"]


def when(step: str, act: Callable[[], None]) -> Callable[[Any], None]:
    """Do something once, right after a step has succeeded."""
    todo = [act]

    def progress(event: Any) -> None:
        if event.is_step_success and event.step_key == step and todo:
            todo.pop()()

    return progress


def test_a_successful_run_is_published_in_one_commit(toy: Toy) -> None:
    before = toy.lake.resolve("main")
    outcome = toy.run()
    assert outcome.success, outcome
    head = toy.lake.show("main")
    assert (outcome.published_commit, head.parents[0]) == (head.id, before)
    assert toy.text("c") == "a1>b1>c1"
    assert json.loads(head.metadata["published"]) == list(ASSETS)
    assert toy.pages_equal_main()
    assert set(toy.lake.branches()) == {"main"}, "the branch of a published run is gone"


def test_a_second_equal_run_publishes_nothing_new(toy: Toy) -> None:
    first = toy.run()
    shown = latest_data_versions(toy.instance, ASSETS)
    second = toy.run()
    assert second.success
    assert second.published_commit == first.published_commit == toy.lake.resolve("main")
    again = latest_data_versions(toy.instance, ASSETS)
    assert {asset: version for asset, (version, _) in again.items()} == {a: v for a, (v, _) in shown.items()}


def test_a_failed_check_holds_the_run_back_and_a_rerun_publishes(toy: Toy) -> None:
    toy.turn("b.value", ">BAD")
    held = toy.run()
    assert not held.success
    assert toy.text("a") is None, "nothing of a held-back run is on main"
    assert toy.text("b", held.branch) == "a1>BAD", "the branch stays, to be looked at"
    assert toy.pages_equal_main()
    toy.turn("b.value", ">b2")
    again = toy.rerun(held.run_id, whole=True)
    assert again.success, again
    assert toy.text("c") == "a1>b2>c1"
    assert toy.pages_equal_main()
    assert set(toy.lake.branches()) == {"main"}


def test_a_check_that_passes_at_the_second_try_publishes_what_the_first_run_made(toy: Toy) -> None:
    toy.turn("b.check", "fail")
    held = toy.run()
    assert not held.success
    toy.turn("b.check", "")
    toy.turn("a.value", "never read: a had succeeded")
    again = toy.rerun(held.run_id)
    assert again.success, again
    assert toy.text("c") == "a1>b1>c1"
    assert toy.pages_equal_main()


def test_a_failed_step_leaves_main_and_pages_as_they_were(toy: Toy) -> None:
    published = toy.run()
    toy.turn("a.value", "a2")
    toy.turn("c", "fail")
    held = toy.run()
    assert not held.success
    assert held.reasons
    assert (toy.text("a"), toy.lake.resolve("main")) == ("a1", published.published_commit)
    assert toy.pages_equal_main()
    toy.turn("c", "")
    again = toy.rerun(held.run_id)
    assert again.success, again
    assert toy.text("c") == "a2>b1>c1"
    assert toy.pages_equal_main()


def test_a_step_that_succeeds_at_its_retry_is_published(toy: Toy) -> None:
    toy.turn("c", "fail once")
    outcome = toy.run()
    assert outcome.success
    assert toy.text("c") == "a1>b1>c1"


def test_a_conflict_holds_the_run_back_and_its_rerun_makes_the_result_anew(toy: Toy) -> None:
    toy.run()
    toy.turn("a.value", "ours")

    def somebody_else() -> None:
        toy.lake.commit("main", {"reports/a/report.json": b"theirs"}, message="by hand")

    held = toy.run(progress=when("reports__b", somebody_else))
    assert not held.success
    assert any("reports/a changed on the target too" in reason for reason in held.reasons), held
    assert (toy.text("a"), toy.text("b")) == ("theirs", "a1>b1")
    assert toy.pages_equal_main()
    again = toy.rerun(held.run_id)
    assert again.success, again
    assert (toy.text("a"), toy.text("c")) == ("ours", "ours>b1>c1")
    assert toy.pages_equal_main()


def test_an_input_that_moved_makes_its_readers_run_again(toy: Toy) -> None:
    toy.run()
    toy.turn("c.value", ">c2")

    def somebody_else() -> None:
        toy.lake.commit("main", {"reports/b/report.json": b"newer b"}, message="by hand")

    held = toy.run(selection=["reports/c"], progress=when("reports__c", somebody_else))
    assert not held.success
    assert any("which moved on the target" in reason for reason in held.reasons), held
    again = toy.rerun(held.run_id)
    assert again.success, again
    assert toy.text("c") == "newer b>c2"


def test_two_runs_of_different_assets_do_not_disturb_each_other(toy: Toy) -> None:
    toy.run()
    toy.turn("c.value", ">c2")

    def somebody_else() -> None:
        toy.lake.commit("main", {"elsewhere/x": b"1"}, message="by hand")

    assert toy.run(selection=["reports/c"], progress=when("reports__c", somebody_else)).success
    assert toy.lake.exists("main", "elsewhere/x")
    assert toy.text("c") == "a1>b1>c2"


def test_a_published_run_can_be_executed_again(toy: Toy) -> None:
    first = toy.run()
    toy.turn("a.value", "a2")
    again = toy.rerun(first.run_id, whole=True)
    assert again.success
    assert toy.text("c") == "a2>b1>c1"


def test_a_check_left_out_of_the_selection_still_holds_back(toy: Toy) -> None:
    outcome = toy.run(job="without_checks")
    assert not outcome.success
    assert any("has not judged" in reason for reason in outcome.reasons), outcome


def test_a_replay_of_an_old_ref_publishes_nothing(toy: Toy) -> None:
    first = toy.run()
    toy.turn("a.value", "a2")
    second = toy.run()
    toy.turn("c.value", ">replayed")
    replay = toy.run(selection=["reports/c"], base=str(first.published_commit))
    assert replay.success, replay
    assert toy.lake.resolve("main") == second.published_commit
    assert toy.text("c", replay.branch) == "a1>b1>replayed"
    assert toy.pages_equal_main()


def test_a_run_can_publish_to_another_branch(toy: Toy) -> None:
    toy.run()
    toy.lake.create_branch("try", "main")
    toy.turn("a.value", "a2")
    outcome = toy.run(branch="try")
    assert outcome.success
    assert (toy.text("a"), toy.text("a", "try")) == ("a1", "a2")
    assert toy.pages_equal_main(), "an asset has one page, and it speaks of the configured branch"


def test_a_run_held_back_by_a_conflict_is_published_once_the_target_agrees(toy: Toy) -> None:
    toy.run()
    toy.turn("a.value", "ours")
    base = toy.lake.resolve("main")

    def somebody_else() -> None:
        toy.lake.commit("main", {"reports/a/report.json": b"theirs"}, message="by hand")

    held = toy.run(progress=when("reports__b", somebody_else))
    assert toy.publish(held.run_id).reasons, "still a conflict"
    toy.lake.revert("main", toy.lake.resolve("main"))
    outcome = toy.publish(held.run_id)
    assert not outcome.reasons, outcome
    assert toy.lake.resolve("main") == outcome.commit != base
    assert toy.text("c") == "ours>b1>c1"
    assert toy.pages_equal_main()


def test_publishing_again_says_where_it_was_published(toy: Toy) -> None:
    done = toy.run()
    assert toy.publish(done.run_id).commit == done.published_commit
    run = toy.instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.tags[PUBLISHED_TAG] == done.published_commit


def test_materialize_without_the_executor_writes_nothing(toy: Toy) -> None:
    definitions = toy_line.defs()
    with pytest.raises(ReadOnlyError):
        dg.materialize([toy_line.a], resources=dict(definitions.resources or {}), instance=toy.instance)
    assert toy.text("a") is None


def test_a_run_cancelled_while_it_works_is_not_published(toy: Toy) -> None:
    def cancel() -> None:
        run = toy.instance.get_runs(limit=1)[0]
        toy.instance.report_run_canceled(run)

    cancelled = toy.run(progress=when("reports__b", cancel))
    assert not cancelled.success
    assert toy.text("a") is None
    assert toy.pages_equal_main()
    assert any("CANCELED" in reason for reason in cancelled.reasons), cancelled
