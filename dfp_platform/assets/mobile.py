"""mobile/: models as phones run them, each held against its original."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import artifacts_of, assets_of, every_choice
from dfp_platform.assets.models import MODELS, TRAINING
from dfp_platform.assets.plots import size_plot
from dfp_platform.resources.checks import asset_check
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.parts import Parts

ARTIFACTS = {asset: (name, *kind) for name in every_choice() for asset, kind in artifacts_of(name).items()}
"""Every way to phones: key path of the asset → model, exporter and precision."""

LINE = {asset for name in MODELS for asset in assets_of(name)} & set(ARTIFACTS)
"""Those of the main line."""


def exported(asset: str, *, group: str) -> dg.AssetsDefinition:
    """The asset of one network as one file of a runtime. 8 bits are calibrated by the apps of the model's own split."""
    model, exporter, precision = ARTIFACTS[asset]

    @dg.asset(
        key=asset.split("/"),
        ins={"model": dg.AssetIn(["models", model]), **(TRAINING if precision.startswith("int8") else {})},
        io_manager_key="mobile",
        group_name=group,
        code_version="2",
        kinds={exporter},
        description=f"The network {model} for {exporter} in {precision}: raw counts in, score and error out.",
    )
    def artifact(context: dg.AssetExecutionContext, **inputs: Any) -> Mapping[str, bytes]:
        from dfp_platform.mobile.exporting import calibration_of, export
        from dfp_platform.models.weights import read_card

        files: Mapping[str, bytes] = inputs["model"]
        calibration = None
        if precision.startswith("int8"):
            rate = read_card(files).configuration.training.false_positive_rate
            calibration = calibration_of(
                own_split(files, inputs["dataset"], inputs["places"]), false_positive_rate=rate
            )
        made = export(files, exporter=exporter, precision=precision, calibration=calibration)
        context.add_output_metadata(size_plot(len(made.data), sum(map(len, files.values()))))
        context.add_output_metadata({"model bytes": len(made.data), "threshold": made.card.threshold})
        return made.files

    return artifact


def parity_with_pytorch(asset: str) -> dg.AssetChecksDefinition:
    """On the test apps and on seeded outliers an fp32 artifact answers as PyTorch; with fewer bits it ranks as well."""

    @asset_check(
        asset=asset.split("/"),
        name="parity_with_pytorch",
        blocking=True,
        additional_ins={"model": dg.AssetIn(["models", ARTIFACTS[asset][0]]), **TRAINING},
        description=parity_with_pytorch.__doc__ or "",
    )
    def check(
        artifact: Mapping[str, bytes], model: Mapping[str, bytes], dataset: pa.Table, places: pa.Table
    ) -> dg.AssetCheckResult:
        from dfp_platform.mobile.artifact import MobileArtifact
        from dfp_platform.mobile.parity import QUANTISED_LOSS, check_parity

        test = own_split(model, dataset, places).test
        held = MobileArtifact.from_files(artifact)
        parity = check_parity(model, held, test.matrix, labels=test.labels, seed=settings().seed)
        figures = parity.model_dump(mode="json", exclude={"artifact", "passed"})
        exact = {"figure": parity.share_of_tolerance, "limit": 1.0, "unit": "largest difference over what is tolerated"}
        ranking = {"figure": parity.roc_auc_change, "limit": -QUANTISED_LOSS, "unit": "change of ROC-AUC"}
        told = exact if parity.precision == "fp32" else ranking
        return dg.AssetCheckResult(passed=parity.passed, metadata={**told, **figures})

    return check


def own_split(model: Mapping[str, bytes], dataset: pa.Table, places: pa.Table) -> "Parts":
    """The apps that a model was fitted on, calibrated by and is tested on, as its own card tells."""
    from dfp_platform.models.data import placed
    from dfp_platform.models.parts import parts
    from dfp_platform.models.weights import read_card

    told = read_card(model).configuration
    return parts(placed(dataset, places), told.data, told.split)


def _group(asset: str) -> str:
    model, exporter, precision = ARTIFACTS[asset]
    return "presets" if (exporter, precision) == ("onnx", "fp32") and model not in MODELS else "mobile"


assets = [exported(asset, group="mobile") for asset in ARTIFACTS if asset in LINE]
beyond = [exported(asset, group=_group(asset)) for asset in ARTIFACTS if asset not in LINE]
"""Exports that a run makes when it is asked for them or for their model."""

checks = [parity_with_pytorch(asset) for asset in ARTIFACTS]
