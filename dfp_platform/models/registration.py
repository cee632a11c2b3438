"""MLflow's registered models: which version of a model is the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfp_platform.models.mlflow_client import talking_to
from dfp_platform.models.tracking import EXPERIMENT, KEY

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
CONTENT = "lake.content"


def crown(*, uri: str, name: str, key: str, content: str, data_tag: str) -> str | None:
    """Give the alias `champion` of a registered model to the version with this content; return the version.

    The version is made if there is none of this content yet. Doing it again changes nothing.

    Args:
        uri: MLflow's address.
        name: the model's noun, ``autoencoder``.
        key: what its training was tracked under, see `tracking.track_training`.
        content: content id of its files in the lake.
        data_tag: lake tag of the exact inputs of its training.
    Returns:
        The version; None if MLflow knows no such training (another MLflow, or a lost database).
    Raises:
        UnreachableError: MLflow did not take it.
    """
    with talking_to(uri, task=f"register {name}") as client:
        version = _version(client, name, content) or _register(client, name, key, content, data_tag)
        if version is not None and client.get_registered_model(name).aliases.get(CHAMPION) != version:
            client.set_registered_model_alias(name, CHAMPION, version)
        return version


def _version(client: MlflowClient, name: str, content: str) -> str | None:
    found = client.search_model_versions(f"name = '{name}' and tags.`{CONTENT}` = '{content}'")
    return str(found[0].version) if found else None


def _register(client: MlflowClient, name: str, key: str, content: str, data_tag: str) -> str | None:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    runs = client.search_runs([experiment.experiment_id], filter_string=f"tags.`{KEY}` = '{key}'")
    if not runs:
        return None
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    tags = {CONTENT: content, "lake.data_tag": data_tag}
    made = client.create_model_version(name, runs[0].info.artifact_uri, run_id=runs[0].info.run_id, tags=tags)
    return str(made.version)
