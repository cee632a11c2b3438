"""What is published of a part of the line, on whose verdict, and what pages say of it, taken back or carried on."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import dagster as dg
import pytest

from dfp_platform.catalog import content_at
from dfp_platform.cli import code_location
from dfp_platform.cli.lake import revert
from dfp_platform.publishing import publication
from dfp_platform.publishing.promotions import PROMOTIONS
from dfp_platform.resources.dagster_internals import latest_inputs
from dfp_platform.resources.verdicts import read_verdict, verdict_path
from tests.toy_harness import ASSETS, Toy, toy

__all__ = ["toy"]


def broken(*_: Any) -> None:
    raise RuntimeError("the lake does not answer")


def test_a_part_of_the_line_is_published_alone_and_the_rest_stays(toy: Toy) -> None:
    toy.run()
    toy.turn("b.value", ">b2")
    part = toy.run(selection=["reports/b"])
    assert part.success, part
    assert (toy.text("b"), toy.text("c")) == ("a1>b2", "a1>b1>c1")
    assert json.loads(toy.lake.show("main").metadata["published"]) == ["reports/b"]
    assert toy.pages_equal_main()


def test_a_child_of_exactly_the_recorded_steps_only_publishes(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publication.Publisher, "_merge", broken)
        held = toy.run()
    again = toy.rerun(held.run_id)
    assert again.success
    executed = toy.instance.get_records_for_run(again.run_id, of_type=dg.DagsterEventType.STEP_START).records
    assert executed == [], "nothing was made again"


def test_a_verdict_counts_for_its_content_in_whatever_run_it_was_given(toy: Toy) -> None:
    """Main holds a verdict on a1: a run that leaves a's check out may publish that content and no other."""
    toy.run(selection=["reports/a"])
    toy.turn("a.value", "a2")
    unjudged = toy.run(job="without_checks")
    assert any("has not judged" in reason for reason in unjudged.reasons), unjudged
    toy.lake.commit("main", {"reports/a/report.json": None}, message="removed by hand")
    toy.turn("a.value", "a1")
    outcome = toy.run(job="without_checks")
    assert outcome.success, outcome
    assert toy.text("a") == "a1"


def test_verdicts_that_differ_on_equal_content_are_no_conflict(toy: Toy) -> None:
    """Both sides added `checks/reports/a/a_is_good`, with another limit: the merge keeps one, and says nothing."""
    path = verdict_path("reports/a", "a_is_good")

    def somebody_else(event: Any) -> None:
        if event.is_step_success and event.step_key == "reports__a":
            branch = next(name for name in toy.lake.branches() if name != "main")
            content = content_at(toy.lake, branch, "reports/a")
            theirs = {"asset": "reports/a", "check": "a_is_good", "content": content, "passed": True, "limit": 5.0}
            changes = {path: json.dumps(theirs).encode(), "reports/a/report.json": b"a1"}
            toy.lake.commit("main", changes, message="by hand")

    outcome = toy.run(progress=somebody_else)
    assert outcome.success, outcome
    verdict = read_verdict(toy.lake, "main", "reports/a", "a_is_good")
    assert verdict is not None
    assert verdict.content == content_at(toy.lake, "main", "reports/a")


@pytest.mark.parametrize("named_by", ["run", "commit"])
def test_a_reverted_publication_is_taken_back_with_its_promotions_and_pages(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    promoted: list[str | None] = []
    monkeypatch.setitem(PROMOTIONS, "of the test", lambda lake, target, at: promoted.append(toy.text("c", target)))
    monkeypatch.setattr(code_location, "graph", lambda: toy.graph)
    monkeypatch.setattr(code_location, "instance", lambda: nullcontext(toy.instance))
    toy.run()
    toy.turn("a.value", "a2")
    second = toy.run()
    revert(second.run_id if named_by == "run" else str(second.published_commit))
    assert promoted == ["a1>b1>c1", "a2>b1>c1", "a1>b1>c1"]
    assert toy.text("c") == "a1>b1>c1"
    assert toy.pages_equal_main()
    assert toy.publish(second.run_id).commit == second.published_commit, "it was published, and taken back"
    third = toy.run()
    assert third.success, third
    assert toy.text("c") == "a2>b1>c1", "what was taken back can be made again"


def test_pages_say_what_a_reexecution_really_read(toy: Toy) -> None:
    """c is made from a b that only its branch holds, while b's page was told what main holds."""
    toy.run()
    toy.turn("a.value", "a2")
    toy.turn("b.check", "fail")
    held = toy.run()
    toy.turn("b.check", "")
    assert toy.rerun(held.run_id).success
    assert toy.text("c") == "a2>b1>c1"
    shown = latest_inputs(toy.instance, ASSETS)
    assert shown["reports/c"] == {"reports/b": content_at(toy.lake, "main", "reports/b")}
    assert shown["reports/b"] == {"reports/a": content_at(toy.lake, "main", "reports/a")}
