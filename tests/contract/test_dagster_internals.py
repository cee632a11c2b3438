"""What `resources/dagster_internals.py` takes from the pinned Dagster that is not its public interface, one by one.

An upgrade of Dagster starts here. `defs` is a small code location whose executor a test steers through `WISH`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.execution.api import create_execution_plan
from dagster._core.executor.base import Executor
from dagster._core.loader import LoadingContextForTest

from dfp_platform.errors import NotFoundError
from dfp_platform.resources import dagster_internals as internals
from dfp_platform.resources.dagster_internals import ASSET_JOB, Graph, key_of, path_of
from dfp_platform.resources.dagster_launching import launch_here, reexecute_here
from dfp_platform.settings import PROJECT_ROOT

WISH: dict[str, Any] = {}
"""`fail`: a step recorded as failed after all ran; `content`: what assets hold; `passed`: what the check says."""

SEEN: dict[str, Any] = {}
"""What the executor and the IO manager saw."""


class Contents(dg.IOManager):
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        SEEN["step_graph"] = internals.step_graph(context)
        internals.set_data_version(context, f"{path_of(context.asset_key)}@{WISH.get('content', 1)}")

    def load_input(self, context: dg.InputContext) -> None:
        return None


class Steered(Executor):
    """Runs steps in process, says something, and records a failure of a step if told to."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        return self._inner.retries

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        SEEN["plan_graph"] = internals.plan_graph(plan_context)
        SEEN["steps"] = tuple(execution_plan.step_keys_to_execute)
        yield from self._inner.execute(plan_context, execution_plan)
        yield internals.note(plan_context, "a line of the executor")
        if step := WISH.get("fail"):
            yield internals.step_failed(plan_context, execution_plan, step, "held back: because")


@dg.executor(name="steered", config_schema=internals.config_of(dg.in_process_executor))
def steered(init_context: dg.InitExecutorContext) -> Executor:
    creation = dg.in_process_executor.executor_creation_fn
    assert creation is not None
    return Steered(creation(init_context))


@dg.asset(key=["t", "a"], deps=[["outside", "x"]], code_version="7", io_manager_key="contents")
def a() -> int:
    return 1


@dg.asset(key=["t", "b"], deps=[["t", "a"]], io_manager_key="contents")
def b() -> int:
    return 1


@dg.asset(key=["t", "c"], deps=[["t", "a"], ["t", "b"]], code_version="8", io_manager_key="contents")
def c() -> int:
    return 1


@dg.asset_check(asset=["t", "a"], name="strict", blocking=True)
def strict() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=WISH.get("passed", True), metadata={"figure": 0.5, "limit": 1.0})


@dg.asset_check(asset=["t", "a"], name="mild")
def mild() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


