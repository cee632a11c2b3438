"""Two models on the same apps, none of which either has seen: is one better, and by more than chance?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dfp_platform.errors import InputError
from dfp_platform.models.card import ModelCard
from dfp_platform.models.data import TrainingData
from dfp_platform.models.metrics import Ranking, average_precision, interval_of, resamples_of
from dfp_platform.models.parts import unseen
from dfp_platform.models.records import Record
from dfp_platform.models.weights import Scorer

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 6


class Difference(Record):
    """How much better one model ranks malware than another, on apps newer than all that either was fitted on.

    Attributes:
        apps: how many both were asked about; `malware` of them are malware.
        reigning: average precision of the model that is held against.
        candidate: that of the other.
        difference: `candidate` less `reigning`.
        low: lower end of its 95 % interval, a paired bootstrap over apps.
        high: upper end.
        resamples: how many were drawn.
        seed: of the resamples.
    """

    apps: int
    malware: int
    reigning: float
    candidate: float
    difference: float
    low: float
    high: float
    resamples: int
    seed: int

    @property
    def better(self) -> bool:
        """Whether the candidate is better by more than the interval."""
        return self.low > 0

    def in_words(self) -> str:
        """The figures for people."""
        return (
            f"average precision {self.candidate:.3f} against {self.reigning:.3f} on {self.apps} newer apps, "
            f"a difference of {self.difference:+.3f} ({self.low:+.3f} to {self.high:+.3f})"
        )


def compare(reigning: Scorer, candidate: Scorer, table: pa.Table, *, resamples: int, seed: int) -> Difference:
    """Hold a candidate against the model that reigns, both on the same test apps of one table.

    Args:
        table: shaped as ``fct_training_dataset``, each app `placed` in time.
        resamples: bootstrap resamples of the apps.
        seed: of the resamples; equal inputs give equal records.
    Raises:
        InputError: the models are of different devices; the table lacks a column that one of them was trained on; or
            no app with either label is newer than all that both were fitted on.
    """
    cards = reigning.card, candidate.card
    if cards[0].device != cards[1].device:
        raise InputError(
            f"{cards[0].name} scores apps of the {cards[0].device}, {cards[1].name} of the {cards[1].device}",
            hint="compare models of one device",
        )
    test = common_test(table, *cards)
    if len(np.unique(test.labels)) < 2:
        raise InputError(
            f"{len(test)} apps are newer than all that both models were fitted on, and not of both labels",
            hint="land newer apps, or train both on the same past",
        )
    scores = [model.score(test.columns(model.card.features)) for model in (reigning, candidate)]
    return _difference(test.labels, scores[0], scores[1], resamples=resamples, seed=seed)


def common_test(table: pa.Table, *cards: ModelCard) -> TrainingData:
    """Test apps that none of the models has seen: newer than all they were fitted on, by the app's date.

    A model that was split by hash has seen apps of all years: these are left out one by one.
    """
    test = unseen(table, [card.configuration for card in cards], device=cards[0].device).test
    by_time = [card for card in cards if card.configuration.split.by == "time"]
    seen = [part.last_date for card in by_time for name, part in card.slices.items() if name != "test"]
    known = [day for day in seen if day is not None]
    return test.take(test.dates > np.datetime64(max(known), "D")) if known else test


def _difference(
    labels: NDArray[np.int8],
    reigning: NDArray[np.float32],
    candidate: NDArray[np.float32],
    *,
    resamples: int,
    seed: int,
) -> Difference:
    """Each resample draws apps with replacement, the same for both models: what is hard for both cancels out.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 16 (paired data).
    """
    rankings = Ranking.of(labels, reigning), Ranking.of(labels, candidate)
    before, after = (_precision(ranking) for ranking in rankings)
    draws = resamples_of(len(labels), resamples=resamples, seed=seed)
    drawn = np.array([_precision(rankings[1], often) - _precision(rankings[0], often) for often in draws])
    low, high = interval_of(drawn) or (-1.0, 1.0)  # no resample at all, or none with both labels
    return Difference(
        apps=len(labels),
        malware=int(labels.sum()),
        reigning=round(before, _DIGITS),
        candidate=round(after, _DIGITS),
        difference=round(after - before, _DIGITS),
        low=round(float(low), _DIGITS),
        high=round(float(high), _DIGITS),
        resamples=resamples,
        seed=seed,
    )


def _precision(ranking: Ranking, often: NDArray[np.float64] | None = None) -> float:
    """NaN where the apps of a resample bear one label only."""
    precision = average_precision(*ranking.counts(often))
    return np.nan if precision is None else precision
