"""Steps are tried again where that may help, and not where it cannot."""

from collections.abc import Callable

import dagster as dg
import pytest

from dfp_platform.errors import InputError, UnreachableError
from dfp_platform.resources.dagster_internals import retry_unnamed_job
from dfp_platform.resources.retrying import Retries
from dfp_platform.settings import retries_of


def tries(error: Callable[[], Exception], policy: dg.RetryPolicy | None, *, fails: int = 99) -> tuple[int, bool, str]:
    """How often a step ran, whether its run succeeded at last, and what was said of its failure."""
    seen = []

    @dg.op
    def step() -> None:
        seen.append(1)
        if len(seen) <= fails:
            raise error()

    @dg.job(op_retry_policy=policy, executor_def=dg.in_process_executor)
    def job() -> None:
        step()

    ended = job.execute_in_process(raise_on_error=False)
    failures = [event for event in ended.all_events if event.is_step_failure]
    said = failures[0].step_failure_data.error.message if failures else ""
    return len(seen), ended.success, said


def gone() -> Exception:
    return UnreachableError("nobody answers", address="far:1")


def test_what_may_go_well_later_is_tried_as_often_as_asked() -> None:
    assert tries(gone, Retries(3, {}, 0.0).policy())[:2] == (4, False)
    assert tries(gone, Retries(3, {}, 0.0).policy(), fails=2)[:2] == (3, True)


@pytest.mark.parametrize("error", [InputError("row 7 is wrong", hint="mend it"), TypeError("row 7 is wrong")])
def test_what_trying_again_cannot_mend_fails_at_once_with_its_reason(error: Exception) -> None:
    times, success, said = tries(lambda: error, Retries(3, {}, 0.0).policy())
    assert (times, success) == (1, False)
    assert "row 7 is wrong" in said


def test_none_means_that_a_step_fails_at_once() -> None:
    assert tries(gone, Retries(0, {}, 0.0).policy())[:2] == (1, False)


def test_a_job_may_have_its_own_number() -> None:
    found = Retries(3, {"train": 1, "ingest": 0}, 10.0)
    assert found.policy("ingest") is None
    train, features = found.policy("train"), found.policy("features")
    assert train is not None
    assert features is not None
    assert (train.max_retries, features.max_retries) == (1, 3)


def test_waits_grow() -> None:
    policy = Retries(3, {}, 10.0).policy()
    assert policy is not None
    for attempt, middle in enumerate((10, 30, 70), start=1):
        assert middle - 10 <= policy.calculate_delay(attempt) <= middle + 10


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("3", (3, {})),
        ("0", (0, {})),
        ("2, train=1,ingest = 5", (2, {"train": 1, "ingest": 5})),
        ("train=1", (3, {"train": 1})),
    ],
)
def test_the_setting_is_read(said: str, meant: tuple[int, dict[str, int]]) -> None:
    assert retries_of(said) == meant


@pytest.mark.parametrize("said", ["many", "1,2", "-1", "train=x", "train=-1"])
def test_a_setting_that_says_no_number_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"number|invalid literal"):
        retries_of(said)


@pytest.mark.parametrize("chosen", [None, [dg.AssetKey("a")]])
def test_steps_of_the_job_that_the_asset_graph_starts_are_tried_again(chosen: list[dg.AssetKey] | None) -> None:
    seen = []

    @dg.asset
    def a() -> None:
        seen.append(1)
        if len(seen) == 1:
            raise gone()

    location = retry_unnamed_job(dg.Definitions([a], executor=dg.in_process_executor), Retries(1, {}, 0.0).policy())
    job = location.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=chosen).success
    assert len(seen) == 2
