"""MLflow as assets see it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.training import TrainedModel


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
        self, context: dg.AssetExecutionContext, trained: "TrainedModel", metrics: Mapping[str, float] | None = None
    ) -> str:
        """Log one training and more figures of it, once per run of Dagster; return the MLflow run's id."""
        from dfp_platform.models.tracking import lake_tags, track_training

        folder = settings().home / "mlflow"
        folder.mkdir(parents=True, exist_ok=True)
        store, ref = self.lake.store, self.lake.ref
        tags = lake_tags(
            repository=store.uri,
            ref=ref,
            commit=store.resolve(ref),
            split_version=trained.card.origin.split_version or "",
            split_seed="none",
        )
        return track_training(
            trained,
            uri=self.address,
            artifacts=folder / "artifacts",
            key=f"{context.run_id}/{trained.card.name}",
            tags={**tags, "dagster.run_id": context.run_id},
            metrics=metrics,
        )
