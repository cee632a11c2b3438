"""mobile/: models as phones run them, each held against its original."""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.models import TRAINING, training_data
from dfp_platform.settings import settings


@dg.asset(
    key=["mobile", "autoencoder_onnx"],
    ins={"autoencoder": dg.AssetIn(["models", "autoencoder"])},
    io_manager_key="mobile",
    group_name="mobile",
    code_version="1",
    kinds={"onnx"},
)
def autoencoder_onnx(context: dg.AssetExecutionContext, autoencoder: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The autoencoder as one ONNX file: raw counts in, score out."""
    from dfp_platform.mobile.interface import EXPORTERS

    artifact = EXPORTERS["onnx"].export(autoencoder)
    context.add_output_metadata({"model bytes": len(artifact.data), "threshold": artifact.card.threshold})
    return artifact.files


@dg.asset_check(
    asset=["mobile", "autoencoder_onnx"],
    name="parity_with_pytorch",
    blocking=True,
    additional_ins={
        "autoencoder": dg.AssetIn(["models", "autoencoder"]),
        **TRAINING,
    },
)
def parity_with_pytorch(
    artifact: Mapping[str, bytes], autoencoder: Mapping[str, bytes], dataset: pa.Table, places: pa.Table
) -> dg.AssetCheckResult:
    """The artifact's scores are PyTorch's, on the test apps and on seeded outliers, and no label flips."""
    from dfp_platform.mobile.artifact import MobileArtifact
    from dfp_platform.mobile.parity import check_parity

    test = training_data(dataset, places).test.matrix
    parity = check_parity(autoencoder, MobileArtifact.from_files(artifact), test, seed=settings().seed)
    figures = parity.model_dump(mode="json", exclude={"artifact", "passed"})
    metadata = {"figure": parity.share_of_tolerance, "limit": 1.0, **figures}
    return dg.AssetCheckResult(passed=parity.passed, metadata=metadata)


assets = [autoencoder_onnx]
checks = [parity_with_pytorch]