def defs() -> dg.Definitions:
    """The code location."""
    return dg.Definitions(
        assets=[dg.AssetSpec(["outside", "x"]), a, b, c],
        asset_checks=[strict, mild],
        resources={"contents": Contents()},
        executor=steered,
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    WISH.clear()
    SEEN.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def launch(instance: dg.DagsterInstance, *assets: str, **options: Any) -> tuple[dg.DagsterRun, list[Any]]:
    ids: list[str] = []
    selection = [key_of(asset) for asset in assets] or None
    events = launch_here(
        instance, __name__, job=ASSET_JOB, selection=selection, tags={"k": "v"}, on_start=ids.append, **options
    )
    seen = list(events)
    run = instance.get_run_by_id(ids[0])
    assert run is not None
    return run, seen


def reexecute(instance: dg.DagsterInstance, run_id: str, **options: Any) -> dg.DagsterRun:
    ids: list[str] = []
    assert list(reexecute_here(instance, __name__, run_id, tags={"own": "tag"}, on_start=ids.append, **options))
    run = instance.get_run_by_id(ids[0])
    assert run is not None
    return run


def staleness(instance: dg.DagsterInstance) -> dict[str, str]:
    resolver = CachingStaleStatusResolver(instance, defs().resolve_asset_graph(), LoadingContextForTest(instance))
    return {asset: resolver.get_status(key_of(asset)).value for asset in ("t/a", "t/b", "t/c")}


# -- the graph --------------------------------------------------------------------------------------------------


@pytest.fixture
def graph() -> Graph:
    return internals.graph_of(defs().resolve_asset_graph())


def test_a_graph_knows_what_is_made_from_what_and_only_blocking_checks(graph: Graph) -> None:
    assert graph.dependencies == {"t/a": ("outside/x",), "t/b": ("t/a",), "t/c": ("t/a", "t/b")}
    assert graph.required == {"t/a": ("strict",), "t/b": (), "t/c": ()}
    assert graph.code_versions == {"t/a": "7", "t/c": "8"}


def test_a_graph_orders_assets_after_all_they_are_made_from(graph: Graph) -> None:
    assert graph.topological() == ("t/a", "t/b", "t/c")
    assert graph.downstream(["t/b"]) == ("t/b", "t/c")
    assert graph.downstream(["outside/x"]) == ("t/a", "t/b", "t/c")
    assert graph.downstream([]) == ()


@pytest.mark.parametrize(
    ("path", "owner"),
    [("t/a", "t/a"), ("t/a/part.parquet", "t/a"), ("t/ab", None), ("t", None), ("outside/x/y", None)],
)
def test_a_path_is_owned_by_the_asset_it_is_or_lies_beneath(graph: Graph, path: str, owner: str | None) -> None:
    assert graph.owner_of(path) == owner


def test_the_longest_key_owns_a_path() -> None:
    nested = Graph(dependencies={"m": (), "m/card": ()}, required={}, code_versions={})
    assert (nested.owner_of("m/card/x"), nested.owner_of("m/x")) == ("m/card", "m")


def test_keys_and_paths_are_two_ways_to_write_the_same() -> None:
    assert path_of(key_of("tables/marts/x")) == "tables/marts/x"
    assert key_of("tables/marts/x") == dg.AssetKey(["tables", "marts", "x"])


# -- inside a step and an executor ------------------------------------------------------------------------------


def test_an_io_manager_gives_its_output_a_data_version_and_knows_the_graph(instance: dg.DagsterInstance) -> None:
    run, _ = launch(instance)
    assert run.is_success
    shown = internals.latest_data_versions(instance, ["t/a", "t/b", "t/c", "never/made"])
    assert {asset: version for asset, (version, _) in shown.items()} == {"t/a": "t/a@1", "t/b": "t/b@1", "t/c": "t/c@1"}
    assert shown["t/a"][1] < shown["t/c"][1], "storage ids grow with time"
    assert SEEN["step_graph"].dependencies["t/c"] == ("t/a", "t/b")


def test_an_output_whose_value_is_stored_already_carries_its_content(instance: dg.DagsterInstance) -> None:
    @dg.multi_asset(specs=[dg.AssetSpec(["t", "z"])])
    def made() -> Iterator[Any]:
        yield internals.output_with_content("t__z", metadata={"rows": 3}, content="z@1")

    assert dg.materialize([made], instance=instance).success
    assert internals.latest_data_versions(instance, ["t/z"])["t/z"][0] == "z@1"


def test_a_run_knows_the_whole_graph_of_its_code_location_whatever_it_selected(instance: dg.DagsterInstance) -> None:
    run, _ = launch(instance, "t/b")
    assert run.is_success
    assert SEEN["steps"] == ("t__b",)
    assert set(SEEN["plan_graph"].dependencies) == {"t/a", "t/b", "t/c"}
    assert SEEN["plan_graph"].required["t/a"] == ("strict",)


def test_a_plan_says_which_step_makes_and_which_judges(instance: dg.DagsterInstance) -> None:
    plan = create_execution_plan(defs().resolve_implicit_global_asset_job_def())
    assert internals.steps_by_asset(plan) == {"t/a": "t__a", "t/b": "t__b", "t/c": "t__c"}
    assert internals.steps_by_check(plan) == {("t/a", "strict"): "t__a_strict", ("t/a", "mild"): "t__a_mild"}


def test_an_executor_takes_the_run_config_of_the_one_it_wraps(instance: dg.DagsterInstance) -> None:
    config = {"execution": {"config": {"retries": {"disabled": {}}}}}
    run, _ = launch(instance, "t/a", run_config=config)
    assert run.is_success
    with pytest.raises(dg.DagsterInvalidConfigError):
        launch(instance, "t/a", run_config={"execution": {"config": {"nonsense": 1}}})


def test_a_note_is_a_line_of_the_runs_log(instance: dg.DagsterInstance) -> None:
    run, events = launch(instance, "t/a")
    assert any(event.message == "a line of the executor" for event in events)
    logged = [entry.message for entry in instance.all_logs(run.run_id)]
    assert any("a line of the executor" in message for message in logged)


def test_a_recorded_failure_fails_the_run_and_is_what_a_reexecution_runs(instance: dg.DagsterInstance) -> None:
    WISH["fail"] = "t__b"
    failed, _ = launch(instance)
    assert failed.status == dg.DagsterRunStatus.FAILURE
    assert internals.failed_steps(instance, failed.run_id) == {"t__b": "held back: because"}
    WISH.clear()
    child = reexecute(instance, failed.run_id)
    assert child.is_success
    assert (child.parent_run_id, child.tags["k"], child.tags["own"]) == (failed.run_id, "v", "tag")
    assert SEEN["steps"][0] == "t__b"
    assert "t__a" not in SEEN["steps"]


# -- launching --------------------------------------------------------------------------------------------------


def test_a_launch_tells_its_id_first_and_yields_every_event(instance: dg.DagsterInstance) -> None:
    run, events = launch(instance, "t/a")
    assert run.tags["k"] == "v"
    assert run.asset_selection == {key_of("t/a")}
    assert (events[0].event_type_value, events[-1].event_type_value) == (
        dg.DagsterEventType.RUN_START.value,
        dg.DagsterEventType.RUN_SUCCESS.value,
    )


def test_a_whole_reexecution_runs_every_step_again(instance: dg.DagsterInstance) -> None:
    first, _ = launch(instance)
    child = reexecute(instance, first.run_id, whole=True)
    assert child.is_success
    assert child.parent_run_id == first.run_id
    assert {"t__a", "t__b", "t__c"} <= set(SEEN["steps"])


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "from failure"])
def test_a_reexecution_is_configured_as_the_run_was(instance: dg.DagsterInstance, whole: bool) -> None:
    """A rerun once took its rows from the configured source, not from the one its parent had been given."""
    config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    WISH["fail"] = "t__b"
    failed, _ = launch(instance, "t/a", "t/b", run_config=config)
    WISH.clear()
    child = reexecute(instance, failed.run_id, whole=whole)
    assert (child.run_config, child.asset_selection) == (config, failed.asset_selection)
    assert child.is_success


