"""A training as MLflow keeps it, read back: what its tags say of the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dfp_platform.errors import NotFoundError
from dfp_platform.models.mlflow_client import is_there, talking_to
from dfp_platform.models.tracking import DAGSTER_RUN, EXPERIMENT, KEY


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What leads from an MLflow run to the lake.

    Attributes:
        id: MLflow's id of it.
        model: the model's noun, ``autoencoder``.
        run: the run of Dagster that trained it.
        commit: the lake's commit that it learned from.
        tags: all of its tags.
    """

    id: str
    model: str
    run: str
    commit: str
    tags: Mapping[str, str] = field(default_factory=dict)


def tracked_run(uri: str, run_id: str) -> TrackedRun:
    """The training that an MLflow run holds.

    Args:
        uri: MLflow's address.
        run_id: MLflow's id of the run, 32 hex digits.
    Raises:
        NotFoundError: no such run, or one that is no training of ours. UnreachableError: MLflow did not answer.
    """
    missing = NotFoundError(
        f"MLflow at {uri} knows no run {run_id}", hint="its page in MLflow's UI shows a run's id", run=run_id
    )
    if not is_there(uri):
        raise missing
    with talking_to(uri, task=f"show the run {run_id}") as client:
        from mlflow.exceptions import MlflowException

        try:
            tags = dict(client.get_run(run_id).data.tags)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise missing from error
            raise
    if "model" not in tags or "lake.commit" not in tags:
        raise NotFoundError(
            f"the MLflow run {run_id} is no training of ours: its tags name no model and no commit of the lake",
            hint="name a run that `dfp run` or `dfp train` logged",
            run=run_id,
        )
    return TrackedRun(run_id, tags["model"], tags.get(DAGSTER_RUN, ""), tags["lake.commit"], tags)


def code_of(uri: str, key: str) -> dict[str, str]:
    """What MLflow's tags say of the code that made a training (``git.commit``, …); empty if they say nothing.

    Args:
        uri: MLflow's address.
        key: what the training was tracked under, see `tracking.track_training`.
    Raises:
        UnreachableError: MLflow did not answer.
    """
    if not is_there(uri):
        return {}
    with talking_to(uri, task=f"show the training {key}") as client:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return {}
        runs = client.search_runs([experiment.experiment_id], filter_string=f"tags.`{KEY}` = '{key}'")
        return {name: value for run in runs[:1] for name, value in run.data.tags.items() if name.startswith("git.")}
