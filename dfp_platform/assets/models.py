"""models/: networks trained on the past, judged on the future."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import LINE, configured, every_choice, is_network, launchpad
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.tracking import TrackingResource
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.card import Origin
    from dfp_platform.models.parts import Parts

TRAINING = {
    "dataset": dg.AssetIn(["tables", "marts", "fct_training_dataset"], input_manager_key="iceberg"),
    "places": dg.AssetIn(["tables", "marts", "split_index"], input_manager_key="iceberg"),
}
"""The apps, and their places in time: what `placed` puts together."""

MODELS = LINE
"""The models of the main line."""


def trained(name: str, *, group: str) -> dg.AssetsDefinition:
    """The asset of one model. What its launchpad asks for is the tree of `models.configs.Configuration`."""
    preset, device = every_choice()[name]

    @dg.asset(
        key=["models", name],
        ins=TRAINING,
        config_schema=launchpad(name),
        io_manager_key="weights",
        group_name=group,
        code_version="2",
        kinds={"pytorch" if is_network(name) else "xgboost"},
        description=f"The preset {preset} trained on apps of the {device.replace('_', ' ')}, with its alarm threshold.",
    )
    def model(
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        tracking: TrackingResource,
        dataset: pa.Table,
        places: pa.Table,
    ) -> Mapping[str, bytes]:
        from dfp_platform.models.data import placed
        from dfp_platform.models.parts import parts
        from dfp_platform.models.training import train

        configuration = configured(name, context.op_execution_context.op_config)
        apps = parts(placed(dataset, places), configuration.data, configuration.split)
        origin, synthetic = origin_of(lake, device)
        made = train(
            apps,
            configuration,
            origin=origin,
            synthetic=synthetic,
            progress=False,
            checkpoints=settings().home / "checkpoints",
        )
        figures = _test_figures(made.files, apps)
        run = tracking.log(context, made, apps, figures)
        context.add_output_metadata(
            {"mlflow run": run, "threshold": made.card.threshold, **made.card.figures, **figures}
        )
        context.add_output_metadata({"configuration": dg.MetadataValue.json(made.card.config)})
        return made.files

    return model


def alarms_as_calibrated(name: str) -> dg.AssetChecksDefinition:
    """The share of benign calibration apps above the threshold is what the model was calibrated for."""

    @dg.asset_check(
        asset=["models", name],
        name="alarms_as_calibrated",
        blocking=True,
        additional_ins=TRAINING,
    )
    def check(files: Mapping[str, bytes], dataset: pa.Table, places: pa.Table) -> dg.AssetCheckResult:
        from dfp_platform.models.data import placed
        from dfp_platform.models.parts import parts
        from dfp_platform.models.weights import load_model

        model = load_model(files)
        told = model.card.configuration
        later, limit = (
            parts(placed(dataset, places), told.data, told.split).calibration.benign.matrix,
            told.training.false_positive_rate,
        )
        share = float(model.label(model.score(later)).mean())
        return dg.AssetCheckResult(passed=share <= limit + 1 / len(later), metadata={"figure": share, "limit": limit})

    return check


def _test_figures(files: Mapping[str, bytes], apps: "Parts") -> dict[str, float]:
    """How a model does on the test of its own split; nothing where there is none."""
    from dfp_platform.models.evaluation import evaluate
    from dfp_platform.models.tracking import headline_figures
    from dfp_platform.models.weights import load_model

    if not len(apps.test):
        return {}
    return headline_figures(evaluate({"": [load_model(files)]}, apps, seed=0, resamples=0).models[0])


def origin_of(lake: LakeResource, device: str) -> "tuple[Origin, bool]":
    """Where the training table came from, and whether its apps were generated."""
    from dfp_platform.ingest import origin
    from dfp_platform.models.card import Origin

    content = lake.content("tables/marts/fct_training_dataset")
    synthetic = origin(lake.store, lake.ref, f"kronodroid_{device}").synthetic
    return Origin(content=content, split_version="v1"), synthetic


assets = [trained(name, group="models") for name in MODELS]
beyond = [trained(name, group="presets") for name in every_choice() if name not in MODELS]
"""Models that a run makes when it is asked for them by name or preset."""

checks = [alarms_as_calibrated(name) for name in every_choice()]
