"""The metrics say what scikit-learn says, also under resampling, and nothing where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from dfp_platform.models.metrics import Ranking, average_precision, bootstrap, curves, roc_auc


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
def test_apps_of_one_label_have_no_area_no_interval_and_no_curve(labels):
    ranking = Ranking.of(np.array(labels, np.int8), np.arange(len(labels), dtype=np.float32))
    assert roc_auc(*ranking.counts()) is None
    assert average_precision(*ranking.counts()) is None
    assert bootstrap(ranking, resamples=20, seed=1) == (None, None)
    assert curves(ranking, points=10) == ([], [])


def test_equal_scores_are_a_coin_toss():
    ranking = Ranking.of(np.array([0, 1, 0, 1], np.int8), np.ones(4, np.float32))
    assert roc_auc(*ranking.counts()) == 0.5
    assert average_precision(*ranking.counts()) == 0.5


def test_the_interval_is_seeded_and_holds_the_estimate():
    labels, scores, _ = made(11)
    ranking = Ranking.of(labels, scores)
    area, precision = bootstrap(ranking, resamples=200, seed=3)
    assert (area, precision) == bootstrap(ranking, resamples=200, seed=3)
    assert (area, precision) != bootstrap(ranking, resamples=200, seed=4)
    assert area[0] < roc_auc(*ranking.counts()) < area[1]
    assert precision[0] < average_precision(*ranking.counts()) < precision[1]


def test_more_apps_give_a_narrower_interval():
    few, many = (bootstrap(Ranking.of(*made(5, apps)[:2]), resamples=100, seed=1)[0] for apps in (100, 4_000))
    assert many[1] - many[0] < (few[1] - few[0]) / 3


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