def test_a_run_that_nobody_knows_is_not_executed_again(instance: dg.DagsterInstance) -> None:
    with pytest.raises(NotFoundError) as unknown:
        reexecute(instance, "nobody")
    assert unknown.value.hint


# -- the event log ----------------------------------------------------------------------------------------------


def test_evaluations_come_oldest_first_with_the_content_they_judged(instance: dg.DagsterInstance) -> None:
    run, _ = launch(instance)
    found = {said.check: said for said in internals.evaluations(instance, run.run_id)}
    assert found["strict"] == internals.Evaluation("t/a", "strict", True, "t/a@1", 0.5, 1.0)
    assert (found["mild"].passed, found["mild"].content, found["mild"].figure) == (False, "t/a@1", None)
    content = {"lake/content": "stated"}
    for evaluation in (
        dg.AssetCheckEvaluation(asset_key=key_of("t/a"), check_name="strict", passed=False, metadata=content),
        dg.AssetCheckEvaluation(asset_key=key_of("t/b"), check_name="late", passed=True),
    ):
        report_check(instance, run, evaluation)
    *_, stated, late = internals.evaluations(instance, run.run_id)
    assert (stated.passed, stated.content) == (False, "stated"), "a check may say itself what it judged"
    assert (late.asset, late.content) == ("t/b", "t/b@1")


def report_check(instance: dg.DagsterInstance, run: dg.DagsterRun, evaluation: dg.AssetCheckEvaluation) -> None:
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name=run.job_name,
        event_specific_data=evaluation,
    )
    instance.report_dagster_event(event, run.run_id)


def test_an_evaluation_of_what_its_run_did_not_make_knows_no_content(instance: dg.DagsterInstance) -> None:
    run, _ = launch(instance, "t/b")
    report_check(instance, run, dg.AssetCheckEvaluation(asset_key=key_of("t/a"), check_name="strict", passed=True))
    (said,) = internals.evaluations(instance, run.run_id)
    assert said.content is None


def test_a_failed_blocking_check_leaves_what_follows_unfinished(instance: dg.DagsterInstance) -> None:
    done, _ = launch(instance)
    assert internals.unfinished_steps(instance, done) == ()
    WISH["passed"] = False
    stopped, _ = launch(instance)
    assert not stopped.is_success
    assert set(internals.unfinished_steps(instance, stopped)) == {"t__a_strict", "t__b", "t__c"}


