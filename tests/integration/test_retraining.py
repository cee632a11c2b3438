"""The sensor over a real lake and instance: a tick, the run it asks for, and what stands on the branch then."""

from __future__ import annotations

import pytest

from dfp_platform.lake.ownership import read_ownership
from dfp_platform.publishing.branching import BASE_TAG, BRANCH_TAG
from dfp_platform.settings import settings
from tests.toy_harness import Toy, toy
from tests.toy_retraining import Ticking, all_by_hand, by_hand, defs

__all__ = ["toy"]


@pytest.fixture
def ticking(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Ticking:
    monkeypatch.setenv("DFP_RETRAINING_QUIET_SECONDS", "60")
    settings.cache_clear()
    return Ticking(toy)


def test_a_commit_of_anyone_that_changes_an_input_is_trained_from_and_published(toy: Toy, ticking: Ticking) -> None:
    assert toy.run().success
    assert "made from what stands there" in ticking.tick().skip_message, "the run trained on what it made"
    seen = by_hand(toy.lake, "b", "by spark")
    assert "60 s" in ticking.tick(seconds=30).skip_message
    [request] = ticking.tick(seconds=60).run_requests
    assert (request.job_name, request.tags[BRANCH_TAG], request.tags[BASE_TAG]) == ("train", "main", seen)
    by_hand(toy.lake, "elsewhere", "an unrelated object that came after the tick")
    done = ticking.run(request)
    assert done.success, done
    assert toy.text("c") == "by spark>c1"
    owner = read_ownership(toy.lake, toy.lake.show("main").parents[1])
    assert owner is not None
    assert (owner.base, owner.target) == (seen, "main"), "it read the commit that the tick saw"
    assert "made from what stands there" in ticking.tick(seconds=600).skip_message, "what it published starts nothing"


def test_raw_rows_that_nothing_was_made_from_yet_have_tables_made_first(toy: Toy, ticking: Ticking) -> None:
    all_by_hand(toy.lake)
    by_hand(toy.lake, "a", "more apps")
    ticking.tick()
    [request] = ticking.tick(seconds=60).run_requests
    assert request.job_name == "whole"
    assert [key.to_user_string() for key in request.asset_selection] == ["reports/b", "reports/c"]
    assert ticking.run(request).success
    assert (toy.text("a"), toy.text("c")) == ("more apps", "more apps>b1>c1")
    assert not ticking.tick(seconds=600).run_requests, "tables that its own run made start nothing"


def test_a_proposal_waits_on_its_branch_until_somebody_publishes_it(
    toy: Toy, ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFP_RETRAINING", "propose")
    settings.cache_clear()
    all_by_hand(toy.lake)
    before = by_hand(toy.lake, "b", "by hand")
    ticking.tick()
    [request] = ticking.tick(seconds=60).run_requests
    proposed = ticking.run(request)
    assert proposed.success, proposed
    assert toy.lake.resolve("main") == before
    assert toy.pages_equal_main()
    assert toy.text("c", proposed.branch) == "by hand>c1"
    assert "dfp publish" in proposed.reasons[0]
    assert "asked for at these inputs already" in ticking.tick(seconds=600).skip_message
    assert toy.publish(proposed.run_id).changed
    assert toy.text("c") == "by hand>c1"
    assert set(toy.lake.branches()) == {"main"}
    assert "made from what stands there" in ticking.tick().skip_message


def test_a_retraining_that_failed_is_run_again_by_hand_and_never_asked_for_again(toy: Toy, ticking: Ticking) -> None:
    all_by_hand(toy.lake)
    by_hand(toy.lake, "b", "by hand")
    ticking.tick()
    toy.turn("c", "fail")
    [request] = ticking.tick(seconds=60).run_requests
    failed = ticking.run(request)
    assert not failed.success
    assert f"run {failed.run_id} is FAILURE" in ticking.tick(seconds=86_400).skip_message
    by_hand(toy.lake, "elsewhere", "a commit that changes no input")
    assert f"run {failed.run_id} is FAILURE" in ticking.tick(seconds=86_400).skip_message
    toy.turn("c", "")
    assert ticking.rerun(failed.run_id).success
    assert toy.text("c") == "by hand>c1"
    assert "made from what stands there" in ticking.tick().skip_message


def test_a_lake_that_does_not_answer_is_a_skipped_tick_that_says_so(
    toy: Toy, ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_by_hand(toy.lake)
    by_hand(toy.lake, "b", "by hand")
    ticking.tick()
    remembered = ticking.cursor
    monkeypatch.setenv("DFP_LAKE", "lakefs://apps")
    for name in ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"LAKEFS_{name}", "http://127.0.0.1:9" if name == "ENDPOINT_URL" else "none")
    settings.cache_clear()
    skipped = ticking.tick(seconds=60)
    assert "the lake cannot be read now" in skipped.skip_message
    assert ticking.cursor == remembered
    monkeypatch.delenv("DFP_LAKE")
    settings.cache_clear()
    assert len(ticking.tick().run_requests) == 1, "what was due meanwhile is due still"


def test_branches_are_followed_by_pattern_and_forgotten_when_they_go(
    toy: Toy, ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFP_RETRAINING_BRANCHES", "main, feature-*")
    settings.cache_clear()
    all_by_hand(toy.lake)
    for branch in ("feature-x", "other"):
        toy.lake.create_branch(branch)
        by_hand(toy.lake, "b", f"on {branch}", branch=branch)
    ticking.tick()
    [request] = ticking.tick(seconds=60).run_requests
    assert (request.tags[BRANCH_TAG], request.tags["lake/writes-models"]) == ("feature-x", "feature-x")
    assert ticking.run(request).success
    assert (toy.text("c"), toy.text("c", "feature-x")) == ("c0", "on feature-x>c1")
    assert "feature-x" in ticking.cursor
    toy.lake.delete_branch("feature-x")
    ticking.tick()
    assert "feature-x" not in ticking.cursor


@pytest.mark.parametrize(("named", "status"), [("", "STOPPED"), ("retrain", "RUNNING")])
def test_nothing_is_trained_by_itself_unless_the_settings_say_so(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, named: str, status: str
) -> None:
    monkeypatch.setenv("DFP_AUTOSTART", named)
    settings.cache_clear()
    assert defs().get_repository_def().get_sensor_def("retrain").default_status.value == status
