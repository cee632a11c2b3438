"""Every asset of models, mobile and reports shows a chart; also those that are made where they are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dfp_platform.assets import plots
from dfp_platform.assets.models import labelled
from dfp_platform.models.champions import Challenger, Reign
from dfp_platform.models.comparison import Difference
from dfp_platform.reports.thumbnails import MOST
from tests.benchmark_rows import row

NOW = datetime(2026, 11, 26, tzinfo=UTC)
COMPARED = Difference(
    apps=9, malware=3, reigning=0.8, candidate=0.9, difference=0.1, low=-0.1, high=0.2, resamples=9, seed=0
)
REIGNS = [
    Reign(model="vae", content="c", since=NOW, why="first", reason="r"),
    Reign(
        model="xgboost",
        content="c",
        since=NOW,
        why="first",
        reason="r",
        challenger=Challenger(content="d", difference=COMPARED, reason="r"),
    ),
]
BUDGETS = [{"share": share, "f1": share, "average_precision": None} for share in (0.0, 0.1, 1.0)]
TRIALS = [{"value": 0.5}, {"value": None}, {"value": 0.7}]
MONTHS = [{"device": "real_device", "month": f"2019-{m:02d}", "benign": m, "malware": 2 * m} for m in range(1, 13)]
CASES: dict[str, Any] = {
    "models": lambda: plots.training_plots([(1.0, 2.0), (0.5, 1.0)], {"model": "vae", "roc": [(0.0, 0.0), (1.0, 1.0)]}),
    "models/champions": lambda: plots.champion_plot(REIGNS),
    "models/label_budget": lambda: plots.budget_plots([{"model": "xgboost", "budgets": BUDGETS}]),
    "models/study": lambda: plots.study_plots({"presets": [{"preset": "vae", "trials": TRIALS}]}),
    "mobile": lambda: plots.size_plot(120_000, 500_000),
    "reports/model_cards": lambda: plots.card_plot({"vae": {"overall": {"roc_auc": 0.9}}, "xgboost": None}),
    "reports/summary": lambda: plots.apps_plots({"devices": [{"device": "real_device"}], "periods": MONTHS}),
    "reports/phones": lambda: plots.benchmark_plots([row().model_dump(mode="json")]),
    "reports/traffic": lambda: plots.traffic_plots(
        {"scores": [3, 1], "score_edges": [0.0, 0.5, 1.0], "by": {"threshold": 0.5}}
    ),
}


@pytest.mark.parametrize("asset", CASES)
def test_a_small_chart_comes_first_and_a_large_one_is_no_burden(asset: str) -> None:
    made = CASES[asset]()
    assert made == CASES[asset](), "equal content, equal plots"
    first, *_ = made.values()
    assert first.value.startswith("![")
    assert "](data:image/svg+xml," in first.value
    for label, plot in made.items():
        assert len(plot.value) < (60_000 if label.endswith(plots.LARGE) else MOST + 1), label


def test_champions_are_shown_beside_whom_they_were_compared_with_and_the_first_alone() -> None:
    told = plots.champion_plot(REIGNS)["average precision"].value
    assert ">vae<" in told
    assert ">first<" in told
    assert "xgboost%20before" in told.replace("%2C", "").replace(",", "")
    assert ">0.900<" in told


def test_a_training_without_a_test_shows_its_losses_and_one_without_losses_its_curve() -> None:
    assert next(iter(plots.training_plots([(1.0, 1.0)], None))) == "loss by epoch"
    assert next(iter(plots.training_plots([], {"model": "m", "roc": [(0.0, 0.0), (1.0, 1.0)]}))) == "ROC curve"


def test_labels_of_figures_can_be_read() -> None:
    told = labelled({"best_epoch": 3, "test_roc_auc": 0.9, "test_unseen_packages_f1": 0.5, "usual_error": 0.1})
    assert told == {
        "best epoch": 3,
        "test: ROC-AUC": 0.9,
        "test, unseen packages: F1": 0.5,
        "largest usual error": 0.1,
    }
