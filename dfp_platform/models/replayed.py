"""A model and its replay, side by side: what their cards say differently, and whether they answer alike, bitwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.data import placed
from dfp_platform.models.parts import parts
from dfp_platform.models.weights import load_model, read_card

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Predictions:
    """What two models say of the same apps.

    Attributes:
        apps: how many were scored by both.
        differing: of how many the answer is not the same, bit for bit: score, label or reconstruction error.
        largest: the largest difference of two scores; 0 if there is none.
    """

    apps: int
    differing: int
    largest: float

    @property
    def equal(self) -> bool:
        return self.differing == 0


def predictions(
    then: Mapping[str, bytes], now: Mapping[str, bytes], dataset: pa.Table, places: pa.Table
) -> Predictions:
    """Both models asked about the test apps of the split that the first was trained by; there may be none.

    Args:
        then: the files of the model.
        now: those of its replay.
        dataset: the training table, as ``fct_training_dataset``.
        places: each app's place in time, as ``split_index``.
    Raises:
        CorruptLakeError: files that are no model. InputError: the models take other features than the table has.
    """
    told = read_card(then).configuration
    test = parts(placed(dataset, places), told.data, told.split).test
    if not len(test):
        return Predictions(0, 0, 0.0)
    first, second = load_model(then), load_model(now)
    one, other = (model.answer(test.columns(model.card.features)) for model in (first, second))
    differing = unlike(one.scores, other.scores) | unlike(first.label(one.scores), second.label(other.scores))
    if one.errors is not None and other.errors is not None:
        differing |= unlike(one.errors, other.errors)
    apart = np.abs(one.scores.astype(np.float64) - other.scores.astype(np.float64))
    return Predictions(len(test), int(differing.sum()), float(apart.max()))


def unlike(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays of one shape and type hold other bits; 0.0 and -0.0 are unlike, two equal NaN are not."""
    bits = [np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}") for array in (one, other)]
    return bits[0] != bits[1]


FIRST = ("libraries", "platform", "config")
"""Parts of a card that say why bytes may differ; the others say what came of it."""


def causes(then: bytes, now: bytes) -> list[str]:
    """What two cards, as bytes of their files, say differently of libraries, machine and configuration, one a line."""
    import json

    one, other = (dict(_flat(json.loads(card))) for card in (then, now))
    names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    told = sorted((name for name in names if name.split(".")[0] in FIRST), key=lambda n: FIRST.index(n.split(".")[0]))
    return [f"{name}: {one.get(name, 'nothing')} then, {other.get(name, 'nothing')} now" for name in told]


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
