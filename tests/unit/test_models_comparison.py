"""Two models held against each other on apps that neither has seen, and the rule that crowns one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.errors import CorruptLakeError, InputError
from dfp_platform.models.champions import Challenger, Reign, crowned, promoted
from dfp_platform.models.comparison import Difference, common_test, compare
from dfp_platform.models.data import TrainingData
from dfp_platform.models.parts import parts
from dfp_platform.models.training import train
from dfp_platform.models.weights import Answer, load_model
from tests.apps import tiny_table
from tests.configured import tiny

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)


@dataclass
class Guesser:
    """A model that mixes the truth with noise: with less noise it ranks better."""

    card: Any
    labels: dict[bytes, int]
    noise: float
    seed: int = 3

    def score(self, matrix: np.ndarray) -> np.ndarray:
        random = np.random.default_rng(self.seed)
        truth = np.array([self.labels[row.tobytes()] for row in matrix], dtype=np.float64)
        return (truth + self.noise * random.normal(size=len(truth))).astype(np.float32)

    def answer(self, matrix: np.ndarray) -> Answer:
        return Answer(self.score(matrix), None)

    def label(self, scores: np.ndarray) -> np.ndarray:
        return (scores > 0.5).astype(np.int8)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return tiny_table()


@pytest.fixture(scope="module")
def card(table: pa.Table) -> Any:
    return train(TrainingData.from_arrow(table), tiny("xgboost", "training.epochs=2")).card


@pytest.fixture(scope="module")
def guess(table: pa.Table, card: Any) -> Any:
    data = TrainingData.from_arrow(table)
    labels = {row.tobytes(): int(label) for row, label in zip(data.matrix, data.labels, strict=True)}
    return lambda noise, seed=3: Guesser(card, labels, noise, seed)


def held(one: Any, other: Any, table: pa.Table, **options: Any) -> Difference:
    return compare(one, other, table, **{"resamples": 200, "seed": 7, **options})


# -- the comparison --------------------------------------------------------------------------------------------------


def test_a_clearly_better_model_is_better_and_never_the_other_way_round(guess: Any, table: pa.Table) -> None:
    forth, back = held(guess(2.0), guess(0.2), table), held(guess(0.2), guess(2.0), table)
    assert forth.better
    assert forth.low > 0
    assert not back.better
    assert (back.difference, back.low, back.high) == (-forth.difference, -forth.high, -forth.low)
    assert forth.apps == 360, "the test of 1,200 apps"


def test_equal_models_differ_by_nothing_and_equal_questions_get_equal_answers(guess: Any, table: pa.Table) -> None:
    same = held(guess(1.0), guess(1.0), table)
    assert (same.difference, same.low, same.high, same.better) == (0.0, 0.0, 0.0, False)
    assert held(guess(2.0), guess(1.0), table) == held(guess(2.0), guess(1.0), table)


def test_chance_is_not_better(guess: Any, table: pa.Table) -> None:
    chance = held(guess(1.0, 1), guess(1.0, 2), table)
    assert chance.difference != 0
    assert chance.low < 0 < chance.high


def test_the_interval_is_that_of_scikit_learns_average_precision_on_the_same_draws(guess: Any, table: pa.Table) -> None:
    from sklearn.metrics import average_precision_score

    found = held(guess(2.0), guess(1.0), table)
    test = common_test(table, guess(1.0).card)
    scores = [guess(noise).score(test.matrix) for noise in (2.0, 1.0)]
    random, drawn = np.random.default_rng(7), []
    for _ in range(200):
        rows = random.integers(len(test), size=len(test))
        one, other = (average_precision_score(test.labels[rows], score[rows]) for score in scores)
        drawn.append(other - one)
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=1e-6)


def test_apps_that_either_was_fitted_on_are_left_out(table: pa.Table, card: Any) -> None:
    whole = common_test(table, card)
    late = card.slices["calibration"].model_copy(update={"last_date": date(2019, 4, 15)})
    later = card.model_copy(update={"slices": {**card.slices, "calibration": late}})
    assert whole.dates.min() > np.datetime64(card.slices["calibration"].last_date)
    assert common_test(table, card, later).dates.min() == np.datetime64("2019-04-16")


def test_a_model_that_was_split_by_hash_is_not_asked_about_what_it_has_seen(table: pa.Table, card: Any) -> None:
    places = ["train" if row % 2 else "test" if row % 4 else "validation" for row in range(table.num_rows)]
    mixed = table.set_column(table.column_names.index("split"), "split", pa.array(places))
    told = tiny("xgboost", "training.epochs=2", "split=hash")
    hashed = train(parts(mixed, told.data, told.split), told).card
    seen = {app for app, place in zip(mixed["sha256"].to_pylist(), places, strict=True) if place != "test"}
    asked = common_test(mixed, card, hashed)
    assert 0 < len(asked) < 360
    assert not seen & set(asked.ids)


def test_models_of_two_devices_are_not_compared(guess: Any, table: pa.Table, card: Any) -> None:
    foreign = Guesser(card.model_copy(update={"device": "emulator"}), {}, 1.0)
    with pytest.raises(InputError, match="emulator"):
        held(guess(1.0), foreign, table)


def test_a_future_of_one_label_compares_nothing(guess: Any, table: pa.Table) -> None:
    benign = table.filter(
        pa.compute.or_(pa.compute.equal(table["malware"], 0), pa.compute.less(table["time_rank"], 840))
    )
    with pytest.raises(InputError, match="not of both labels"):
        held(guess(1.0), guess(0.5), benign)


def test_real_models_are_compared_too(table: pa.Table) -> None:
    data = TrainingData.from_arrow(table)
    weak, strong = (load_model(train(data, tiny("xgboost", f"training.epochs={rounds}")).files) for rounds in (1, 40))
    assert held(weak, strong, table).candidate > held(weak, strong, table).reigning


# -- the rule --------------------------------------------------------------------------------------------------------


def difference(low: float) -> Difference:
    return Difference(
        apps=9, malware=3, reigning=0.5, candidate=0.6, difference=0.1, low=low, high=0.2, resamples=1, seed=1
    )


def crown(reign: Reign | None, content: str, compared: Any = None) -> Reign:
    def compare() -> Difference | None:
        if isinstance(compared, Exception):
            raise compared
        return compared

    return crowned(reign, model="m", content=content, made=NOW, compare=compare)


FIRST = crown(None, "one")


def test_the_first_version_reigns() -> None:
    assert (FIRST.content, FIRST.why, FIRST.since, FIRST.challenger) == ("one", "first", NOW, None)


def test_equal_content_is_the_champion_itself() -> None:
    assert crown(FIRST, "one", AssertionError("nothing is compared")) == FIRST


def test_a_better_version_reigns_and_says_by_what() -> None:
    reign = crown(FIRST, "two", difference(0.01))
    assert (reign.content, reign.why, reign.before) == ("two", "better", "one")
    assert reign.difference == difference(0.01)
    assert "+0.010 to +0.200" in reign.reason


@pytest.mark.parametrize("low", [-0.1, 0.0])
def test_a_version_that_is_not_better_by_more_than_the_interval_is_the_challenger(low: float) -> None:
    reign = crown(FIRST, "two", difference(low))
    assert (reign.content, reign.why, reign.since) == ("one", "first", FIRST.since)
    assert reign.challenger is not None
    assert (reign.challenger.content, reign.challenger.difference) == ("two", difference(low))


def test_a_version_is_judged_once_and_forgotten_when_the_champion_is_published_again() -> None:
    beside = crown(FIRST, "two", difference(-0.1))
    assert crown(beside, "two", AssertionError("nothing is compared")) == beside
    assert crown(beside, "one") == FIRST
    assert crown(beside, "three", difference(0.1)).content == "three"


@pytest.mark.parametrize("error", [InputError("other columns"), CorruptLakeError("an old card")])
def test_what_cannot_be_compared_waits_for_a_person(error: Exception) -> None:
    reign = crown(FIRST, "two", error)
    assert reign.content == "one"
    assert reign.challenger == Challenger(content="two", reason=f"not compared: {error.args[0]}")


def test_a_champion_whose_files_are_gone_is_followed() -> None:
    reign = crown(FIRST, "two", None)
    assert (reign.content, reign.why, reign.before) == ("two", "first", "one")
    assert "nowhere in the lake" in reign.reason


def test_a_person_may_promote_any_version_and_what_is_published_becomes_its_challenger() -> None:
    beside, later = crown(FIRST, "two", difference(-0.1)), datetime(2027, 1, 1, tzinfo=UTC)

    def by_hand(reign: Reign | None, content: str, standing: str) -> Reign:
        return promoted(reign, model="m", content=content, standing=standing, now=later, reason="promoted by me")

    two = by_hand(beside, "two", "two")
    assert (two.content, two.why, two.since, two.before, two.challenger) == ("two", "by hand", later, "one", None)
    old = by_hand(crown(FIRST, "two", difference(0.1)), "one", "two")
    assert (old.content, old.challenger.content if old.challenger else "") == ("one", "two")
    assert crown(old, "two", AssertionError("a person decided")) == old
    assert by_hand(None, "one", "one").before is None


def test_a_record_reads_back_as_it_was_written() -> None:
    for reign in (FIRST, crown(FIRST, "two", difference(0.1)), crown(FIRST, "two", difference(-0.1))):
        assert Reign.from_json(reign.to_json()) == reign
