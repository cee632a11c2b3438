"""The leaderboard ranks by what holds over time, and claims no more than the intervals allow."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

from dfp_platform.models.evaluation import EvaluationReport, evaluate
from dfp_platform.models.label_budget import label_budget
from dfp_platform.models.parts import parts
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from dfp_platform.reports.leaderboard import ranked, render_leaderboard, rows, verdict
from tests.apps import tiny_table
from tests.configured import tiny


@pytest.fixture(scope="module")
def trained():
    found = {}
    for name, preset in (("autoencoder", "ae_small"), ("xgboost", "xgboost")):
        told = tiny(preset)
        apps = parts(tiny_table(), told.data, told.split)
        found[name] = load_model(train(apps, told, synthetic=True, progress=False).files)
    return apps, found


@pytest.fixture(scope="module")
def report(trained):
    apps, models = trained
    judged = evaluate({name: [model] for name, model in models.items()}, apps, seed=7, resamples=20)
    return json.loads(EvaluationReport(devices=(judged,), left_out={"vae_emulator": "it <has> seen"}).to_json())


def areas(report, **said):
    """A device's models with these areas under the months and intervals."""
    models = deepcopy(report["devices"][0]["models"])
    for model in models:
        value, low, high = said[model["model"]]
        model["over_months"]["average_precision"] = {"value": value, "interval": (low, high), "by_seed": [value]}
    return models


@pytest.mark.parametrize(
    ("network", "trees", "start"),
    [
        ((0.6, 0.5, 0.7), (0.9, 0.8, 0.95), "XGBoost, the reference, wins: xgboost leads with an AUT of 0.900"),
        ((0.85, 0.8, 0.9), (0.9, 0.8, 0.95), "XGBoost, the reference, is not beaten: xgboost leads"),
        ((0.92, 0.8, 0.99), (0.9, 0.8, 0.95), "No network is told apart from XGBoost: autoencoder leads"),
        ((0.99, 0.97, 1.0), (0.9, 0.8, 0.95), "A network beats XGBoost: autoencoder leads with an AUT of 0.990"),
        ((None, None, None), (0.9, 0.8, 0.95), "XGBoost, the reference, is not beaten: "),
    ],
)
def test_the_verdict_says_who_leads_and_whether_the_intervals_are_apart(report, network, trees, start):
    models = areas(report, autoencoder=network, xgboost=trees)
    if network[0] is None:
        models[0]["over_months"]["average_precision"]["interval"] = None
    assert verdict(models).startswith(start)
    assert verdict(models[:1]) == ""


def test_models_without_a_figure_come_last(report):
    models = areas(report, autoencoder=(None, 0, 1), xgboost=(0.1, 0, 1))
    assert [model["model"] for model in ranked(models)] == ["xgboost", "autoencoder"]
    assert [row["rank"] for row in rows({"devices": [{"device": "emulator", "models": models}]})] == [1, 2]


def test_the_page_names_every_model_warns_of_generated_apps_and_says_what_was_left_out(report, trained):
    apps, models = trained
    curve = label_budget(models["xgboost"], apps, budgets=(0.0, 0.1)).model_dump(mode="json")
    page = render_leaderboard(report, content="c" * 64, budgets=[curve]).decode()
    assert page.startswith("<!doctype html>")
    for word in ("autoencoder", "xgboost", "Synthetic data", "vae_emulator", "it &lt;has&gt; seen", "Drift alarm"):
        assert word in page
    assert "Label budget, xgboost" in page
    assert page.encode() == render_leaderboard(report, content="c" * 64, budgets=[curve])


def test_a_board_without_models_is_still_a_page():
    page = render_leaderboard({"devices": [], "left_out": {}}, content="c" * 64).decode()
    assert "Leaderboard" in page
