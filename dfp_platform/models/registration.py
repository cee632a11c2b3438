"""MLflow's registered models follow what the lake says: one version a content, and its aliases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfp_platform.models.mlflow_client import talking_to
from dfp_platform.models.tracking import EXPERIMENT, KEY, MODEL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

CHAMPION, CHALLENGER = "champion", "challenger"
CONTENT, DATA_TAG = "lake.content", "lake.data_tag"

_LINEAGE = (
    "lake.",
    "split.",
    "git.",
    "library.",
    "dagster.",
    "feature_service",
    "schema_hash",
    "training_",
    "synthetic",
)
"""Tags of a training's run that its registered version bears too."""


@dataclass(frozen=True, slots=True)
class Published:
    """A model that was published.

    Attributes:
        name: the model's noun, ``autoencoder``.
        content: content id of its files in the lake.
        key: what its training was tracked under, see `tracking.track_training`.
        data_tag: lake tag of the exact inputs of its training.
    """

    name: str
    content: str
    key: str
    data_tag: str


@dataclass(frozen=True, slots=True)
class Registered:
    """What MLflow knows of one content of a model: its version, the training's run, and its metrics."""

    version: str
    run_id: str
    metrics: Mapping[str, float]


def follow(*, uri: str, published: Published, champion: str, challenger: str | None = None) -> str | None:
    """Register what was published, and make the aliases of its model those of the lake; return its version.

    The version is made if there is none of this content yet; an alias whose content MLflow does not know is taken
    away: it would name another model. Doing it again changes nothing.

    Args:
        uri: MLflow's address.
        champion: content id of the champion.
        challenger: content id of the challenger; None: there is none.
    Returns:
        The version; None if MLflow knows no such training (another MLflow, or a lost database).
    Raises:
        UnreachableError: MLflow did not take it.
    """
    name = published.name
    with talking_to(uri, task=f"register {name}") as client:
        version = _version(client, name, published.content) or _register(client, published)
        if client.search_registered_models(f"name = '{name}'"):
            _point(client, name, {CHAMPION: champion, CHALLENGER: challenger})
        return version


def registered(*, uri: str, name: str, contents: Iterable[str]) -> dict[str, Registered]:
    """What MLflow knows of these contents of a model, by content id. Raises UnreachableError."""
    found = {}
    with talking_to(uri, task=f"tell about {name}") as client:
        for content in contents:
            for version in client.search_model_versions(f"name = '{name}' and tags.`{CONTENT}` = '{content}'")[:1]:
                metrics = client.get_run(version.run_id).data.metrics if version.run_id else {}
                found[content] = Registered(str(version.version), str(version.run_id or ""), metrics)
    return found


def _point(client: MlflowClient, name: str, wanted: Mapping[str, str | None]) -> None:
    held = client.get_registered_model(name).aliases
    for alias, content in wanted.items():
        version = _version(client, name, content) if content else None
        if version is None and alias in held:
            client.delete_registered_model_alias(name, alias)
        elif version is not None and str(held.get(alias)) != version:
            client.set_registered_model_alias(name, alias, version)


def _version(client: MlflowClient, name: str, content: str) -> str | None:
    found = client.search_model_versions(f"name = '{name}' and tags.`{CONTENT}` = '{content}'")
    return str(found[0].version) if found else None


def _register(client: MlflowClient, published: Published) -> str | None:
    run = _training(client, published.key)
    if run is None:
        return None
    if not client.search_registered_models(f"name = '{published.name}'"):
        client.create_registered_model(published.name)
    tags = {CONTENT: published.content, DATA_TAG: published.data_tag}
    for key, value in tags.items():  # known only now that it is published
        client.set_tag(run.info.run_id, key, value)
    lineage = {key: value for key, value in run.data.tags.items() if key.startswith(_LINEAGE)}
    source = f"{run.info.artifact_uri}/{MODEL}"
    made = client.create_model_version(published.name, source, run_id=run.info.run_id, tags=lineage | tags)
    return str(made.version)


def _training(client: MlflowClient, key: str) -> Run | None:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    found = client.search_runs([experiment.experiment_id], filter_string=f"tags.`{KEY}` = '{key}'")
    return found[0] if found else None
