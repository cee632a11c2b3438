"""The gate is one pure function: what publishes, what holds back, and what no evidence can talk it into."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfp_platform.publishing.gate import Evidence, decide
from dfp_platform.schemas import Verdict

RUN = "run-of-the-test"
ASSET = "tables/marts/fct_training_dataset"


def verdict(
    asset: str = ASSET, check: str = "not_null", content: str = "c1", *, passed: bool = True, **more: float
) -> Verdict:
    return Verdict(asset, check, content, passed, **more)


def judged(*verdicts: Verdict, **changes: object) -> Evidence:
    """A run that changed one asset with one check, as good as it can be, but for `changes`."""
    evidence = Evidence(
        run_id=RUN,
        status="STARTED",
        owner=RUN,
        changed={ASSET: "c1"},
        required={ASSET: ("not_null",)},
        verdicts={(v.asset, v.check): v for v in verdicts or (verdict(),)},
        dependencies={ASSET: ("raw/x",)},
    )
    return replace(evidence, **changes)  # pyrefly: ignore


CASES = {
    "all is well": (judged(), []),
    "nothing changed": (judged(changed={}, verdicts={}), []),
    "the run was cancelled": (judged(status="CANCELED"), ["status"]),
    "another run owns the branch": (judged(owner="another"), ["fence"]),
    "nobody owns the branch": (judged(owner=None), ["fence"]),
    "a step failed": (judged(failed_steps=("dbt_build",)), ["step"]),
    "a path belongs to nobody": (judged(unowned=("somewhere/else",)), ["unowned"]),
    "a check never ran": (judged(verdicts={}), ["check"]),
    "a check failed": (judged(verdict(passed=False)), ["check"]),
    "a check passed other content": (judged(verdict(content="c0")), ["check"]),
    "a check failed other content": (judged(verdict(content="c0", passed=False)), ["check"]),
    "another check passed": (judged(verdict(check="unique")), ["check"]),
    "the check of another asset passed": (judged(verdict(asset="raw/x")), ["check"]),
    "a check nobody requires failed": (judged(verdict(), verdict(check="warned", passed=False)), []),
    "an asset without checks": (judged(required={}, verdicts={}), []),
    "a removed asset needs no verdict": (judged(changed={ASSET: ""}, verdicts={}), []),
    "an unchanged asset needs no verdict": (judged(required={ASSET: ("not_null",), "b": ("x",)}), []),
    "the target has another content": (judged(moved={ASSET: "c2"}, overlap=(ASSET,)), ["conflict"]),
    "the target has equal content": (judged(moved={ASSET: "c1"}), []),
    "an input moved": (judged(moved={"raw/x": "r2"}), ["moved-input"]),
    "an input moved that the run made too": (
        judged(changed={ASSET: "c1", "raw/x": "r2"}, moved={"raw/x": "r2"}),
        [],
    ),
    "something else moved": (judged(moved={"raw/y": "r2"}), []),
    "a removed asset conflicts": (judged(changed={ASSET: ""}, moved={ASSET: "c2"}, overlap=(ASSET,)), ["conflict"]),
    "two checks, one missing": (judged(required={ASSET: ("not_null", "unique")}), ["check"]),
    "everything at once": (
        judged(status="FAILURE", owner=None, verdicts={}, failed_steps=("s",), unowned=("u",), overlap=(ASSET,)),
        ["status", "fence", "step", "unowned", "check", "conflict"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_gate_decides(case: str) -> None:
    evidence, expected = CASES[case]
    assert [reason.kind for reason in decide(evidence)] == expected


def test_a_later_try_publishes_in_the_status_its_run_ended_with() -> None:
    ended = judged(status="FAILURE")
    assert decide(ended, allowed_status="FAILURE") == ()
    assert [r.kind for r in decide(ended, allowed_status="CANCELED")] == ["status"]
    assert [r.kind for r in decide(judged(), allowed_status="FAILURE")] == ["status"]


def test_a_reason_names_asset_check_figure_and_limit() -> None:
    (reason,) = decide(judged(verdict(passed=False, figure=0.25, limit=0.1)))
    assert reason.asset == ASSET
    assert reason.sentence == f"check not_null of {ASSET} failed: 0.25 against 0.1"


def test_a_reason_without_a_figure_names_none() -> None:
    (reason,) = decide(judged(verdict(passed=False)))
    assert reason.sentence == f"check not_null of {ASSET} failed"


def test_a_zero_is_a_figure() -> None:
    (reason,) = decide(judged(verdict(passed=False, figure=0.0, limit=1.0)))
    assert reason.sentence.endswith("failed: 0 against 1.0")


# -- what holds for every evidence ------------------------------------------------------------------------------

assets = st.sampled_from(["a", "b", "c", "d"])
checks = st.sampled_from(["x", "y"])
contents = st.sampled_from(["", "1", "2"])
statuses = st.sampled_from(["STARTED", "SUCCESS", "FAILURE", "CANCELED", "CANCELING", "UNKNOWN"])


@st.composite
def verdicts(draw: st.DrawFn) -> dict[tuple[str, str], Verdict]:
    keys = draw(st.sets(st.tuples(assets, checks), max_size=6))
    return {key: Verdict(*key, draw(contents), draw(st.booleans())) for key in sorted(keys)}


evidences = st.builds(
    Evidence,
    run_id=st.just(RUN),
    status=statuses,
    owner=st.sampled_from([RUN, RUN, "another", None]),
    changed=st.dictionaries(assets, contents, max_size=3),
    failed_steps=st.lists(assets, max_size=1).map(tuple),
    unowned=st.lists(st.just("nobody/s"), max_size=1).map(tuple),
    required=st.dictionaries(assets, st.lists(checks, unique=True).map(tuple)),
    verdicts=verdicts(),
    moved=st.dictionaries(assets, contents, max_size=2),
    dependencies=st.dictionaries(assets, st.lists(assets, max_size=2, unique=True).map(tuple)),
    overlap=st.lists(assets, max_size=1).map(tuple),
)
good = evidences.map(
    lambda e: replace(
        e,
        status="STARTED",
        owner=RUN,
        failed_steps=(),
        unowned=(),
        moved={},
        overlap=(),
        verdicts={
            (asset, check): Verdict(asset, check, content, True)
            for asset, content in e.changed.items()
            for check in e.required.get(asset, ())
        },
    )
)


@given(evidences, assets, checks, contents)
def test_one_more_failed_verdict_never_publishes_what_was_held_back(
    evidence: Evidence, asset: str, check: str, content: str
) -> None:
    failed = {**evidence.verdicts, (asset, check): Verdict(asset, check, content, False)}
    if decide(evidence):
        assert decide(replace(evidence, verdicts=failed))


@given(evidences)
def test_what_is_published_has_a_passing_verdict_of_every_check_on_exactly_that_content(evidence: Evidence) -> None:
    if decide(evidence):
        return
    for asset, content in evidence.changed.items():
        for check in evidence.required.get(asset, ()) if content else ():
            found = evidence.verdicts[asset, check]
            assert (found.passed, found.content) == (True, content)


@given(good)
def test_a_good_run_is_published(evidence: Evidence) -> None:
    assert decide(evidence) == ()


@given(good, st.data())
def test_a_good_run_is_held_back_by_any_missing_failed_or_other_verdict(
    evidence: Evidence, data: st.DataObject
) -> None:
    needed = [key for key in evidence.verdicts if evidence.changed[key[0]]]
    if not needed:
        return
    key = data.draw(st.sampled_from(needed))
    found = evidence.verdicts[key]
    wrong = data.draw(st.sampled_from([None, replace(found, passed=False), replace(found, content="other")]))
    spoiled = {k: v for k, v in evidence.verdicts.items() if k != key} | ({key: wrong} if wrong else {})
    (reason,) = decide(replace(evidence, verdicts=spoiled))
    assert (reason.kind, reason.asset) == ("check", key[0])


@given(evidences, statuses.filter(lambda s: s != "STARTED"))
def test_a_run_that_is_not_started_never_publishes(evidence: Evidence, status: str) -> None:
    assert "status" in {reason.kind for reason in decide(replace(evidence, status=status))}


@given(evidences, st.sampled_from([None, "another"]))
def test_a_run_that_lost_its_branch_never_publishes(evidence: Evidence, owner: str | None) -> None:
    assert "fence" in {reason.kind for reason in decide(replace(evidence, owner=owner))}


@given(evidences)
def test_a_failed_step_a_path_of_nobody_and_an_overlap_each_hold_back(evidence: Evidence) -> None:
    kinds = {reason.kind for reason in decide(evidence)}
    assert ("step" in kinds) == bool(evidence.failed_steps)
    assert ("unowned" in kinds) == bool(evidence.unowned)
    assert ("conflict" in kinds) == bool(set(evidence.overlap) & set(evidence.changed))


@given(evidences)
def test_a_moved_input_holds_back_exactly_what_was_made_from_it(evidence: Evidence) -> None:
    blamed = {reason.asset for reason in decide(evidence) if reason.kind == "moved-input"}
    expected = {
        asset
        for asset in evidence.changed
        if asset not in evidence.overlap
        and any(d in evidence.moved and d not in evidence.changed for d in evidence.dependencies.get(asset, ()))
    }
    assert blamed == expected
