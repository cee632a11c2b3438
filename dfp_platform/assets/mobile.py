"""mobile/: models as phones run them, each held against its original."""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import every_choice, is_network
from dfp_platform.assets.models import MODELS, TRAINING
from dfp_platform.settings import settings

NETWORKS = [name for name in every_choice() if is_network(name)]
"""Models that have a way to phones."""


def exported(name: str, *, group: str) -> dg.AssetsDefinition:
    """The asset of one network as an ONNX file."""

    @dg.asset(
        key=["mobile", f"{name}_onnx"],
        ins={"model": dg.AssetIn(["models", name])},
        io_manager_key="mobile",
        group_name=group,
        code_version="2",
        kinds={"onnx"},
        description=f"The network {name} as one ONNX file: raw counts in, score and reconstruction error out.",
    )
    def onnx(context: dg.AssetExecutionContext, model: Mapping[str, bytes]) -> Mapping[str, bytes]:
        from dfp_platform.mobile.interface import EXPORTERS

        artifact = EXPORTERS["onnx"].export(model)
        context.add_output_metadata({"model bytes": len(artifact.data), "threshold": artifact.card.threshold})
        return artifact.files

    return onnx


def parity_with_pytorch(name: str) -> dg.AssetChecksDefinition:
    """The artifact's answers are PyTorch's, on the test apps and on seeded outliers, and no label flips."""

    @dg.asset_check(
        asset=["mobile", f"{name}_onnx"],
        name="parity_with_pytorch",
        blocking=True,
        additional_ins={"model": dg.AssetIn(["models", name]), **TRAINING},
        description=parity_with_pytorch.__doc__,
    )
    def check(
        artifact: Mapping[str, bytes], model: Mapping[str, bytes], dataset: pa.Table, places: pa.Table
    ) -> dg.AssetCheckResult:
        from dfp_platform.mobile.artifact import MobileArtifact
        from dfp_platform.mobile.parity import check_parity
        from dfp_platform.models.data import placed
        from dfp_platform.models.parts import parts
        from dfp_platform.models.weights import read_card

        told = read_card(model).configuration
        test = parts(placed(dataset, places), told.data, told.split).test.matrix
        parity = check_parity(model, MobileArtifact.from_files(artifact), test, seed=settings().seed)
        figures = parity.model_dump(mode="json", exclude={"artifact", "passed"})
        metadata = {"figure": parity.share_of_tolerance, "limit": 1.0, **figures}
        return dg.AssetCheckResult(passed=parity.passed, metadata=metadata)

    return check


assets = [exported(name, group="mobile") for name in NETWORKS if name in MODELS]
beyond = [exported(name, group="presets") for name in NETWORKS if name not in MODELS]
"""Exports of the models that a run makes when it is asked for them."""

checks = [parity_with_pytorch(name) for name in NETWORKS]
