"""What `dagster_judging` needs of the pinned Dagster: checks alone can be run, on a commit that no target follows."""

from __future__ import annotations

from dfp_platform.publishing.launch import judge_in, run_job
from dfp_platform.resources.dagster_internals import ASSET_JOB, evaluations
from dfp_platform.resources.dagster_judging import repository_in
from tests.toy_harness import Toy, toy

__all__ = ["toy"]


def test_only_the_named_checks_run_and_nothing_is_materialized(toy: Toy) -> None:
    assert run_job(job=ASSET_JOB, instance=toy.instance, module="tests.toy_line").success
    judge = judge_in(repository_in("tests.toy_line"), toy.instance, "the run it is for")
    toy.turn("a.value", "never read")
    run_id = judge(toy.lake.resolve("main"), [("reports/a", "a_is_good"), ("reports/c", "c_is_good")])
    assert {(said.asset, said.check, said.passed) for said in evaluations(toy.instance, run_id)} == {
        ("reports/a", "a_is_good", True),
        ("reports/c", "c_is_good", True),
    }
    run = toy.instance.get_run_by_id(run_id)
    assert run.tags["lake/judges"] == "the run it is for"
    assert toy.text("a") == "a1"


def test_a_judgement_reads_the_commit_it_was_asked_about_not_main(toy: Toy) -> None:
    assert run_job(job=ASSET_JOB, instance=toy.instance, module="tests.toy_line").success
    toy.lake.create_branch("other")
    bad = toy.lake.commit("other", {"reports/a/report.json": b"BAD"}, message="by hand")
    judge = judge_in(repository_in("tests.toy_line"), toy.instance, "the run it is for")
    [said] = evaluations(toy.instance, judge(bad, [("reports/a", "a_is_good")]))
    assert not said.passed
