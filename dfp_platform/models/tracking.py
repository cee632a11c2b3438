"""One training in MLflow, once, whatever is tried again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InvalidNameError
from dfp_platform.models.card import ModelCard
from dfp_platform.models.evaluation import ModelEvaluation
from dfp_platform.models.mlflow_client import is_server, talking_to
from dfp_platform.models.presets import flattened
from dfp_platform.models.training import TrainedModel

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

KEY = "dfp.key"
DAGSTER_RUN = "dagster.run_id"
EXPERIMENT = "dfp"
MODEL = "model"
"""Folder of a run's artifacts that holds the model, as an MLflow model directory."""

PLOTS = "plots"
_METRICS_A_CALL = 1_000  # MLflow refuses more


def track_training(
    trained: TrainedModel,
    *,
    uri: str,
    artifacts: Path,
    key: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float] | None = None,
    plots: Mapping[str, str] | None = None,
    example: NDArray[np.float32] | None = None,
) -> str:
    """The id of the finished MLflow run that holds this training.

    A run with this key that finished is returned as it is; one that did not (its process died, or logging failed) is
    deleted and made again. The run is ended in every case, see also `end_runs`. A first call on a new database takes
    seconds.

    Args:
        trained: what to log: config as params, figures and losses as metrics, the card and the model as artifacts.
        uri: MLflow's address, ``sqlite:////home/.dfp/mlflow.db`` or a server.
        artifacts: folder of the experiment's artifacts, used when the experiment is made; a server has its own.
        key: names this training, ``<Dagster run>/<model>``; no quotes.
        tags: what the caller knows: `lake_tags`, the git commit, the run of Dagster (`DAGSTER_RUN`).
        metrics: more figures, see `headline_figures`.
        plots: SVG documents by file name.
        example: raw feature values of one app, for the model's input example.

    Raises:
        InvalidNameError: the key holds a quote or is empty.
        UnreachableError: MLflow did not take it.
    """
    if not key or any(mark in key for mark in "'\"`\\"):
        raise InvalidNameError(f"tracking key {key!r} is empty or holds a quote", hint="use letters and -", name=key)
    with talking_to(uri, task=f"take the training {key}") as client:
        experiment = _experiment(client, uri, artifacts)
        finished = _finished_run(client, experiment, key)
        if finished:
            return finished
        run = _begin(client, experiment, trained, key=key, tags=tags)
        try:
            _log_figures(client, run, trained, metrics or {})
            _log_artifacts(client, run, trained, plots or {}, example)
        except BaseException:
            client.set_terminated(run.info.run_id, status="FAILED")
            raise
        client.set_terminated(run.info.run_id, status="FINISHED")
        return run.info.run_id


def end_runs(*, uri: str, is_dead: Callable[[str], bool]) -> tuple[str, ...]:
    """End, as KILLED, runs that a dead process left RUNNING; doing it again changes nothing.

    Args:
        uri: MLflow's address.
        is_dead: whether a run of Dagster, given by id, has ended; runs that name none are left alone.
    Returns:
        Ids of the MLflow runs that were ended.
    Raises:
        UnreachableError: MLflow did not do it.
    """
    with talking_to(uri, task="end the runs of dead processes") as client:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return ()
        left = client.search_runs([experiment.experiment_id], filter_string="attributes.status = 'RUNNING'")
        dead = [
            run.info.run_id for run in left if (owner := run.data.tags.get(DAGSTER_RUN)) is not None and is_dead(owner)
        ]
        for run in dead:
            client.set_terminated(run, status="KILLED")
        return tuple(dead)


def lake_tags(
    *, repository: str, branch: str, ref: str, commit: str, split_version: str, split_seed: str
) -> dict[str, str]:
    """Tags that lead from an MLflow run back to its exact inputs.

    Args:
        branch: where the run publishes to; empty: nowhere.
        ref: the branch it worked on.
    """
    return {
        "lake.repository": repository,
        "lake.branch": branch,
        "lake.ref": ref,
        "lake.commit": commit,
        "split.version": split_version,
        "split.seed": split_seed,
    }


