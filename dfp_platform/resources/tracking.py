"""MLflow as assets see it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from dfp_platform.features.repository import DEVICE
from dfp_platform.resources.code_version import git_tags
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.links import tracked_at
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.card import ModelCard
    from dfp_platform.models.parts import Parts
    from dfp_platform.models.training import TrainedModel

TRACKED_TAG = "mlflow/runs"
"""Run tag of Dagster: `open` from before its first MLflow run begins; `ended` once the reconciler has looked."""


class TrackingResource(dg.ConfigurableResource):
    """Logs trainings, each with the lake repository, ref and commit it learned from.

    Attributes:
        uri: MLflow's address; empty: the configured one.
    """

    lake: dg.ResourceDependency[LakeResource]
    uri: str = ""

    @property
    def address(self) -> str:
        return self.uri or settings().mlflow_uri

    def log(
        self,
        context: dg.AssetExecutionContext,
        trained: "TrainedModel",
        apps: "Parts",
        metrics: Mapping[str, float] | None = None,
    ) -> str:
        """Log one training with its plots, once per run of Dagster; return the MLflow run's id.

        Args:
            apps: what it was trained on, and the test that its plots show.
            metrics: more figures of it.
        """
        from dfp_platform.models.tracking import DAGSTER_RUN, track_training

        folder = settings().home / "mlflow"
        folder.mkdir(parents=True, exist_ok=True)
        if context.run.tags.get(TRACKED_TAG) != "open":
            context.instance.add_run_tags(context.run_id, {TRACKED_TAG: "open"})
        return track_training(
            trained,
            uri=self.address,
            artifacts=folder / "artifacts",
            key=f"{context.run_id}/{trained.card.name}",
            tags={**self._lineage(trained.card), **git_tags(), DAGSTER_RUN: context.run_id},
            metrics=metrics,
            plots=_plots(trained, apps),
            example=apps.training.matrix[0] if len(apps.training) else None,
        )

    def shown(self, run_id: str) -> dict[str, Any]:
        """Metadata of a materialization: the MLflow run, with a link to its page where a server shows it."""
        page = tracked_at(self.address, run_id)
        return {"mlflow run": run_id} | ({"mlflow": dg.MetadataValue.url(page)} if page else {})

    def _lineage(self, card: "ModelCard") -> dict[str, str]:
        from dfp_platform.lake.ownership import read_ownership
        from dfp_platform.models.tracking import lake_tags

        store, ref = self.lake.store, self.lake.ref
        commit = store.resolve(ref)
        owner = read_ownership(store, commit)
        split = card.configuration.split
        return {
            **lake_tags(
                repository=store.uri,
                branch=(owner.target or "") if owner else ref,
                ref=ref,
                commit=commit,
                split_version=card.origin.split_version or "",
                split_seed=(card.origin.split_version or "") if split.by == "hash" else "none",
            ),
            "split.by": split.by,
            "feature_service": self._feature_service(card),
        }

    def _feature_service(self, card: "ModelCard") -> str:
        """The service of just these features of this device; empty: there is none."""
        from dfp_platform.features.vectors import features_at
        from dfp_platform.models.data import feature_schema_hash

        served = feature_schema_hash(features_at(self.lake.store, self.lake.ref)) == card.schema_hash
        return card.kind if served and card.device == DEVICE else ""


def _plots(trained: "TrainedModel", apps: "Parts") -> dict[str, str]:
    from dfp_platform.models.weights import load_model
    from dfp_platform.reports.training_plots import detection_plots, loss_plot

    card, test, plots = trained.card, apps.test, loss_plot(trained.history)
    if not len(test):
        return plots
    scores = load_model(trained.files).score(test.columns(card.features))
    return plots | detection_plots(card.name, scores, test.labels, threshold=card.threshold)
