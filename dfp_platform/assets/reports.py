"""reports/: what was measured, and the page a person reads."""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.models import MODELS, TRAINING_TABLE


@dg.asset(
    key=["reports", "host_latency"],
    ins={
        "dataset": TRAINING_TABLE,
        "artifact": dg.AssetIn(["mobile", "autoencoder_onnx"]),
        **{name: dg.AssetIn(["models", name]) for name in MODELS},
    },
    io_manager_key="report",
    group_name="reports",
    code_version="1",
    kinds={"python"},
)
def host_latency(
    context: dg.AssetExecutionContext,
    dataset: pa.Table,
    artifact: Mapping[str, bytes],
    autoencoder: Mapping[str, bytes],
    xgboost: Mapping[str, bytes],
) -> Mapping[str, bytes]:
    """How long one app takes on this machine, by model and runtime."""
    from dfp_platform.mobile.artifact import MobileArtifact
    from dfp_platform.mobile.benchmark import artifact_subject, measure_latency, model_subject
    from dfp_platform.models.data import TrainingData

    subjects = [
        artifact_subject(MobileArtifact.from_files(artifact)),
        *(model_subject(model) for model in (autoencoder, xgboost)),
    ]
    measured = measure_latency(subjects, TrainingData.from_arrow(dataset, device="real_device").test.matrix)
    for row in measured.rows:
        context.add_output_metadata({f"{row.runtime} {row.model} p50 (us)": row.p50_us})
    return {"report.json": measured.to_json()}


@dg.asset_check(
    asset=["reports", "host_latency"],
    name="measured_quietly",
)
def measured_quietly(report: Mapping[str, bytes]) -> dg.AssetCheckResult:
    """The rounds of each measurement agree; a disturbed one is kept and marked."""
    from dfp_platform.mobile.benchmark import NOISE_LIMIT, HostLatency

    rows = HostLatency.from_json(report["report.json"]).rows
    return dg.AssetCheckResult(
        passed=all(row.valid for row in rows),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"figure": max(row.noise for row in rows), "limit": NOISE_LIMIT},
    )


assets = [host_latency]
checks = [measured_quietly]
