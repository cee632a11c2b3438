"""Starting runs of Dagster 1.13 in this process, which its public interface does only without telling their events.

The contract test of `dagster_internals` holds this file to the pinned release too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.events import DagsterEvent
from dagster._core.execution.api import create_execution_plan, execute_run_iterator
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.state import KnownExecutionState

from dfp_platform.errors import NotFoundError
from dfp_platform.resources.dagster_internals import path_of


def launch_here(
    instance: dg.DagsterInstance,
    module: str,
    *,
    job: str,
    selection: Sequence[dg.AssetKey] | None,
    tags: Mapping[str, str],
    run_config: Mapping[str, Any] | None = None,
    on_start: Callable[[str], None] = lambda run_id: None,
) -> Iterator[DagsterEvent]:
    """Run a job of a code location in this process, under its own executor, and yield its events.

    Args:
        module: the module that holds the `Definitions` as `defs`.
        selection: assets to materialize; None: all of the job's.
        on_start: called with the run's id before its first event.
    """
    recon = reconstructable_job(module, job)
    chosen = frozenset(selection) if selection is not None else None
    if chosen is not None:
        recon = recon.get_subset(asset_selection=chosen)
    run = instance.create_run_for_job(
        job_def=recon.get_definition(),
        run_config=run_config or {},
        tags=tags,
        asset_selection=chosen,
        job_code_origin=recon.get_python_origin(),
    )
    on_start(run.run_id)
    yield from execute_run_iterator(recon, run, instance)


def reexecute_here(
    instance: dg.DagsterInstance,
    module: str,
    run_id: str,
    *,
    whole: bool = False,
    tags: Mapping[str, str],
    on_start: Callable[[str], None] = lambda run_id: None,
) -> Iterator[DagsterEvent]:
    """Re-execute a run in this process, from its failure or as a whole, as it was configured; yield its events.

    Args:
        tags: put on the new run, beside its parent's.
        on_start: called with the new run's id before its first event.
    """
    parent = instance.get_run_by_id(run_id)
    if parent is None:
        raise NotFoundError(f"no run {run_id}", hint="list runs in the UI or with `dfp lake branches`", run_id=run_id)
    recon = reconstructable_job(module, parent.job_name)
    if parent.asset_selection is not None:
        recon = recon.get_subset(asset_selection=parent.asset_selection)
    plan = None if whole else _plan_from_failure(instance, recon, parent)
    run = instance.create_run_for_job(
        job_def=recon.get_definition(),
        execution_plan=plan,
        run_config=parent.run_config,
        tags={**parent.tags, **tags},
        asset_selection=parent.asset_selection,
        root_run_id=parent.root_run_id or parent.run_id,
        parent_run_id=parent.run_id,
        job_code_origin=recon.get_python_origin(),
    )
    on_start(run.run_id)
    yield from execute_run_iterator(recon, run, instance)


def _plan_from_failure(instance: dg.DagsterInstance, recon: Any, parent: dg.DagsterRun) -> ExecutionPlan:
    steps, known = KnownExecutionState.build_resume_retry_reexecution(instance=instance, parent_run=parent)
    return create_execution_plan(
        recon, parent.run_config, step_keys_to_execute=steps, known_state=known, tags=parent.tags
    )


def reconstructable_job(module: str, job: str) -> Any:
    """A job of a code location in a form that another process can load."""
    return ReconstructableRepository.for_module(module, "defs").get_reconstructable_job(job)


def assets_of_job(repository: Any, job: str) -> frozenset[str]:
    """The assets, as lake paths, that a job of a loaded code location makes."""
    return frozenset(path_of(key) for key in repository.get_job(job).asset_layer.selected_asset_keys)
