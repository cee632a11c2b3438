"""`ReportInputs` → one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dfp_platform.reports import figures
from dfp_platform.reports.glossary import GLOSSARY
from dfp_platform.reports.inputs import Json, ReportInputs
from dfp_platform.reports.templates import STYLE_SHEET, environment
from dfp_platform.schemas import Verdict

LOW_FALSE_POSITIVES = 0.01
FAMILIES_SHOWN = 12


def render(inputs: ReportInputs) -> bytes:
    """The page as UTF-8 bytes; equal inputs are equal bytes. No script, no font, no image from elsewhere.

    Raises:
        KeyError: a record lacks a field that its room promises.
    """
    template = environment().get_template("page.html.j2")
    return (template.render(inputs=inputs, **_parts(inputs)).rstrip() + "\n").encode()


def _parts(inputs: ReportInputs) -> dict[str, Any]:
    """What the template shows beside the inputs themselves."""
    models = inputs.evaluation["models"]
    return {
        "models": [
            {**model, "style": figures.model_style(i), "recall_low": recall_at(model["roc"], LOW_FALSE_POSITIVES)}
            for i, model in enumerate(models)
        ],
        "best": max(models, key=lambda model: model["overall"]["roc_auc"] or 0.0, default=None),
        "fastest": min(_latencies(inputs), key=lambda row: row["p50_us"], default=None),
        "latencies": _latencies(inputs),
        "verdicts": _by_asset(inputs.verdicts),
        "passed": sum(verdict.passed for verdict in inputs.verdicts),
        "families": _families(models),
        "style_sheet": STYLE_SHEET.read_text(encoding="utf-8"),
        "glossary": GLOSSARY,
        "charts": _charts(inputs),
    }


def _charts(inputs: ReportInputs) -> dict[str, Any]:
    models, rows = inputs.evaluation["models"], _latencies(inputs)
    return {
        "data": [_data_charts(inputs, entry["device"]) for entry in reversed(inputs.dataset["devices"])],
        "roc": figures.roc_chart(models),
        "precision_recall": figures.precision_recall_chart(models),
        "auc_over_time": figures.over_time_chart(models, "roc_auc", "ROC-AUC"),
        "alarms_over_time": figures.over_time_chart(models, "false_positive_rate", "false positive rate"),
        "distributions": [figures.distribution_chart(spread) for spread in inputs.distributions],
        "latency": figures.latency_chart(rows) if rows else None,
    }


def _data_charts(inputs: ReportInputs, device: str) -> dict[str, Any]:
    period, counts = figures.by_period(inputs.dataset["periods"], device)
    return {
        "of": f"by {period}, {device.replace('_', ' ')}",
        "apps": figures.apps_chart(period, counts, device),
        "share": figures.malware_share_chart(period, counts, device),
    }


def _by_asset(verdicts: Sequence[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """Verdicts under their asset; assets with a failed check first, and failed checks first within."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: (verdict.asset, verdict.passed, verdict.check)):
        groups.setdefault(verdict.asset, []).append(verdict)
    return sorted(groups.items(), key=lambda group: all(verdict.passed for verdict in group[1]))


def recall_at(roc: Sequence[Sequence[float]], false_positive_rate: float) -> float | None:
    """Recall where the curve crosses the rate, linear between its points; None without a curve.

    Args:
        roc: points (false positive rate, recall), in order.
    """
    before = None
    for x, y in roc:
        if x > false_positive_rate and before is not None:
            left, low = before
            return low + (y - low) * (false_positive_rate - left) / (x - left)
        before = (x, y)
    return None if before is None else before[1]


def _families(models: Sequence[Json]) -> list[dict[str, Any]]:
    """The largest malware families of the test, with the recall of each model."""
    by_model = [{entry["family"]: entry for entry in model["families"]} for model in models]
    largest = models[0]["families"][:FAMILIES_SHOWN] if models else []
    return [
        {
            "family": entry["family"],
            "apps": entry["apps"],
            "recalls": [found.get(entry["family"], {}).get("recall") for found in by_model],
        }
        for entry in largest
    ]


def _latencies(inputs: ReportInputs) -> Sequence[Json]:
    return inputs.latency["rows"] if inputs.latency else ()
