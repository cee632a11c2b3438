"""models/evaluation: every model that stands on the branch, judged on newer apps."""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa

from dfp_platform.assets.choices import LINE, every_choice
from dfp_platform.assets.models import TRAINING
from dfp_platform.assets.plots import evaluation_plots
from dfp_platform.publishing.champions import trained_models
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings

REPORT = "models/evaluation/report.json"
GUESSING = 0.5


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
    context.add_output_metadata(
        {f"{name} ROC-AUC": told.overall.roc_auc or 0.0 for name, told in report.models.items()}
    )
    for device in report.devices:
        context.add_output_metadata(evaluation_plots(device.model_dump(mode="json")))
    return {"report.json": report.to_json()}


@dg.asset_check(
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
    return dg.AssetCheckResult(passed=worst > GUESSING, metadata={"figure": worst, "limit": GUESSING})


assets = [evaluation]
checks = [better_than_guessing]