def headline_figures(evaluation: ModelEvaluation) -> dict[str, float]:
    """The headline figures of an evaluation under the names MLflow shows; unknown ones are left out."""
    figures: dict[str, float] = {}
    for name, part in (("test", evaluation.overall), ("test_unseen_packages", evaluation.unseen_packages)):
        for metric in ("roc_auc", "average_precision", "f1", "true_positive_rate", "false_positive_rate"):
            value = getattr(part, metric)
            if value is not None:
                figures[f"{name}_{metric}"] = value
    return figures


def _experiment(client: MlflowClient, uri: str, artifacts: Path) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        place = None if is_server(uri) else artifacts.resolve().as_uri()
        try:
            return client.create_experiment(EXPERIMENT, artifact_location=place)
        except MlflowException:
            found = client.get_experiment_by_name(EXPERIMENT)  # another process was faster
            if found is None:
                raise
    return found.experiment_id


def _finished_run(client: MlflowClient, experiment: str, key: str) -> str | None:
    """The finished run with this key; unfinished ones are deleted on the way."""
    finished = None
    for run in client.search_runs([experiment], filter_string=f"tags.`{KEY}` = '{key}'"):
        if run.info.status == "FINISHED":
            finished = run.info.run_id
        else:
            client.delete_run(run.info.run_id)
    return finished


def _begin(client: MlflowClient, experiment: str, trained: TrainedModel, *, key: str, tags: Mapping[str, str]) -> Run:
    """A new run; it says from its first moment whose it is, so that it can be ended if its process dies."""
    card = trained.card
    return client.create_run(experiment, tags={**card_tags(card), **tags, KEY: key}, run_name=f"{card.name} {key}")


def _log_figures(client: MlflowClient, run: Run, trained: TrainedModel, metrics: Mapping[str, float]) -> None:
    from mlflow.entities import Param

    name = run.info.run_id
    client.log_batch(name, params=[Param(key, str(value)) for key, value in sorted(_parameters(trained.card).items())])
    figures = _metrics(trained, metrics, at=run.info.start_time)
    for first in range(0, len(figures), _METRICS_A_CALL):
        client.log_batch(name, metrics=figures[first : first + _METRICS_A_CALL])


def _log_artifacts(
    client: MlflowClient,
    run: Run,
    trained: TrainedModel,
    plots: Mapping[str, str],
    example: NDArray[np.float32] | None,
) -> None:
    """Card, plots and model, as files of the run."""
    from dfp_platform.models.mlflow_flavor import write_model

    client.log_text(run.info.run_id, trained.card.to_json().decode(), "card.json")
    for name, text in plots.items():
        client.log_text(run.info.run_id, text, f"{PLOTS}/{name}")
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), trained.files, example)
        client.log_artifacts(run.info.run_id, folder, MODEL)


def _parameters(card: ModelCard) -> dict[str, Any]:
    """The whole configuration, one dotted key each."""
    return flattened({group: part for group, part in card.config.items() if isinstance(part, dict)})


def card_tags(card: ModelCard) -> dict[str, str]:
    """What a model's card says of its origin, as tags: columns, table, apps, and the libraries that took part."""
    return {
        "model": card.name,
        "device": card.device,
        "schema_hash": card.schema_hash,
        "synthetic": str(card.synthetic).lower(),
        "training_table.content": card.origin.content or "",
        "training_apps": str(card.slices["training"].apps),
        "training_last_date": str(card.slices["training"].last_date or ""),
        **{f"library.{name}": version for name, version in card.libraries.items()},
    }


def _metrics(trained: TrainedModel, metrics: Mapping[str, float], *, at: int) -> list[Metric]:
    """All figures, stamped with the start of the run (milliseconds)."""
    from mlflow.entities import Metric

    figures = {"threshold": trained.card.threshold, **trained.card.figures, **metrics}
    logged = [Metric(name, value, at, 0) for name, value in sorted(figures.items())]
    for step, (training, calibration) in enumerate(trained.history, start=1):
        logged += [Metric("epoch_training_loss", training, at, step)]
        logged += [Metric("epoch_calibration_loss", calibration, at, step)]
    return logged
