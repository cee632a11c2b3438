"""models/: networks trained on the past, judged on the future."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.plots import evaluation_plots
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.tracking import TrackingResource
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.card import Origin
    from dfp_platform.models.data import TrainingData

TRAINING = {
    "dataset": dg.AssetIn(["tables", "marts", "fct_training_dataset"], input_manager_key="iceberg"),
    "places": dg.AssetIn(["tables", "marts", "split_index"], input_manager_key="iceberg"),
}
"""What `training_data` takes: the apps, and their places in time."""

MODELS = ("autoencoder", "xgboost")
GUESSING = 0.5


@dg.asset(
    key=["models", "autoencoder"],
    ins=TRAINING,
    io_manager_key="weights",
    group_name="models",
    code_version="1",
    kinds={"pytorch"},
)
def autoencoder(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    tracking: TrackingResource,
    dataset: pa.Table,
    places: pa.Table,
) -> Mapping[str, bytes]:
    """One-class autoencoder of benign apps of the past, with the alarm threshold calibrated on later ones."""
    from dfp_platform.models.configs import AutoencoderConfig
    from dfp_platform.models.training import train_autoencoder

    config = AutoencoderConfig(seed=settings().seed)
    origin, synthetic = _origin(lake)
    trained = train_autoencoder(
        training_data(dataset, places), config=config, origin=origin, synthetic=synthetic, progress=False
    )
    _describe(context, tracking.log(context, trained), trained.card.figures, trained.card.threshold)
    return trained.files


@dg.asset(
    key=["models", "xgboost"],
    ins=TRAINING,
    io_manager_key="weights",
    group_name="models",
    code_version="1",
    kinds={"xgboost"},
)
def xgboost(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    tracking: TrackingResource,
    dataset: pa.Table,
    places: pa.Table,
) -> Mapping[str, bytes]:
    """Gradient-boosted trees on the same apps, with labels: the reference a neural detector is judged against."""
    from dfp_platform.models.configs import ReferenceConfig
    from dfp_platform.models.reference import train_reference

    config = ReferenceConfig(seed=settings().seed)
    origin, synthetic = _origin(lake)
    trained = train_reference(training_data(dataset, places), config=config, origin=origin, synthetic=synthetic)
    _describe(context, tracking.log(context, trained), trained.card.figures, trained.card.threshold)
    return trained.files


@dg.asset(
    key=["models", "evaluation"],
    ins={**TRAINING, **{name: dg.AssetIn(["models", name]) for name in MODELS}},
    io_manager_key="report",
    group_name="models",
    code_version="1",
    kinds={"python"},
)
def evaluation(
    context: dg.AssetExecutionContext,
    dataset: pa.Table,
    places: pa.Table,
    autoencoder: Mapping[str, bytes],
    xgboost: Mapping[str, bytes],
) -> Mapping[str, bytes]:
    """Scores of every model on apps newer than all it was trained on, over time and with intervals."""
    from dfp_platform.models.evaluation import evaluate
    from dfp_platform.models.weights import load_model

    models = {"autoencoder": load_model(autoencoder), "xgboost": load_model(xgboost)}
    judged = evaluate(models, training_data(dataset, places), seed=settings().seed)
    context.add_output_metadata({f"{m.model} ROC-AUC": m.overall.roc_auc or 0.0 for m in judged.models})
    context.add_output_metadata(evaluation_plots(judged.model_dump(mode="json")["models"]))
    return {"report.json": judged.to_json()}


def alarms_as_calibrated(name: str) -> dg.AssetChecksDefinition:
    """The share of benign calibration apps above the threshold is what the model was calibrated for."""

    @dg.asset_check(
        asset=["models", name],
        name="alarms_as_calibrated",
        blocking=True,
        additional_ins=TRAINING,
    )
    def check(files: Mapping[str, bytes], dataset: pa.Table, places: pa.Table) -> dg.AssetCheckResult:
        from dfp_platform.models.weights import load_model, read_card

        later = training_data(dataset, places).calibration.benign.matrix
        model, limit = load_model(files), float(read_card(files).config["false_positive_rate"])
        share = float(model.label(model.score(later)).mean())
        return dg.AssetCheckResult(passed=share <= limit + 1 / len(later), metadata={"figure": share, "limit": limit})

    return check


@dg.asset_check(
    asset=["models", "evaluation"],
    name="better_than_guessing",
    blocking=True,
)
def better_than_guessing(report: Mapping[str, bytes]) -> dg.AssetCheckResult:
    """Every model ranks malware above benign apps more often than a coin would."""
    from dfp_platform.models.evaluation import Evaluation

    worst = min(m.overall.roc_auc or 0.0 for m in Evaluation.from_json(report["report.json"]).models)
    return dg.AssetCheckResult(passed=worst > GUESSING, metadata={"figure": worst, "limit": GUESSING})


def training_data(dataset: pa.Table, places: pa.Table) -> "TrainingData":
    """The apps of the real device, oldest first."""
    from dfp_platform.models.data import TrainingData, placed

    return TrainingData.from_arrow(placed(dataset, places), device="real_device")


def _origin(lake: LakeResource) -> "tuple[Origin, bool]":
    """Where the training table came from, and whether its apps were generated."""
    from dfp_platform.ingest import origin
    from dfp_platform.models.card import Origin

    content = lake.content("tables/marts/fct_training_dataset")
    synthetic = origin(lake.store, lake.ref, "kronodroid_real_device").synthetic
    return Origin(content=content, split_version="v1"), synthetic


def _describe(context: dg.AssetExecutionContext, mlflow_run: str, figures: Mapping[str, float], limit: float) -> None:
    context.add_output_metadata({"mlflow run": mlflow_run, "threshold": limit, **figures})


assets = [autoencoder, xgboost, evaluation]
checks = [*map(alarms_as_calibrated, MODELS), better_than_guessing]
