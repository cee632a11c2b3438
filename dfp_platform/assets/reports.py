"""reports/: what was measured, and the page a person reads."""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import LABEL_BUDGET
from dfp_platform.assets.models import MODELS, TRAINING
from dfp_platform.assets.plots import apps_plots, latency_plot, leaderboard_plots
from dfp_platform.ingest import origin
from dfp_platform.models.data import TrainingData, placed
from dfp_platform.publishing.evidence import verdicts_so_far
from dfp_platform.resources.checks import asset_check, sample
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings


@dg.asset(
    key=["reports", "host_latency"],
    ins={
        **TRAINING,
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
    places: pa.Table,
    artifact: Mapping[str, bytes],
    autoencoder: Mapping[str, bytes],
    xgboost: Mapping[str, bytes],
) -> Mapping[str, bytes]:
    """How long one app takes on this machine, by model and runtime."""
    from dfp_platform.mobile.artifact import MobileArtifact
    from dfp_platform.mobile.benchmark import artifact_subject, measure_latency, model_subject

    data = TrainingData.from_arrow(placed(dataset, places), device="real_device")
    subjects = [
        artifact_subject(MobileArtifact.from_files(artifact), known=data.features),
        *(model_subject(model, known=data.features) for model in (autoencoder, xgboost)),
    ]
    measured = measure_latency(subjects, data.test.matrix)
    context.add_output_metadata(latency_plot(measured.model_dump(mode="json")["rows"]))
    context.add_output_metadata({f"{row.runtime} {row.model} p50 (us)": row.p50_us for row in measured.rows})
    return {"report.json": measured.to_json()}


@asset_check(
    asset=["reports", "host_latency"],
    name="measured_quietly",
)
def measured_quietly(report: Mapping[str, bytes]) -> dg.AssetCheckResult:
    """The rounds of each measurement agree; a disturbed one is kept and marked."""
    from dfp_platform.mobile.benchmark import HostLatency

    rows = HostLatency.from_json(report["report.json"]).rows
    disturbed = [row for row in rows if not row.valid]
    shown = sample({"runtime": row.runtime, "model": row.model, "rounds differ by": row.noise} for row in disturbed)
    return dg.AssetCheckResult(
        passed=not disturbed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "figure": float(len(disturbed)),
            "limit": 0.0,
            "unit": "measurements that were disturbed",
            "largest difference between rounds": max(row.noise for row in rows),
            **({"disturbed": shown} if shown else {}),
        },
    )


@dg.asset(
    key=["reports", "leaderboard"],
    ins={"evaluation": dg.AssetIn(["models", "evaluation"])},
    deps=[LABEL_BUDGET.split("/")],
    io_manager_key="report",
    group_name="reports",
    code_version="1",
    kinds={"html"},
)
def leaderboard(
    context: dg.AssetExecutionContext, lake: LakeResource, evaluation: Mapping[str, bytes]
) -> Mapping[str, bytes]:
    """Every model that stands on the branch, ranked by how it keeps over time."""
    from dfp_platform.reports.leaderboard import render_leaderboard, rows, verdict

    report = json.loads(evaluation["report.json"])
    labels = lake.files(LABEL_BUDGET).get("report.json")
    budgets = json.loads(labels)["curves"] if labels else []
    page = render_leaderboard(report, content=lake.content("models/evaluation"), budgets=budgets)
    for device in report["devices"]:
        context.add_output_metadata({f"verdict, {device['device'].replace('_', ' ')}": verdict(device["models"])})
        context.add_output_metadata(leaderboard_plots(device))
    return {"index.html": page, "report.json": json.dumps(rows(report), indent=1, sort_keys=True).encode()}


@dg.asset(
    key=["reports", "summary"],
    deps=[
        ["features", "online"],
        ["tables", "marts", "fct_malware_samples"],
        ["tables", "marts", "dim_malware_families"],
    ],
    ins={
        **TRAINING,
        "evaluation": dg.AssetIn(["models", "evaluation"]),
        "latency": dg.AssetIn(["reports", "host_latency"]),
        "artifact": dg.AssetIn(["mobile", "autoencoder_onnx"]),
        **{name: dg.AssetIn(["models", name]) for name in MODELS},
    },
    io_manager_key="report",
    group_name="reports",
    code_version="1",
    kinds={"html"},
)
def summary(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    dataset: pa.Table,
    places: pa.Table,
    evaluation: Mapping[str, bytes],
    latency: Mapping[str, bytes],
    artifact: Mapping[str, bytes],
    autoencoder: Mapping[str, bytes],
    xgboost: Mapping[str, bytes],
) -> Mapping[str, bytes]:
    """One page for people: data, scores over time, latency, parity and checks, named by its lake commit."""
    from dfp_platform.models.evaluation import EvaluationReport
    from dfp_platform.reports import ReportInputs, describe_dataset, render

    data = TrainingData.from_arrow(placed(dataset, places), device="real_device")
    judged = EvaluationReport.from_json(evaluation["report.json"]).of(*MODELS)
    told = origin(lake.store, lake.ref, "kronodroid_real_device")
    inputs = ReportInputs(
        commit=lake.store.resolve(lake.ref),
        branch=lake.ref,
        run=context.run_id,
        source=told.note or told.source,
        synthetic=told.synthetic,
        dataset=describe_dataset(dataset),
        evaluation=judged.model_dump(mode="json"),
        latency=json.loads(latency["report.json"]),
        distributions=[_distribution(model, data) for model in (autoencoder, xgboost)],
        parity=[_parity(autoencoder, artifact, data)],
        verdicts=verdicts_so_far(lake, context.instance, context.run_id),
        commands=(f"DFP_SOURCE={settings().source} make demo", "dfp lake log"),
    )
    context.add_output_metadata(apps_plots(inputs.dataset))
    context.add_output_metadata({"apps": dataset.num_rows, "source": told.source, "synthetic": told.synthetic})
    facts = {name: getattr(inputs, name) for name in ("commit", "run", "source", "synthetic")}
    return {"index.html": render(inputs), "report.json": json.dumps(facts, sort_keys=True).encode()}


def _distribution(files: Mapping[str, bytes], data: TrainingData) -> Mapping[str, Any]:
    from dfp_platform.models.weights import load_model, read_card
    from dfp_platform.reports import score_distribution

    card, test = read_card(files), data.test
    scores = load_model(files).score(test.columns(card.features))
    return score_distribution(card.name, scores, test.labels, threshold=card.threshold)


def _parity(model: Mapping[str, bytes], artifact: Mapping[str, bytes], data: TrainingData) -> Mapping[str, Any]:
    from dfp_platform.mobile.artifact import MobileArtifact
    from dfp_platform.mobile.parity import check_parity

    exported = MobileArtifact.from_files(artifact)
    held = check_parity(model, exported, data.test.columns(exported.card.features), seed=settings().seed)
    return held.model_dump(mode="json")


assets = [host_latency, leaderboard, summary]
checks = [measured_quietly]
