"""models/evaluation: every model that stands on the branch, judged on newer apps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import LINE, every_choice
from dfp_platform.assets.models import TRAINING
from dfp_platform.assets.plots import evaluation_plots
from dfp_platform.resources.checks import asset_check, sample
from dfp_platform.resources.lake import LakeResource
from dfp_platform.serving.versions import trained_models
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.evaluation import EvaluationReport

REPORT = "models/evaluation/report.json"
GUESSING = 0.5
REGRESSION = 0.02
"""By how much the ROC-AUC of a model may fall from one judgement to the next before the check warns."""


@dg.asset(
    key=["models", "evaluation"],
    ins=TRAINING,
    deps=[["models", name] for name in every_choice()],
    config_schema={
        "seeds": dg.Field(
            int,
            default_value=settings().evaluation_seeds,
            description="trainings each model is judged by: the published one, and others by the seeds after its own",
        )
    },
    io_manager_key="report",
    group_name="models",
    code_version="3",
    kinds={"python"},
)
def evaluation(
    context: dg.AssetExecutionContext, lake: LakeResource, dataset: pa.Table, places: pa.Table
) -> Mapping[str, bytes]:
    """Scores of every model on apps newer than all it was trained on: over time, over seeds, without duplicates."""
    from dfp_platform.models.data import placed
    from dfp_platform.models.evaluation import EvaluationReport
    from dfp_platform.models.judging import judge_models

    models = {name: lake.files(f"models/{name}") for name in trained_models(lake.store, lake.ref)}
    known = lake.files("models/evaluation").get("report.json")
    report = judge_models(
        models,
        placed(dataset, places),
        seed=settings().seed,
        seeds=context.op_execution_context.op_config["seeds"],
        known=EvaluationReport.found_in(known),
        checkpoints=settings().home / "checkpoints",
        progress=context.log.info,
    )
    for device in report.devices:
        context.add_output_metadata(evaluation_plots(device.model_dump(mode="json")))
    context.add_output_metadata(
        {f"{name} ROC-AUC": told.overall.roc_auc or 0.0 for name, told in report.models.items()}
    )
    return {"report.json": report.to_json()}


@asset_check(
    asset=["models", "evaluation"],
    name="better_than_guessing",
    blocking=True,
)
def better_than_guessing(report: Mapping[str, bytes]) -> dg.AssetCheckResult:
    """Every model of the main line ranks malware above benign apps more often than a coin would."""
    from dfp_platform.models.evaluation import EvaluationReport

    judged = EvaluationReport.from_json(report["report.json"]).models
    areas = [judged[name].overall.roc_auc or 0.0 for name in LINE if name in judged]
    worst = min(areas, default=0.0)
    unit = "lowest ROC-AUC of the models of the main line"
    by_model = {name: told.overall.roc_auc for name, told in judged.items() if told.overall.roc_auc is not None}
    return dg.AssetCheckResult(
        passed=worst > GUESSING,
        metadata={"figure": worst, "limit": GUESSING, "unit": unit, "ROC-AUC by model": by_model},
    )


@asset_check(asset=["models", "evaluation"], name="score_regression")
def score_regression(report: Mapping[str, bytes], lake: LakeResource) -> dg.AssetCheckResult:
    """No model ranks much worse than it did when it was last judged, whether the model or the apps have changed."""
    from dfp_platform.models.evaluation import EvaluationReport

    parents = lake.store.provenance(lake.ref, REPORT).parents
    known = lake.store.files(parents[0], "models/evaluation").get("report.json") if parents else None
    now, before = EvaluationReport.from_json(report["report.json"]), EvaluationReport.found_in(known)
    rows = regressions(now, before)
    figure = max((row["fall"] for row in rows), default=0.0)
    return dg.AssetCheckResult(
        passed=figure <= REGRESSION,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "figure": figure,
            "limit": REGRESSION,
            "unit": "largest fall of a ROC-AUC",
            **({"ROC-AUC before and now": shown} if (shown := sample(rows)) else {}),
        },
    )


def regressions(now: "EvaluationReport", before: "EvaluationReport | None") -> list[dict[str, Any]]:
    """ROC-AUC of each model that both reports judge, and by how much it fell; the largest fall first."""
    known = before.models if before else {}
    areas = {
        name: (known[name].overall.roc_auc, told.overall.roc_auc) for name, told in now.models.items() if name in known
    }
    rows = [
        {"model": name, "before": was, "now": current, "fall": round(max(0.0, was - current), 6)}
        for name, (was, current) in areas.items()
        if was is not None and current is not None
    ]
    return sorted(rows, key=lambda row: (-row["fall"], row["model"]))


assets = [evaluation]
checks = [better_than_guessing, score_regression]
