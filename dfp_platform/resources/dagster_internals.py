"""Everything of Dagster 1.13 that is not its public interface, in one place, with its own contract test.

Starting runs is in `dagster_launching` beside it.
`tests/contract/test_dagster_internals.py` proves each function against the pinned release; an upgrade starts there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    INPUT_DATA_VERSION_TAG_PREFIX,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.dependency import NodeHandle
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.plan.handle import StepHandle
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.instance.ref import InstanceRef
from dagster._utils.error import SerializableErrorInfo
from dagster._utils.warnings import disable_dagster_warnings

from dfp_platform.resources.instance_config import instance_config, shared_home
from dfp_platform.settings import PROJECT_ROOT, settings

LOCAL = "lake/local"
"""Metadata of a check spec: it looks at ``rows`` or ``partitions`` one by one: what passed apart passes together."""

NEVER_MADE = DEFAULT_DATA_VERSION.value
"""What Dagster records as the version of an input that was never materialized."""

ASSET_JOB = "__ASSET_JOB"
"""The implicit job that materializes any selection of assets."""


@dataclass(frozen=True, slots=True)
class Graph:
    """What publishing needs of an asset graph, in lake words: assets by key path.

    Attributes:
        dependencies: the assets each asset is made from.
        required: the blocking checks of each asset.
        code_versions: the declared code version of each asset that has one.
        local: by (asset, check), what a check looks at one by one, ``rows`` or ``partitions``: metadata `lake/local`.
        partitioned: assets that are made partition by partition.
    """

    dependencies: Mapping[str, tuple[str, ...]]
    required: Mapping[str, tuple[str, ...]]
    code_versions: Mapping[str, str]
    local: Mapping[tuple[str, str], str] = field(default_factory=dict)
    partitioned: frozenset[str] = frozenset()

    def owner_of(self, path: str) -> str | None:
        """The asset that owns a lake path: the longest key that is the path or a folder above it."""
        parts = path.split("/")
        names = ("/".join(parts[:end]) for end in range(len(parts), 0, -1))
        return next((name for name in names if name in self.dependencies), None)

    def downstream(self, assets: Sequence[str]) -> tuple[str, ...]:
        """`assets` and everything made from them, in topological order."""
        reached = set(assets)
        order = self.topological()
        for asset in order:
            if reached & set(self.dependencies[asset]):
                reached.add(asset)
        return tuple(asset for asset in order if asset in reached)

    def topological(self) -> tuple[str, ...]:
        """Every asset after all it is made from."""
        done: dict[str, None] = {}

        def visit(asset: str) -> None:
            if asset in done or asset not in self.dependencies:
                return
            for dep in self.dependencies[asset]:
                visit(dep)
            done[asset] = None

        for asset in sorted(self.dependencies):
            visit(asset)
        return tuple(done)


def path_of(key: dg.AssetKey) -> str:
    """The lake path an asset owns."""
    return "/".join(key.path)


def key_of(path: str) -> dg.AssetKey:
    """The asset key of a lake path."""
    return dg.AssetKey(path.split("/"))


def graph_of(asset_graph: Any) -> Graph:
    """Facts of an `AssetGraph` (of a job's asset layer, a repository or `Definitions`)."""
    nodes = [asset_graph.get(key) for key in asset_graph.materializable_asset_keys]
    required: dict[str, tuple[str, ...]] = {}
    local: dict[tuple[str, str], str] = {}
    for node in nodes:
        blocking = [key for key in node.check_keys if asset_graph.get(key).blocking]
        required[path_of(node.key)] = tuple(sorted(key.name for key in blocking))
        for key in blocking:
            if scope := asset_graph.get(key).metadata.get(LOCAL):
                local[path_of(node.key), key.name] = str(getattr(scope, "value", scope))
    return Graph(
        dependencies={path_of(n.key): tuple(sorted(path_of(key) for key in n.parent_keys)) for n in nodes},
        required=required,
        code_versions={path_of(n.key): n.code_version for n in nodes if n.code_version},
        local=local,
        partitioned=frozenset(path_of(n.key) for n in nodes if n.is_partitioned),
    )


# -- inside a step ----------------------------------------------------------------------------------------------


def set_data_version(context: dg.OutputContext, content: str) -> None:
    """Make `content` the data version of the materialization that an IO manager's output becomes."""
    context.step_context.set_data_version(context.asset_key, dg.DataVersion(content))


def output_with_content(output_name: str, *, metadata: Mapping[str, Any], content: str) -> dg.Output[None]:
    """An output whose value is stored already, with its content as data version (a beta parameter of Dagster 1.13)."""
    with disable_dagster_warnings():
        return dg.Output(None, output_name, metadata=metadata, data_version=dg.DataVersion(content))


def step_graph(context: dg.OutputContext | dg.AssetExecutionContext) -> Graph:
    """The asset graph a running step belongs to."""
    if isinstance(context, dg.OutputContext):
        return graph_of(context.step_context.job_def.asset_layer.asset_graph)
    return graph_of(context.job_def.asset_layer.asset_graph)


def step_config(context: dg.OutputContext | dg.AssetExecutionContext) -> Mapping[str, Any]:
    """What the op of a running step was configured with, defaults filled in; empty if it takes no configuration."""
    if isinstance(context, dg.OutputContext):
        return context.step_context.op_config or {}
    return context.op_execution_context.op_config or {}


# -- inside an executor -----------------------------------------------------------------------------------------


def plan_graph(plan_context: Any) -> Graph:
    """The whole asset graph of the code location that a run belongs to."""
    job = plan_context.job
    if isinstance(job, ReconstructableJob):
        # a job's own graph knows only the assets and checks it selected: the gate has to know the others too
        return graph_of(job.repository.get_definition().asset_graph)
    return graph_of(job.get_definition().asset_layer.asset_graph)


def config_of(executor: dg.ExecutorDefinition) -> Any:
    """The run config that an executor takes."""
    return executor.config_schema.as_field()


def steps_by_asset(plan: ExecutionPlan) -> dict[str, str]:
    """The step that makes each asset of a plan."""
    return {
        path_of(output.properties.asset_key): step.key
        for step in plan.step_dict.values()
        for output in step.step_outputs
        if output.properties.asset_key is not None
    }


def steps_by_check(plan: ExecutionPlan) -> dict[tuple[str, str], str]:
    """The step that evaluates each check of a plan, by (asset, check)."""
    keys = (
        (output.properties.asset_check_key, step.key)
        for step in plan.step_dict.values()
        for output in step.step_outputs
    )
    return {(path_of(key.asset_key), key.name): step for key, step in keys if key is not None}


def step_failed(plan_context: Any, plan: ExecutionPlan, step: str, message: str) -> DagsterEvent:
    """A failure of a step of the plan, recorded; it makes "re-execute from failure" run that step."""
    error = SerializableErrorInfo(message=message, stack=[], cls_name="HeldBackError")
    context = plan_context.for_step(plan.get_step_by_key(step))
    return DagsterEvent.step_failure_event(context, StepFailureData(error=error, user_failure_data=None), message)


def note(plan_context: Any, message: str) -> DagsterEvent:
    """A line in the run's log."""
    return DagsterEvent.engine_event(plan_context, message, EngineEventData())


# -- the event log ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One asset check evaluation of a run, with the data version of what it judged if that run made it."""

    asset: str
    check: str
    passed: bool
    content: str | None
    figure: float | None
    limit: float | None
    severity: str = "ERROR"


def evaluations(instance: dg.DagsterInstance, run_id: str) -> list[Evaluation]:
    """Every check evaluation of a run, oldest first; each knows the content its run had last materialized by then."""
    kinds = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
    contents: dict[str, str] = {}
    found: list[Evaluation] = []
    for record in instance.get_records_for_run(run_id, of_type=kinds).records:
        event = record.event_log_entry.dagster_event
        if event is None:
            continue
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            materialization = event.step_materialization_data.materialization
            contents[path_of(materialization.asset_key)] = _content(materialization)
        else:
            found.append(_evaluation(event.asset_check_evaluation_data, contents))
    return found


def _content(materialization: dg.AssetMaterialization) -> str:
    """Content of the whole asset; the data version of a partition says only what that holds."""
    if materialization.partition is not None and (whole := materialization.metadata.get("lake/content")):
        return str(whole.value)
    return (materialization.tags or {}).get(DATA_VERSION_TAG, "")


def _evaluation(data: Any, contents: Mapping[str, str]) -> Evaluation:
    asset = path_of(data.asset_key)
    stated = {name: value.value for name, value in data.metadata.items()}
    return Evaluation(
        asset=asset,
        check=data.check_name,
        passed=data.passed,
        content=stated.get("lake/content") or contents.get(asset),
        figure=stated.get("figure"),
        limit=stated.get("limit"),
        severity=data.severity.value,
    )


def retry_unnamed_job(definitions: dg.Definitions, policy: dg.RetryPolicy | None) -> dg.Definitions:
    """`definitions`, whose implicit job goes by `policy` too: there is no public way to say it of that one."""
    definitions.get_repository_def().get_job(ASSET_JOB)._op_retry_policy = policy
    return definitions


def failed_steps(instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
    """Steps of a run that failed, with the message of the failure."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    events = (record.event_log_entry.dagster_event for record in records)
    return {str(event.step_key): event.message or "" for event in events if event is not None}


def unfinished_steps(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[str, ...]:
    """Steps that a run was to execute and that neither succeeded nor were skipped, in the order of the plan."""
    ended = {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_SKIPPED}
    records = instance.get_records_for_run(run.run_id, of_type=ended).records
    done = {record.event_log_entry.step_key for record in records}
    return tuple(step for step in _planned_steps(instance, run) if step not in done)


def report_step_failed(instance: dg.DagsterInstance, run: dg.DagsterRun, message: str) -> str:
    """Record, on a run that is over, a failure of its last step, so that it can be re-executed; return the step."""
    step = _planned_steps(instance, run)[-1]
    error = SerializableErrorInfo(message=message, stack=[], cls_name="HeldBackError")
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.STEP_FAILURE.value,
        job_name=run.job_name,
        step_handle=StepHandle(NodeHandle.from_string(step), step),
        step_kind_value="COMPUTE",
        event_specific_data=StepFailureData(error=error, user_failure_data=None),
        message=message,
    )
    instance.report_dagster_event(event, run.run_id)
    return step


def unfinished_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Runs that are about to begin or have begun, and have not ended."""
    statuses = [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    return list(instance.get_runs(dg.RunsFilter(statuses=statuses)))


def failed_runs(instance: dg.DagsterInstance, *, tag: str, value: str) -> list[dg.DagsterRun]:
    """Runs that ended without success and bear a tag of this value."""
    statuses = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    return list(instance.get_runs(dg.RunsFilter(statuses=statuses, tags={tag: value})))


def report_run_ended(instance: dg.DagsterInstance, run: dg.DagsterRun, *, success: bool) -> None:
    """Record the end of a run whose process is gone: it had done everything, or it had not."""
    if success:
        event = DagsterEvent(
            event_type_value=dg.DagsterEventType.RUN_SUCCESS.value,
            job_name=run.job_name,
            message="Its process ended right after the results were published.",
        )
        instance.report_dagster_event(event, run.run_id)
    else:
        instance.report_run_failed(run, "Its process ended without a word; found by the reconciler.")


def _planned_steps(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    snapshot = instance.get_execution_plan_snapshot(str(run.execution_plan_snapshot_id))
    return list(run.step_keys_to_execute or snapshot.step_keys_to_execute)


def latest_data_versions(instance: dg.DagsterInstance, assets: Sequence[str]) -> dict[str, tuple[str, int]]:
    """What each asset's page shows: data version and storage id of its latest materialization, if it has one.

    Assets whose latest is of a partition are left out: it does not speak of the whole.
    """
    shown: dict[str, tuple[str, int]] = {}
    for record in instance.get_asset_records([key_of(asset) for asset in assets]):
        latest = record.asset_entry.last_materialization_record
        if latest is not None and latest.asset_materialization is not None and latest.partition_key is None:
            tags = latest.asset_materialization.tags or {}
            shown[path_of(record.asset_entry.asset_key)] = (tags.get(DATA_VERSION_TAG, ""), latest.storage_id)
    return shown


def latest_inputs(instance: dg.DagsterInstance, assets: Sequence[str]) -> dict[str, dict[str, str]]:
    """What each asset's page says it was made from: the data version of each input, for assets that have one."""
    prefix, shown = f"{INPUT_DATA_VERSION_TAG_PREFIX}/", {}
    for record in instance.get_asset_records([key_of(asset) for asset in assets]):
        latest = record.asset_entry.last_materialization_record
        if latest is not None and latest.asset_materialization is not None:
            tags = latest.asset_materialization.tags or {}
            inputs = {name.removeprefix(prefix): value for name, value in tags.items() if name.startswith(prefix)}
            shown[path_of(record.asset_entry.asset_key)] = inputs
    return shown


def materialization(
    asset: str,
    *,
    content: str,
    code_version: str | None,
    inputs: Mapping[str, tuple[str, int | None]],
    metadata: Mapping[str, Any],
    partition: str | None = None,
) -> dg.AssetMaterialization:
    """What an asset's page shall say that the lake holds.

    Args:
        inputs: data version and event (storage id) of each asset it was made from.
        partition: the partition that it is about; `content` is then that of the partition.
    """
    tags = {DATA_VERSION_TAG: content, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
    if code_version or inputs:
        # without this tag Dagster ignores the recorded inputs; it too invents one for assets that declare none
        tags[CODE_VERSION_TAG] = code_version or content
    for dep, (version, event) in inputs.items():
        tags[get_input_data_version_tag(key_of(dep))] = version
        tags[get_input_event_pointer_tag(key_of(dep))] = "NULL" if event is None else str(event)
    return dg.AssetMaterialization(key_of(asset), metadata=metadata, tags=tags, partition=partition)


def report_materialization(instance: dg.DagsterInstance, asset: str, **stated: Any) -> None:
    """Tell an asset's page what the lake holds; arguments are those of `materialization`."""
    instance.report_runless_asset_event(materialization(asset, **stated))


def project_instance(root: Path, storage: Path) -> dg.DagsterInstance:
    """The instance that `dagster.yaml` in `root` describes, with its folders made absolute: any folder may call."""
    storage.mkdir(parents=True, exist_ok=True)
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(root), overrides=instance_config(root, storage)))


def configured_instance() -> dg.DagsterInstance:
    """The instance of this stack: that of a database which its machines share, else that of the state folder."""
    return dg.DagsterInstance.get() if shared_home() else project_instance(PROJECT_ROOT, settings().dagster_home)
