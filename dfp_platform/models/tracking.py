"""One training in MLflow, once, whatever is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import InvalidNameError
from dfp_platform.models.card import ModelCard
from dfp_platform.models.evaluation import ModelEvaluation
from dfp_platform.models.mlflow_client import talking_to
from dfp_platform.models.presets import flattened
from dfp_platform.models.training import TrainedModel

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

KEY = "dfp.key"
EXPERIMENT = "dfp"
_METRICS_A_CALL = 1_000  # MLflow refuses more


def track_training(
    trained: TrainedModel,
    *,
    uri: str,
    artifacts: Path,
    key: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float] | None = None,
) -> str:
    """The id of the finished MLflow run that holds this training.

    A run with this key that finished is returned as it is; one that did not (its process died, or logging failed) is
    deleted and made again. The run is ended in every case. A first call on a new database takes seconds.

    Args:
        trained: what to log: config as params, figures and losses as metrics, the card as artifact.
        uri: MLflow's address, ``sqlite:////home/.dfp/mlflow.db`` or a server.
        artifacts: folder of the experiment's artifacts, used when the experiment is made.
        key: names this training, ``<Dagster run>/<model>``; no quotes.
        tags: what the caller knows: `lake_tags`, the git commit.
        metrics: more figures, see `headline_figures`.

    Raises:
        InvalidNameError: the key holds a quote or is empty.
        UnreachableError: MLflow did not take it.
    """
    if not key or any(mark in key for mark in "'\"`\\"):
        raise InvalidNameError(f"tracking key {key!r} is empty or holds a quote", hint="use letters and -", name=key)
    with talking_to(uri, task=f"take the training {key}") as client:
        experiment = _experiment(client, artifacts)
        finished = _finished_run(client, experiment, key)
        return finished or _log(client, experiment, trained, key=key, tags=tags, metrics=metrics or {})


def lake_tags(*, repository: str, ref: str, commit: str, split_version: str, split_seed: str) -> dict[str, str]:
    """Tags that lead from an MLflow run back to its exact inputs."""
    return {
        "lake.repository": repository,
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


def _experiment(client: MlflowClient, artifacts: Path) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            return client.create_experiment(EXPERIMENT, artifact_location=artifacts.resolve().as_uri())
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


def _log(
    client: MlflowClient,
    experiment: str,
    trained: TrainedModel,
    *,
    key: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
) -> str:
    from mlflow.entities import Param, RunTag

    card = trained.card
    info = client.create_run(experiment, tags={KEY: key}, run_name=f"{card.name} {key}").info
    run = info.run_id
    try:
        client.log_batch(
            run,
            params=[Param(name, str(value)) for name, value in sorted(_parameters(card).items())],
            tags=[RunTag(name, value) for name, value in sorted((_card_tags(card) | dict(tags)).items())],
        )
        figures = _metrics(trained, metrics, at=info.start_time)
        for first in range(0, len(figures), _METRICS_A_CALL):
            client.log_batch(run, metrics=figures[first : first + _METRICS_A_CALL])
        client.log_text(run, card.to_json().decode(), "card.json")
    except BaseException:
        client.set_terminated(run, status="FAILED")
        raise
    client.set_terminated(run, status="FINISHED")
    return run


def _parameters(card: ModelCard) -> dict[str, Any]:
    """The whole configuration, one dotted key each."""
    return flattened({group: part for group, part in card.config.items() if isinstance(part, dict)})


def _card_tags(card: ModelCard) -> dict[str, str]:
    return {
        "model": card.name,
        "device": card.device,
        "schema_hash": card.schema_hash,
        "synthetic": str(card.synthetic).lower(),
        "training_table.content": card.origin.content or "",
        "training_apps": str(card.slices["training"].apps),
        "training_last_date": str(card.slices["training"].last_date or ""),
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
