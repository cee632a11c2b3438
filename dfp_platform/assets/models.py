"""models/: networks trained on the past, judged on the future."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import LINE, configured, every_choice, is_network, launchpad
from dfp_platform.assets.freshness import freshness
from dfp_platform.assets.plots import training_plots
from dfp_platform.resources.checks import asset_check
from dfp_platform.resources.lake import LakeResource
from dfp_platform.resources.tracking import TrackingResource
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.card import Origin
    from dfp_platform.models.evaluation import ModelEvaluation
    from dfp_platform.models.parts import Parts

TRAINING = {
    "dataset": dg.AssetIn(["tables", "marts", "fct_training_dataset"], input_manager_key="iceberg"),
    "places": dg.AssetIn(["tables", "marts", "split_index"], input_manager_key="iceberg"),
}
"""The apps, and their places in time: what `placed` puts together."""

_SLICES = {"test_unseen_packages_": "test, unseen packages: ", "test_": "test: "}
_WORDS = {"roc_auc": "ROC-AUC", "f1": "F1", "usual_error": "largest usual error"}
"""Labels of figures that are more than their names without underscores."""

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
        freshness_policy=freshness() if name in LINE else None,
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
        from dfp_platform.models.tracking import headline_figures
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
        judged = _tested(made.card.name, made.files, apps)
        figures = headline_figures(judged) if judged else {}
        run = tracking.log(context, made, apps, figures)
        context.add_output_metadata(training_plots(made.history, judged.model_dump(mode="json") if judged else None))
        context.add_output_metadata(
            {**tracking.shown(run), "threshold": made.card.threshold, **labelled({**made.card.figures, **figures})}
        )
        context.add_output_metadata({"configuration": dg.MetadataValue.json(made.card.config)})
        return made.files

    return model


def alarms_as_calibrated(name: str) -> dg.AssetChecksDefinition:
    """Of the benign calibration apps the share raises an alarm that the model was calibrated for, or one app more."""

    @asset_check(
        asset=["models", name],
        name="alarms_as_calibrated",
        blocking=True,
        additional_ins=TRAINING,
        description=alarms_as_calibrated.__doc__ or "",
    )
    def check(files: Mapping[str, bytes], dataset: pa.Table, places: pa.Table) -> dg.AssetCheckResult:
        from dfp_platform.models.data import placed
        from dfp_platform.models.parts import parts
        from dfp_platform.models.weights import load_model

        model = load_model(files)
        told = model.card.configuration
        later = parts(placed(dataset, places), told.data, told.split).calibration.benign.matrix
        rate = told.training.false_positive_rate
        share, limit = float(model.label(model.score(later)).mean()), rate + 1 / len(later)
        return dg.AssetCheckResult(
            passed=share <= limit,
            metadata={
                "figure": share,
                "limit": limit,
                "unit": "share of benign calibration apps that raise an alarm",
                "calibrated for": rate,
                "benign calibration apps": len(later),
            },
        )

    return check


def labelled(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures under labels that can be read, and that a page can break: ``test, unseen packages: F1``."""
    found = {}
    for name, value in figures.items():
        slice_of, told = next(
            ((text, name.removeprefix(key)) for key, text in _SLICES.items() if name.startswith(key)), ("", name)
        )
        found[slice_of + _WORDS.get(told, told.replace("_", " "))] = value
    return found


def _tested(name: str, files: Mapping[str, bytes], apps: "Parts") -> "ModelEvaluation | None":
    """How a model does on the test of its own split; None where there is none."""
    from dfp_platform.models.evaluation import evaluate
    from dfp_platform.models.weights import load_model

    if not len(apps.test):
        return None
    (judged,) = evaluate({name: [load_model(files)]}, apps, seed=0, resamples=0).models
    return judged


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
