"""Features by id: by name, from a store that is quick or slow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dfp_platform.errors import UnreachableError
from dfp_platform.features import Vectors
from dfp_platform.serving import lookup
from dfp_platform.serving.lookup import Lookup


class Store:
    def __init__(self, names: Sequence[str] = ("a", "b", "c")) -> None:
        self.names, self.wait, self.gone, self.opened = tuple(names), 0.0, False, 0
        self.now = 0.0

    def open(self) -> Store:
        self.opened += 1
        return self

    def read(self, keys: Sequence[str]) -> Vectors:
        self.now += self.wait
        if self.gone:
            raise UnreachableError("gone", address="far away")
        found = np.array([key != "unknown" for key in keys])
        vectors = np.tile(np.arange(len(self.names), dtype=np.float32), (len(keys), 1))
        vectors[~found] = np.nan
        return Vectors(vectors, found, self.names, "v1", "c" * 40, found.astype(np.int64))

    def close(self) -> None:
        self.opened -= 1

    def clock(self) -> float:
        return self.now


def test_features_are_put_into_the_models_order_and_unknown_apps_are_marked() -> None:
    found = Lookup(Store().open).read(["x", "unknown"], ("c", "a"))
    assert found.rows[0].tolist() == [2.0, 0.0]
    assert np.isnan(found.rows[1]).all()
    assert found.known.tolist() == [True, False]


def test_other_names_in_what_is_served_are_followed() -> None:
    store = Store()
    read = Lookup(store.open)
    assert read.read(["x"], ("b",)).rows.tolist() == [[1.0]]
    store.names = ("b", "a")
    assert read.read(["x"], ("b",)).rows.tolist() == [[0.0]]
    store.names = ("a",)
    with pytest.raises(UnreachableError, match="lacks 1 features of the model, first b"):
        read.read(["x"], ("b",))


def test_reads_are_made_on_the_spot_after_one_in_a_thread_until_they_are_slow() -> None:
    store = Store()
    read = Lookup(store.open, clock=store.clock)
    assert not read.quick, "nothing is known of it yet"
    read.read(["x"], ("a",))
    assert read.quick
    store.wait = lookup.QUICK * 1.5
    read.read(["x"], ("a",))
    assert read.quick, "in a thread it may take long"
    read.read(["x"], ("a",), on_the_spot=True)
    assert read.quick, "one may have been held up by the machine"
    while read.quick and store.now < 1:
        read.read(["x"], ("a",), on_the_spot=True)
    assert not read.quick, "they hold others up"
    store.now += lookup.SHORTEST_PAUSE
    assert read.quick, "it is tried again after a while"


def test_one_read_that_is_stuck_is_enough() -> None:
    store = Store()
    read = Lookup(store.open, clock=store.clock)
    read.read(["x"], ("a",))
    store.wait = lookup.STUCK
    read.read(["x"], ("a",), on_the_spot=True)
    assert not read.quick


def test_after_a_failure_the_next_read_is_made_in_a_thread() -> None:
    store = Store()
    read = Lookup(store.open)
    read.read(["x"], ("a",))
    store.gone = True
    with pytest.raises(UnreachableError):
        read.read(["x"], ("a",), on_the_spot=True)
    assert not read.quick
    store.gone = False
    read.read(["x"], ("a",))
    assert read.quick, "it comes back by itself"
    assert store.opened == 1
