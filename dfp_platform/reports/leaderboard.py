"""`models.evaluation.EvaluationReport` as JSON → the leaderboard: which model holds over time, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dfp_platform.reports.axes import linear_axis, share_axis
from dfp_platform.reports.charts import Chart, Series, interval_chart, line_chart
from dfp_platform.reports.figures import model_style, names_axis, over_time_chart
from dfp_platform.reports.glossary import GLOSSARY, OVER_TIME
from dfp_platform.reports.inputs import Json
from dfp_platform.reports.templates import STYLE_SHEET, environment

RANKED_BY = "average_precision"
"""The figure whose area under the months ranks models: it needs no threshold, and tells rare malware."""

REFERENCE = "xgboost"
"""Kind of the model that every network is judged against."""

WORDS = (
    "AP, average precision",
    "F1",
    "ROC-AUC",
    "Recall, true positive rate",
    "False positive rate (FPR)",
    "95 % interval",
    "XGBoost",
)
"""Words of the glossary that the page uses, beside those of judging over time."""


def render_leaderboard(report: Json, *, content: str, budgets: Sequence[Json] = ()) -> bytes:
    """The page as UTF-8 bytes; equal inputs are equal bytes.

    Args:
        report: `models.evaluation.EvaluationReport` as JSON.
        content: content id of the report in the lake; it names the page, which so changes only with it.
        budgets: label-budget curves, `models.label_budget.LabelBudget` as JSON.
    """
    page = (
        environment(lead=_lead)
        .get_template("leaderboard.html.j2")
        .render(
            title="Leaderboard",
            content=content,
            synthetic=any(device["synthetic"] for device in report["devices"]),
            devices=[_device(device, budgets) for device in report["devices"]],
            left_out=report["left_out"],
            words={**OVER_TIME, **{word: GLOSSARY[word] for word in WORDS}},
            style_sheet=STYLE_SHEET.read_text(encoding="utf-8"),
        )
    )
    return (page.rstrip() + "\n").encode()


def ranked(models: Sequence[Json]) -> list[Json]:
    """Models from the best down, by the area under the months; those without one come last."""
    return sorted(models, key=lambda model: (-(_area(model, RANKED_BY)["value"] or -1.0), model["model"]))


def styled(models: Sequence[Json]) -> list[dict[str, Any]]:
    """Models as `ranked`, each with the style class of its place."""
    return [{**model, "style": model_style(place)} for place, model in enumerate(ranked(models))]


def rows(report: Json) -> list[dict[str, Any]]:
    """The leaderboard as plain rows: device, rank, model, and the areas that the page shows."""
    return [
        {
            "device": device["device"],
            "rank": place,
            "model": model["model"],
            "kind": model["kind"],
            "seeds": len(model["seeds"]),
            "areas_under_months": {name: _area(model, name)["value"] for name in _AREAS},
            "average_precision_without_duplicates": model["distinct"]["average_precision"],
        }
        for device in report["devices"]
        for place, model in enumerate(ranked(device["models"]), start=1)
    ]


def verdict(models: Sequence[Json]) -> str:
    """One sentence on the reference and the best network, which claims no more than the intervals allow."""
    order = ranked(models)
    networks = [model for model in order if model["kind"] != REFERENCE]
    references = [model for model in order if model["kind"] == REFERENCE]
    if not (networks and references):
        return ""
    network, reference = networks[0], references[0]
    first, second = (reference, network) if order.index(reference) < order.index(network) else (network, reference)
    told = f"{first['model']} leads with an AUT of {_told(first)} against {_told(second)} of {second['model']}"
    ahead, behind = _area(first, RANKED_BY)["interval"], _area(second, RANKED_BY)["interval"]
    apart = bool(ahead and behind and ahead[0] > behind[1])
    if first is reference:
        word = "XGBoost, the reference, wins: " if apart else "XGBoost, the reference, is not beaten: "
    else:
        word = "A network beats XGBoost: " if apart else "No network is told apart from XGBoost: "
    return word + told + ("." if apart else "; their intervals overlap.")


_AREAS = ("average_precision", "f1", "roc_auc", "true_positive_rate", "rare_average_precision", "rare_f1")


def _area(model: Json, name: str) -> Json:
    return model["over_months"][name]


def _lead(months: int | None) -> str:
    """How long an alarm came before the failure."""
    if months is None:
        return "–"
    word = "month" if abs(months) == 1 else "months"
    return f"{months} {word}" if months >= 0 else f"{-months} {word} late"


def _told(model: Json) -> str:
    value = _area(model, RANKED_BY)["value"]
    return "no figure" if value is None else f"{value:.3f}"


def _device(device: Json, budgets: Sequence[Json]) -> dict[str, Any]:
    models = styled(device["models"])
    own = [curve for curve in budgets if curve["device"] == device["device"]]
    return {
        "name": device["device"].replace("_", " "),
        "evaluation": device,
        "apps": max((model["overall"]["apps"] for model in models), default=0),
        "models": models,
        "verdict": verdict(device["models"]),
        "alarms": [model for model in models if model["drift_alarm"]],
        "charts": {
            "areas": areas_chart(models),
            "f1": over_time_chart(models, "f1", "F1", period="quarter"),
            "average_precision": over_time_chart(models, "average_precision", "average precision", period="quarter"),
            "reliability": reliability_chart(models),
            "rejection": rejection_chart(models),
            "drift": [drift_chart(model) for model in models if model["drift_alarm"]],
            "budgets": [budget_chart(curve) for curve in own],
        },
        "budgets": own,
    }


def areas_chart(models: Sequence[Json]) -> Chart:
    """Area under the months of F1 and of average precision, with intervals, one group a model."""
    bars = []
    for model in models:
        for name, title in (("average_precision", "AP"), ("f1", "F1")):
            area = _area(model, name)
            bars.append((f"{model['model']} · {title}", model["style"], area["value"], area["interval"]))
    return interval_chart(bars, x=share_axis("area under the months (AUT)"), title="AUT with 95 % intervals")


def reliability_chart(models: Sequence[Json]) -> Chart:
    """Share of malware over the mean score of each bin; the diagonal is a score that may be read as a probability."""
    series = [
        Series(
            model["model"],
            model["style"],
            [(each["mean_score"], each["malware_share"]) for each in model["reliability"]["bins"]],
            markers=True,
        )
        for model in models
    ]
    x, y = share_axis("mean score"), share_axis("share of malware")
    return line_chart(series, x=x, y=y, title="Calibration curves", diagonal=True)


def rejection_chart(models: Sequence[Json]) -> Chart:
    """F1 of the apps that are kept, over the share that is left to a person."""
    series = [
        Series(
            model["model"],
            model["style"],
            [(each["rejected"], each["f1"]) for each in model["rejection"]["budgets"] if each["rejected"] is not None],
            markers=True,
        )
        for model in models
    ]
    most = max((x for one in series for x, _ in one.points), default=0.0)
    x = linear_axis("share of the test that is rejected", 0, max(most, 0.1))
    return line_chart(series, x=x, y=share_axis("F1"), title="F1 with the rejection option")


def drift_chart(model: Json) -> Chart:
    """Mean reconstruction error of each month, and the limit above which it raises an alarm."""
    months = model["drift_alarm"]["months"]
    names = [month["month"] for month in months]
    lines = [
        Series("mean error of the month", model["style"], _points(months, "mean_error"), markers=True),
        Series("limit", "limit", _points(months, "limit")),
    ]
    top = max((month[name] for month in months for name in ("mean_error", "limit")), default=1.0)
    x = names_axis(names, "month of the newest file")
    return line_chart(lines, x=x, y=linear_axis("mean reconstruction error", 0, top), title=f"Drift, {model['model']}")


def budget_chart(curve: Json) -> Chart:
    """Areas under the quarters by the share of each quarter's apps that is labelled."""
    budgets = curve["budgets"]
    names = [f"{100 * budget['share']:g} %" for budget in budgets]
    lines = [
        Series("F1", "model-0", _points(budgets, "f1"), markers=True),
        Series("average precision", "model-1", _points(budgets, "average_precision"), markers=True),
    ]
    x = names_axis(names, "apps of each quarter that are labelled")
    return line_chart(lines, x=x, y=share_axis("area under the quarters"), title=f"Label budget, {curve['model']}")


def _points(records: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float | None]]:
    return [(float(place), record[name]) for place, record in enumerate(records)]
