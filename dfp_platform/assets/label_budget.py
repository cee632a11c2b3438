"""models/label_budget: what labels buy. Beyond the main line: made where it is asked for."""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa
from pydantic import Field

from dfp_platform.assets.choices import LABEL_BUDGET, every_choice
from dfp_platform.assets.models import TRAINING
from dfp_platform.assets.plots import budget_plots
from dfp_platform.errors import NotFoundError
from dfp_platform.resources.lake import LakeResource


class LabelBudgetConfig(dg.Config):
    """What the curves are told."""

    models: list[str] = Field(["xgboost"], min_length=1, description="published models that learn from labels")
    budgets: list[float] = Field(
        [0.0, 0.01, 0.05, 0.1, 0.25, 1.0], min_length=1, description="shares of a quarter's apps that are labelled"
    )


@dg.asset(
    key=LABEL_BUDGET.split("/"),
    ins=TRAINING,
    deps=[["models", name] for name in every_choice()],
    io_manager_key="report",
    group_name="studies",
    code_version="1",
    kinds={"python"},
)
def label_budget(
    context: dg.AssetExecutionContext,
    config: LabelBudgetConfig,
    lake: LakeResource,
    dataset: pa.Table,
    places: pa.Table,
) -> Mapping[str, bytes]:
    """How models keep over the quarters of the test if a share of each quarter's apps is labelled and learnt."""
    from dfp_platform.models.data import placed
    from dfp_platform.models.label_budget import LabelBudgets, label_budget
    from dfp_platform.models.parts import parts
    from dfp_platform.models.weights import load_model

    curves = []
    for name in config.models:
        files = lake.files(f"models/{name}")
        if not files:
            raise NotFoundError(f"no model {name} is on this branch", hint=f"train it first: dfp train model={name}")
        model = load_model(files)
        told = model.card.configuration
        apps = parts(placed(dataset, places), told.data, told.split)
        curves.append(label_budget(model, apps, budgets=config.budgets, progress=context.log.info))
    context.add_output_metadata(budget_plots(curve.model_dump(mode="json") for curve in curves))
    last = {f"{curve.model} AUT of F1, {curve.budgets[-1].share:.0%}": curve.budgets[-1].f1 or 0.0 for curve in curves}
    context.add_output_metadata(last)
    return {"report.json": LabelBudgets(curves=tuple(curves)).to_json()}


assets: list[dg.AssetsDefinition] = []
beyond = [label_budget]
checks: list[dg.AssetChecksDefinition] = []
