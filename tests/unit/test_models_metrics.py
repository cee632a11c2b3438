"""The metrics say what scikit-learn says, also under resampling, and nothing where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from dfp_platform.models.metrics import (
    FIGURES,
    Ranking,
    Scored,
    area_under_time,
    average_precision,
    curves,
    interval_of,
    resamples_of,
    roc_auc,
)


def made(seed: int, apps: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with ties, and how often each app counts."""
    random = np.random.default_rng(seed)
    labels = (random.random(apps) < 0.3).astype(np.int8)
    scores = np.round(random.normal(size=apps) + labels, 1).astype(np.float32)
    return labels, scores, random.integers(0, 4, size=apps).astype(np.float64)


@pytest.mark.parametrize("seed", range(5))
def test_both_areas_equal_those_of_scikit_learn_with_ties_and_weights(seed):
    labels, scores, weights = made(seed)
    ranking = Ranking.of(labels, scores)
    assert roc_auc(*ranking.counts()) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(*ranking.counts()) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    counts = ranking.counts(weights)
    assert roc_auc(*counts) == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12)
    expected = average_precision_score(labels, scores, sample_weight=weights)
    assert average_precision(*counts) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("labels", [[], [0], [1], [0, 0, 0], [1, 1]])
def test_apps_of_one_label_have_no_area_and_no_curve(labels):
    ranking = Ranking.of(np.array(labels, np.int8), np.arange(len(labels), dtype=np.float32))
    assert roc_auc(*ranking.counts()) is None
    assert average_precision(*ranking.counts()) is None
    assert curves(ranking, points=10) == ([], [])


def test_equal_scores_are_a_coin_toss():
    ranking = Ranking.of(np.array([0, 1, 0, 1], np.int8), np.ones(4, np.float32))
    assert roc_auc(*ranking.counts()) == 0.5
    assert average_precision(*ranking.counts()) == 0.5


def scored(labels: np.ndarray, scores: np.ndarray, alarms: np.ndarray | None = None) -> Scored:
    alarms = scores > 0.5 if alarms is None else alarms
    return Scored.of(np.arange(len(labels)), labels, scores, alarms)


@pytest.mark.parametrize("seed", range(3))
def test_all_figures_equal_those_of_scikit_learn_under_weights(seed):
    labels, scores, weights = made(seed)
    told = dict(zip(FIGURES, scored(labels, scores).figures(weights), strict=True))
    alarms = scores > 0.5
    assert told["f1"] == pytest.approx(f1_score(labels, alarms, sample_weight=weights), abs=1e-12)
    assert told["true_positive_rate"] == pytest.approx(np.average(alarms[labels == 1], weights=weights[labels == 1]))
    assert told["false_positive_rate"] == pytest.approx(np.average(alarms[labels == 0], weights=weights[labels == 0]))
    malware, benign = weights[labels == 1].sum(), weights[labels == 0].sum()
    rare = np.where(labels == 1, weights * benign / malware / 9, weights)
    assert rare[labels == 1].sum() / rare.sum() == pytest.approx(0.1)
    expected = average_precision_score(labels, scores, sample_weight=rare)
    assert told["rare_average_precision"] == pytest.approx(expected, abs=1e-12)
    assert told["rare_f1"] == pytest.approx(f1_score(labels, alarms, sample_weight=rare), abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "known"), [([], ""), ([0, 0], "false_positive_rate"), ([1, 1], "true_positive_rate")]
)
def test_a_figure_that_the_apps_cannot_give_is_no_number(labels, known):
    told = dict(
        zip(FIGURES, scored(np.array(labels, np.int8), np.zeros(len(labels), np.float32)).figures(), strict=True)
    )
    assert {name for name, value in told.items() if not np.isnan(value)} - {"f1"} == ({known} if known else set())
    assert np.isnan(told["f1"]) == (1 not in labels)


def test_resamples_are_seeded_count_every_draw_and_surround_the_estimate():
    labels, scores, _ = made(11)
    one = scored(labels, scores)
    draws = resamples_of(len(labels), resamples=200, seed=3)
    assert (draws.sum(axis=1) == len(labels)).all()
    assert (draws == resamples_of(len(labels), resamples=200, seed=3)).all()
    assert (draws != resamples_of(len(labels), resamples=200, seed=4)).any()
    measured, told = np.array([one.figures(draw) for draw in draws]), one.figures()
    for place in range(len(FIGURES)):
        low, high = interval_of(measured[:, place])
        assert low < told[place] < high
    assert interval_of(np.array([np.nan])) is None


def test_more_apps_give_a_narrower_interval():
    def width(apps):
        labels, scores, _ = made(5, apps)
        one = scored(labels, scores)
        low, high = interval_of(np.array([one.figures(d)[0] for d in resamples_of(apps, resamples=100, seed=1)]))
        return high - low

    assert width(4_000) < width(100) / 3


@pytest.mark.parametrize(
    ("figures", "area"),
    [
        ([0.8], 0.8),
        ([1.0, 0.0], 0.5),
        ([1.0, 0.5, 0.5], 0.625),
        ([1.0, np.nan, 0.5], 0.75),
        ([np.nan, 0.9, 0.7, np.nan], 0.8),
        ([np.nan], np.nan),
        ([], np.nan),
    ],
)
def test_the_area_under_time_is_that_of_the_trapezoids_between_known_periods(figures, area):
    assert area_under_time(np.array(figures, dtype=float)) == pytest.approx(area, nan_ok=True)


def test_areas_under_time_are_taken_along_the_first_axis():
    cube = np.random.default_rng(1).random((6, 2, 3))
    cube[2, 0, 1] = np.nan
    told = area_under_time(cube)
    for place in np.ndindex(2, 3):
        assert told[place] == pytest.approx(area_under_time(cube[(slice(None), *place)]))


@pytest.mark.parametrize("points", [10, 200])
def test_curves_are_thinned_and_keep_their_ends(points):
    labels, _, _ = made(2, apps=3_000)
    scores = np.random.default_rng(1).normal(size=3_000).astype(np.float32) + labels
    roc, precision_recall = curves(Ranking.of(labels, scores), points=points)
    assert len(roc) == points
    assert len(precision_recall) < points
    assert (roc[0], roc[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert roc == sorted(roc)
    assert precision_recall[-1] == (1.0, pytest.approx(labels.mean()))


def test_the_thinned_roc_curve_has_nearly_the_full_area():
    labels, _, _ = made(2, apps=3_000)
    scores = np.random.default_rng(1).normal(size=3_000).astype(np.float32) + labels
    roc, _ = curves(Ranking.of(labels, scores), points=200)
    assert np.trapezoid([y for _, y in roc], [x for x, _ in roc]) == pytest.approx(
        roc_auc_score(labels, scores), abs=2e-3
    )
