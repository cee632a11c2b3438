"""A study as a page: who won, how far each preset came, every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dfp_platform.reports.axes import linear_axis, share_axis
from dfp_platform.reports.charts import Chart, Series, line_chart
from dfp_platform.reports.figures import model_style
from dfp_platform.reports.inputs import Json
from dfp_platform.reports.templates import rendered

FEW_MALWARE = 50
"""Fewer malware apps than this cannot tell good trials apart; the page says so."""

_SLICES = (("fitted", "fitted on"), ("stopped", "stopped by"), ("judged", "judged by"))


def render_study(study: Json, files: Mapping[str, str]) -> bytes:
    """The page of a `models.studies.Study` as JSON; equal inputs are equal bytes.

    Args:
        study: the record.
        files: by preset, what a person can copy into ``presets/model/``.
    """
    presets = [
        {
            **one,
            "style": model_style(position),
            "failed": [trial for trial in one["trials"] if trial["value"] is None],
            "searched": list(one["trials"][0]["parameters"]) if one["trials"] else [],
            "file": files[one["preset"]],
        }
        for position, one in enumerate(study["presets"])
    ]
    malware = study["slices"]["judged"]["malware"]
    return rendered(
        "study.html.j2",
        title="Tuned presets",
        synthetic=study["synthetic"],
        study=study,
        presets=presets,
        verdict=verdict(study),
        slices=[(name, study["slices"][key]) for key, name in _SLICES],
        few=malware if malware < FEW_MALWARE else None,
        chart=best_over_trials(study["presets"]),
    )


def verdict(study: Json) -> str:
    """One sentence that says who won, and that XGBoost did if it did."""
    first, *others = study["presets"]
    won = f"{first['preset']} won with an average precision of {first['best_value']:.3f}"
    if not others:
        return f"{first['preset']} was studied alone: {first['best_value']:.3f}, as it was {first['baseline']:.3f}."
    if first["kind"] == "xgboost":
        return (
            f"XGBoost won: {won.replace(' won', '')}; the best of the others by the same budget is {_named(others[0])}."
        )
    trees = next((one for one in others if one["kind"] == "xgboost"), None)
    if trees is None:
        return f"{won}, before {_named(others[0])}. XGBoost, the reference, was not among them."
    return f"{won}; XGBoost, tuned by the same budget, came to {trees['best_value']:.3f}."


def best_over_trials(presets: Sequence[Json]) -> Chart:
    """The best value that each preset had found after each trial."""
    lines = [Series(one["preset"], model_style(i), _best_so_far(one["trials"])) for i, one in enumerate(presets)]
    most = max((len(one["trials"]) for one in presets), default=1)
    values = [y for line in lines for _, y in line.points if y is not None]
    x, y = linear_axis("trials", 0, most), share_axis("best value", low=min(values, default=0.0))
    return line_chart(lines, x=x, y=y, title="Best value over trials")


def _named(one: Json) -> str:
    return f"{one['preset']} with {one['best_value']:.3f}"


def _best_so_far(trials: Sequence[Json]) -> list[tuple[float, float | None]]:
    best: float | None = None
    points: list[Any] = []
    for number, trial in enumerate(trials, start=1):
        values = [value for value in (best, trial["value"]) if value is not None]
        best = max(values, default=None)
        points.append((float(number), best))
    return points
