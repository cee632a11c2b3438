"""Second tries and mending: the job `publish`, the sensor `reconcile_runs`, and what a run cut short leaves to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from dfp_platform.catalog import content_at
from dfp_platform.errors import FencedError, HeldBackError
from dfp_platform.lake.ownership import read_ownership, run_branch
from dfp_platform.publishing import executor, launch, publication
from dfp_platform.publishing.launch import RunOutcome, run_job
from dfp_platform.publishing.promotions import settle
from dfp_platform.publishing.publication import PUBLISHED_TAG, Publisher
from dfp_platform.publishing.reconciler import Reconciled, reconcile
from dfp_platform.resources.dagster_internals import failed_steps
from dfp_platform.resources.verdicts import read_verdict
from dfp_platform.sensors.reconciling import reconcile_runs
from tests import toy_line
from tests.toy_harness import Toy, toy

__all__ = ["toy"]


# its step generators yield once more when they are closed, which Python reports where nobody can catch it
cut_short = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def mend(toy: Toy) -> Reconciled:
    return reconcile(Publisher(toy.lake, toy.instance, toy.graph, settle))


def publish_job(toy: Toy, run_id: str) -> RunOutcome:
    """The job `publish`, as the UI launches it."""
    config = {"ops": {"publish_held_run": {"config": {"run_id": run_id}}}}
    return run_job(job="publish", run_config=config, instance=toy.instance, module="tests.toy_location")


def tick(toy: Toy) -> str:
    """One tick of the sensor; what it says."""
    repository = toy_line.defs().get_repository_def()
    context = dg.build_sensor_context(instance=toy.instance, repository_def=repository)
    skipped = reconcile_runs(context)
    assert isinstance(skipped, dg.SkipReason)
    return str(skipped.skip_message)


def cancel_after(toy: Toy, step: str) -> Callable[[Any], None]:
    def progress(event: Any) -> None:
        if event.is_step_success and event.step_key == step:
            raise KeyboardInterrupt

    return progress


def cut_short_after(toy: Toy, step: str) -> str:
    """A run that was interrupted right after a step; its id."""
    with pytest.raises(KeyboardInterrupt):
        toy.run(progress=cancel_after(toy, step))
    run = toy.instance.get_runs(limit=1)[0]
    if not run.is_finished:
        toy.instance.report_run_canceled(run)
    return run.run_id


def conflict(toy: Toy) -> RunOutcome:
    """A run that was held back because somebody else changed reports/a meanwhile."""
    toy.run()
    return toy.run_beside_somebody()


def broken(*_: Any) -> None:
    raise RuntimeError("MLflow does not answer")


# -- the job `publish` ------------------------------------------------------------------------------------------


def test_the_job_publish_fails_with_the_reasons_until_they_are_gone(toy: Toy) -> None:
    held = conflict(toy)
    still = publish_job(toy, held.run_id)
    assert not still.success
    (message,) = still.failed.values()
    error = next(iter(failed_records(toy, still.run_id)))
    assert "reports/a changed on the target too" in message + error
    toy.lake.revert("main", toy.lake.resolve("main"))
    done = publish_job(toy, held.run_id)
    assert done.success, done
    assert toy.text("c") == "ours>b1>c1"
    assert toy.pages_equal_main()
    again = publish_job(toy, held.run_id)
    assert again.success, "once published, it says where"
    assert sum("published" in commit.metadata for commit in toy.lake.log("main")) == 2


def failed_records(toy: Toy, run_id: str) -> list[str]:
    """Everything the failures of a run say, causes included."""
    records = toy.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    errors = [record.event_log_entry.dagster_event.step_failure_data.error for record in records]  # type: ignore
    return [error.to_string() for error in errors if error is not None]


def test_the_job_publish_of_a_run_nobody_knows_says_so(toy: Toy) -> None:
    toy.run()
    outcome = publish_job(toy, "no-such-run")
    assert not outcome.success
    assert "no run no-such-run" in failed_records(toy, outcome.run_id)[0]


def test_the_job_publish_raises_an_error_that_names_run_branch_and_reasons(toy: Toy) -> None:
    toy.turn("b.value", ">BAD")
    held = toy.run()
    said = failed_records(toy, publish_job(toy, held.run_id).run_id)[0]
    assert HeldBackError.__name__ in said
    assert held.branch in said
    assert "reports__b" in said


# -- the sensor -------------------------------------------------------------------------------------------------


def test_a_tick_with_nothing_to_mend_says_so(toy: Toy) -> None:
    toy.run()
    assert tick(toy) == "nothing to mend"


@cut_short
def test_a_tick_seals_the_branch_of_a_run_that_died(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publication.Publisher, "hold", lambda *args, **options: None)  # it died before it could
        run_id = cut_short_after(toy, "reports__b")
    assert run_id in tick(toy)
    owner = read_ownership(toy.lake, run_branch(run_id))
    assert owner is not None
    assert (owner.state, owner.complete) == ("held", False)
    assert tick(toy) == "nothing to mend"
    assert toy.pages_equal_main()


def test_a_tick_sweeps_the_ephemeral_branches_of_ended_runs_and_leaves_others(toy: Toy) -> None:
    done = toy.run()
    toy.lake.create_branch(f"tx-{done.run_id}-0a0b")
    toy.lake.create_branch("tx-0a0b0c")
    assert "0a0b" in tick(toy)
    assert set(toy.lake.branches()) == {"main", "tx-0a0b0c"}


# -- half of a run is never published ---------------------------------------------------------------------------


@cut_short
def test_a_run_that_was_interrupted_is_not_published_by_a_later_try(toy: Toy) -> None:
    """It failed no step, and a and b have passed their checks; c was never made."""
    published = toy.run()
    toy.turn("a.value", "a2")
    run_id = cut_short_after(toy, "reports__b_b_is_good")
    reasons = [reason.kind for reason in toy.publish(run_id).reasons]
    assert set(reasons) == {"step"}
    assert toy.lake.resolve("main") == published.published_commit


@cut_short
def test_a_run_that_was_killed_is_not_published_by_a_later_try(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publication.Publisher, "hold", lambda *args, **options: None)
        run_id = cut_short_after(toy, "reports__b_b_is_good")
    assert toy.publish(run_id).reasons
    assert toy.text("a") is None
    assert toy.publish(run_id).reasons, "nor by another"


def test_a_later_try_that_is_killed_keeps_what_the_hold_back_recorded(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = conflict(toy)
    before = read_ownership(toy.lake, held.branch)
    with monkeypatch.context() as patch:
        patch.setattr(publication.Publisher, "_decide", broken)
        with pytest.raises(RuntimeError):
            toy.publish(held.run_id)
    failures = failed_steps(toy.instance, held.run_id)
    mend(toy)
    assert read_ownership(toy.lake, held.branch) == before
    assert failed_steps(toy.instance, held.run_id) == failures
    again = toy.rerun(held.run_id)
    assert again.success, again
    assert toy.text("c") == "ours>b1>c1"


# -- publications that broke off --------------------------------------------------------------------------------


def test_a_publication_that_could_not_be_tried_is_only_published_by_its_rerun(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publication.Publisher, "_merge", broken)
        held = toy.run()
    assert not held.success
    assert toy.text("a") is None
    toy.turn("c.value", ">never made")
    again = toy.rerun(held.run_id)
    assert again.success, again
    assert toy.text("c") == "a1>b1>c1"


def test_a_promotion_that_failed_is_done_by_the_reconciler(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(executor, "settle", broken)
        broke_off = toy.run()
    assert not broke_off.success
    assert "MLflow does not answer" in broke_off.reasons[0]
    assert toy.text("c") == "a1>b1>c1", "the merge had happened"
    publisher = Publisher(toy.lake, toy.instance, toy.graph, lambda lake, target: promoted.append(target))
    assert reconcile(publisher).finished == (broke_off.run_id,)
    assert promoted == ["main"]
    run = toy.instance.get_run_by_id(broke_off.run_id)
    assert run is not None
    assert run.tags[PUBLISHED_TAG] == toy.lake.resolve("main")
    assert set(toy.lake.branches()) == {"main"}
    assert reconcile(publisher) == Reconciled()


def test_a_promotion_that_goes_on_failing_keeps_no_other_run_from_beginning(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(executor, "settle", broken)
        waits = toy.run()
        mended = reconcile(Publisher(toy.lake, toy.instance, toy.graph, broken))
        toy.turn("c.value", ">c2")
        other = toy.run(selection=["reports/c"])
    assert (mended.waiting, mended.finished) == ((waits.run_id,), ())
    assert toy.text("c") == "a1>b1>c2", "it began, worked and was merged"
    assert "MLflow does not answer" in other.reasons[0]


def test_a_run_whose_target_is_gone_does_not_stop_others(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.lake.create_branch("try")
    with monkeypatch.context() as patch:
        patch.setattr(publication.Publisher, "hold", lambda *args, **options: None)
        toy.turn("c", "fail")
        assert not toy.run(branch="try").success
    toy.lake.delete_branch("try")
    toy.turn("c", "")
    other = toy.run()
    assert other.success, other


def test_a_replay_stays_a_success_when_the_next_run_mends(toy: Toy) -> None:
    first = toy.run()
    replay = toy.run(base=str(first.published_commit))
    assert replay.success
    assert mend(toy) == Reconciled()
    assert failed_steps(toy.instance, replay.run_id) == {}
    assert toy.text("c", replay.branch) == "a1>b1>c1"


# -- chains of re-executions ------------------------------------------------------------------------------------


def test_a_rerun_of_a_rerun_that_died_at_its_start_carries_on_what_the_first_made(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.turn("a.value", "a2")
    toy.turn("c", "fail")
    first = toy.run()
    with monkeypatch.context() as patch:
        patch.setattr(executor, "begin_run", broken)
        died = toy.rerun(first.run_id)
    assert not died.success
    toy.turn("c", "")
    toy.turn("a.value", "never made again")
    again = toy.rerun(died.run_id)
    assert again.success, again
    assert toy.text("c") == "a2>b1>c1"
    assert set(toy.lake.branches()) == {"main"}


def test_a_parent_whose_branch_was_taken_over_is_not_published_beside_its_child(toy: Toy) -> None:
    held = conflict(toy)
    toy.turn("b", "fail")
    child = toy.rerun(held.run_id)
    assert not child.success
    with pytest.raises(FencedError, match="re-execution"):
        toy.publish(held.run_id)
    toy.turn("b", "")
    assert toy.rerun(child.run_id).success
    assert set(toy.lake.branches()) == {"main"}, "published with all it descends from"


def test_a_verdict_of_a_parent_is_not_passed_on_to_what_a_child_made_anew(toy: Toy) -> None:
    """The second run judges a without making it; the third makes it again and leaves its check out."""
    toy.turn("a.check", "fail")
    first = toy.run()
    toy.turn("a.check", "")
    toy.turn("b", "fail")
    second = toy.rerun(first.run_id)
    assert not second.success
    judged = read_verdict(toy.lake, second.branch, "reports/a", "a_is_good")
    assert judged is not None
    assert judged.content == content_at(toy.lake, second.branch, "reports/a")
    toy.turn("a.value", "BAD")
    third = only_step(toy, "reports__a", parent=second.run_id)
    assert not third.success, "a was never judged as it is now"
    assert toy.text("a") is None
    assert any("has not judged" in reason for reason in third.reasons), third


def only_step(toy: Toy, step: str, *, parent: str) -> RunOutcome:
    """Re-execute one chosen step of a run, as the UI offers it."""
    from dfp_platform.resources.dagster_internals import ASSET_JOB
    from dfp_platform.resources.dagster_launching import reconstructable_job

    options = dg.ReexecutionOptions(parent, step_selection=[step])
    recon = reconstructable_job("tests.toy_line", ASSET_JOB)
    with dg.execute_job(recon, instance=toy.instance, reexecution_options=options) as result:
        return launch.outcome_of(toy.instance, result.run_id)
