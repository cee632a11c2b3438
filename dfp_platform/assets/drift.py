"""serving/traffic and reports/drift: the daily look at what is asked, and at how far it lies from the training.

One step makes both, so that drift is judged by the traffic of the same look, and also on days without any.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from dfp_platform.assets.choices import DRIFT_REPORT, TRAFFIC
from dfp_platform.assets.traffic import Files, kept, new_traffic
from dfp_platform.resources.checks import asset_check
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.serving.drift import Apps, DriftReport, SideName, StandingModel

WORST = 5
"""Features of a side that the check names at most."""

TABLE, PLACES = "tables/marts/fct_training_dataset", "tables/marts/split_index"
_MADE_FROM = (TABLE, PLACES, "models/champions", f"models/{settings().serving_model}")


@dg.multi_asset(
    name="daily_look",
    can_subset=True,
    deps=[asset.split("/") for asset in _MADE_FROM],
    outs={
        "traffic": dg.AssetOut(
            key=TRAFFIC.split("/"),
            is_required=False,
            io_manager_key="report",
            group_name="serving",
            code_version="1",
            kinds={"parquet"},
            description="Predictions since the last look, from their branch of the lake; skipped where none has come.",
        ),
        "drift": dg.AssetOut(
            key=DRIFT_REPORT.split("/"),
            is_required=False,
            io_manager_key="report",
            group_name="serving",
            code_version="1",
            kinds={"html"},
            description="How far live traffic and the newest apps lie from what the standing model was trained on.",
        ),
    },
    internal_asset_deps={
        "traffic": set(),
        "drift": {dg.AssetKey(asset.split("/")) for asset in (*_MADE_FROM, TRAFFIC)},
    },
)
def daily_look(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.Output[Files]]:
    """What was asked since the last look, and the drift score of the model that reigns."""
    asked = {key.to_user_string() for key in context.selected_asset_keys}
    if TRAFFIC in asked:
        yield from new_traffic(context, lake)
    if DRIFT_REPORT in asked:
        yield from new_drift(context, lake)


def new_drift(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.Output[Files]]:
    """The page and the record of the model that reigns; nothing where no model has been trained yet."""
    from dfp_platform.reports.drift import render_drift, verdict
    from dfp_platform.serving.drift import standing_model

    standing = standing_model(lake.store, lake.ref, settings().serving_model)
    if standing is None:
        context.log.warning(f"skipped: no model {settings().serving_model} is on this branch. next: dfp train")
        return
    report = judged(lake, standing, limit=settings().drift_limit)
    told = report.model_dump(mode="json")
    figures = {f"score, {side.name}": side.score for side in report.sides if side.score is not None}
    files = {"index.html": render_drift(told), "report.json": report.to_json()}
    yield dg.Output(files, "drift", metadata={"verdict": verdict(told), "limit": report.limit, **figures})


def judged(lake: LakeResource, standing: "StandingModel", *, limit: float) -> "DriftReport":
    """The report of a model on what the branch holds: the taken traffic, and the training table as it is now."""
    from dfp_platform.assets.mobile import own_split
    from dfp_platform.catalog import content_at, scan
    from dfp_platform.catalog.names import pointer_path
    from dfp_platform.models.weights import load_model
    from dfp_platform.serving.drift import drift_report

    files = lake.store.files(standing.commit, f"models/{standing.name}")
    model = load_model(files)
    dataset, places = (scan(lake.store, standing.commit, tuple(asset.split("/")[1:])) for asset in (TABLE, PLACES))
    trained = own_split(files, dataset, places)
    del dataset, places
    written = lake.store.provenance(lake.ref, pointer_path(tuple(TABLE.split("/")[1:])))
    return drift_report(
        standing,
        model,
        trained,
        _sides(lake, model.card.device, model.card.features),
        data=(content_at(lake.store, lake.ref, TABLE), written.id),
        limit=limit,
    )


def _sides(lake: LakeResource, device: str, features: tuple[str, ...]) -> "Mapping[SideName, Apps | str]":
    """The apps of each side, or why there are none."""
    from dfp_platform.catalog import scan
    from dfp_platform.errors import CalibrationError, InputError
    from dfp_platform.models.data import TrainingData, placed
    from dfp_platform.serving.drift import live_apps, newest_apps

    sides: dict[SideName, Apps | str] = {}
    look = lake.files(TRAFFIC)
    try:
        sides["live traffic"] = live_apps(kept(look).rows, features) if look else "nothing has been asked yet"
    except (CalibrationError, InputError) as error:
        sides["live traffic"] = error.message
    try:
        table = placed(*(scan(lake.store, lake.ref, tuple(asset.split("/")[1:])) for asset in (TABLE, PLACES)))
        sides["newest apps"] = newest_apps(TrainingData.from_arrow(table, device=device), features)
    except InputError as error:
        sides["newest apps"] = error.message
    return sides


@asset_check(asset=DRIFT_REPORT.split("/"), name="drift")
def drift(report: Files) -> dg.AssetCheckResult:
    """What the standing model sees lies like what it was trained on. At the limit a training is launched."""
    from dfp_platform.serving.drift import DriftReport

    told = DriftReport.from_json(report["report.json"])
    judged_sides = [side for side in told.sides if side.score is not None]
    figures = {} if told.score is None else {"figure": told.score, "limit": told.limit}
    worst = {one.feature: one.psi for side in judged_sides for one in side.moved[:WORST]}
    return dg.AssetCheckResult(
        passed=not told.drifted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            **figures,
            "unit": "largest share of features that moved, or rise of reconstruction errors",
            "model": f"{told.model} {told.content[:12]}",
            "worst (PSI)": worst,
            **{f"score, {side.name}": side.score for side in judged_sides if side.score is not None},
        },
    )


assets: list[dg.AssetsDefinition] = []
beyond = [daily_look]
checks = [drift]
