"""What the code says of checks, and checks run alone in this process: like `dagster_internals`, all that is not public.

`tests/contract/test_dagster_judging.py` proves it against the pinned release.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import execute_run_iterator

from dfp_platform.resources.dagster_internals import ASSET_JOB, key_of, path_of


@dataclass(frozen=True, slots=True)
class DescribedCheck:
    """What the code says of a check: its description, and whether it holds publication back."""

    description: str
    blocking: bool


def described_checks(asset_graph: Any) -> dict[tuple[str, str], DescribedCheck]:
    """Every check of an `AssetGraph`, by asset and name."""
    specs = {(path_of(key.asset_key), key.name): asset_graph.get(key) for key in asset_graph.asset_check_keys}
    return {name: DescribedCheck(spec.description or "", spec.blocking) for name, spec in specs.items()}


def repository_of(plan_context: Any) -> Any | None:
    """The code location that a run belongs to, to launch another run of it; None for a job that exists in memory."""
    job = plan_context.job
    return job.repository if isinstance(job, ReconstructableJob) else None


def repository_in(module: str) -> Any:
    """The code location of a module that holds the `Definitions` as `defs`."""
    return ReconstructableRepository.for_module(module, "defs")


def judge_here(
    instance: dg.DagsterInstance,
    repository: Any,
    checks: Sequence[tuple[str, str]],
    *,
    tags: Mapping[str, str],
    run_config: Mapping[str, Any],
) -> str:
    """Run only these checks, (asset, name), in a run of their own in this process; return its id."""
    keys = frozenset(dg.AssetCheckKey(key_of(asset), check) for asset, check in checks)
    recon = repository.get_reconstructable_job(ASSET_JOB)
    chosen = recon.get_subset(asset_selection=frozenset(), asset_check_selection=keys)
    run = instance.create_run_for_job(
        job_def=chosen.get_definition(),
        run_config=run_config,
        tags=tags,
        asset_selection=frozenset(),
        job_code_origin=chosen.get_python_origin(),
    )
    for _ in execute_run_iterator(chosen, run, instance):
        pass
    return run.run_id