def test_a_failure_reported_afterwards_gives_a_reexecution_its_step(instance: dg.DagsterInstance) -> None:
    run, _ = launch(instance)
    step = internals.report_step_failed(instance, run, "died before it was published")
    assert internals.failed_steps(instance, run.run_id) == {step: "died before it was published"}
    instance.report_run_failed(run)
    child = reexecute(instance, run.run_id)
    assert child.is_success
    assert SEEN["steps"] == (step,)


@pytest.mark.parametrize(("success", "status"), [(True, "SUCCESS"), (False, "FAILURE")])
def test_a_run_without_a_process_is_unfinished_until_its_end_is_reported(
    instance: dg.DagsterInstance, success: bool, status: str
) -> None:
    begun = instance.create_run_for_job(defs().resolve_implicit_global_asset_job_def())
    assert [run.run_id for run in internals.unfinished_runs(instance)] == [begun.run_id], "it is about to begin"
    started = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=begun.job_name)
    instance.report_dagster_event(started, begun.run_id)
    assert [run.run_id for run in internals.unfinished_runs(instance)] == [begun.run_id]
    internals.report_run_ended(instance, begun, success=success)
    ended = instance.get_run_by_id(begun.run_id)
    assert ended is not None
    assert ended.status.value == status
    assert internals.unfinished_runs(instance) == []


# -- what a page shows ------------------------------------------------------------------------------------------


def report(instance: dg.DagsterInstance, asset: str, content: str, **inputs: tuple[str, int | None]) -> None:
    named = {dep.replace("_", "/"): said for dep, said in inputs.items()}
    internals.report_materialization(
        instance,
        asset,
        content=content,
        code_version={"t/a": "7", "t/c": "8"}.get(asset),
        inputs=named,
        metadata={"lake/branch": "main"},
    )


def test_what_was_materialized_and_nothing_since_is_fresh(instance: dg.DagsterInstance) -> None:
    assert set(staleness(instance).values()) == {"MISSING"}
    launch(instance)
    assert set(staleness(instance).values()) == {"FRESH"}
    assert internals.latest_inputs(instance, ["t/c"])["t/c"] == {"t/a": "t/a@1", "t/b": "t/b@1"}


def test_a_reported_content_makes_what_is_made_from_it_stale_and_reporting_that_too_fresh(
    instance: dg.DagsterInstance,
) -> None:
    launch(instance)
    report(instance, "t/a", "t/a@0", outside_x=("INITIAL", None))
    assert staleness(instance) == {"t/a": "FRESH", "t/b": "STALE", "t/c": "STALE"}
    at = {asset: event for asset, (_, event) in internals.latest_data_versions(instance, ["t/a", "t/b"]).items()}
    report(instance, "t/b", "t/b@0", t_a=("t/a@0", at["t/a"]))
    at_b = internals.latest_data_versions(instance, ["t/b"])["t/b"][1]
    report(instance, "t/c", "t/c@0", t_a=("t/a@0", at["t/a"]), t_b=("t/b@0", at_b))
    assert set(staleness(instance).values()) == {"FRESH"}
    assert internals.latest_inputs(instance, ["t/c"])["t/c"] == {"t/a": "t/a@0", "t/b": "t/b@0"}


def test_a_reported_input_that_is_not_what_stands_there_is_stale(instance: dg.DagsterInstance) -> None:
    launch(instance)
    report(instance, "t/b", "t/b@1", t_a=("t/a@0", None))
    assert staleness(instance)["t/b"] == "STALE"


def test_a_reported_code_version_that_is_not_the_declared_one_is_stale(instance: dg.DagsterInstance) -> None:
    launch(instance)
    internals.report_materialization(instance, "t/a", content="t/a@1", code_version="6", inputs={}, metadata={})
    assert staleness(instance)["t/a"] == "STALE"


def test_the_projects_instance_keeps_its_records_in_the_folder_it_is_given(tmp_path: Path) -> None:
    with internals.project_instance(PROJECT_ROOT, tmp_path / "state" / "dagster") as instance:
        run = instance.create_run_for_job(defs().resolve_implicit_global_asset_job_def())
        assert not instance.telemetry_enabled
    with internals.project_instance(PROJECT_ROOT, tmp_path / "state" / "dagster") as again:
        assert again.get_run_by_id(run.run_id) is not None
    assert any((tmp_path / "state" / "dagster").rglob("*.db"))
