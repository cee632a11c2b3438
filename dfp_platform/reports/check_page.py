"""The record of checks → a page: what fails, every check with figure, limit and commit, and how it went before."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from dfp_platform.reports.axes import linear_axis
from dfp_platform.reports.charts import Chart, Series, column_chart
from dfp_platform.reports.check_charts import history_chart
from dfp_platform.reports.inputs import Json
from dfp_platform.reports.templates import rendered

MOST_CHARTS = 8
"""Failing checks that have a chart."""


def render_checks(report: Json) -> bytes:
    """The page of `assets.checks.checks_report`; equal records are equal bytes."""
    failing = [one for one in report["checks"] if not one["passed"]]
    return rendered(
        "checks.html.j2",
        title="Checks",
        synthetic=report["synthetic"],
        report=report,
        verdict=verdict(report),
        failing=failing,
        charts=[(one, _chart(report, one)) for one in failing if one["figure"] is not None][:MOST_CHARTS],
        assets=[(asset, list(some)) for asset, some in groupby(report["checks"], key=lambda one: one["asset"])],
        waiting=[(asset, list(some)) for asset, some in groupby(report["waiting"], key=lambda one: one["asset"])],
        counts_chart=_counts(report) if len(report["publications"]) > 1 else None,
    )


def verdict(report: Json) -> str:
    """One sentence for whoever reads no further."""
    all_of_them, failing = report["checks"], [one for one in report["checks"] if not one["passed"]]
    if not all_of_them:
        return "No check has judged anything that is published yet."
    if not failing:
        return f"All {len(all_of_them)} checks of what is published pass."
    named = ", ".join(f"{one['check']} of {one['asset']}" for one in failing[:3])
    more = f" and {len(failing) - 3} more" if len(failing) > 3 else ""
    return (
        f"{len(all_of_them) - len(failing)} of {len(all_of_them)} checks of what is published pass; not {named}{more}."
    )


def _chart(report: Json, check: Json) -> Chart:
    points = [
        (publication["commit"][:7], past["figure"])
        for publication, past in zip(report["publications"], check["history"], strict=True)
        if past is not None
    ]
    return history_chart(points, limit=check["limit"], title=check["check"])


def _counts(report: Json) -> Chart:
    names = [publication["commit"][:7] for publication in report["publications"]]
    past = [[one["history"][at] for one in report["checks"] if one["history"][at]] for at in range(len(names))]
    counted: list[Any] = [sum(one["passed"] for one in some) for some in past]
    failed: list[Any] = [len(some) - passed for some, passed in zip(past, counted, strict=True)]
    layers = [
        Series(name, style, [(float(at), float(count)) for at, count in enumerate(counts)])
        for name, style, counts in (("pass", "passed", counted), ("fail", "failed", failed))
    ]
    y = linear_axis("checks", 0, max(map(len, past), default=1))
    return column_chart(names, layers, y=y, x_label="publication", title="Checks by publication")
