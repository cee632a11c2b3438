"""Test apps that a model has met before, by package name or by feature vector: they flatter, and are told apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.models.data import TrainingData


@dataclass(frozen=True, slots=True, eq=False)
class Duplicates:
    """Masks over the test apps, each of shape ``(apps,)``.

    Attributes:
        packages: the package occurs among the apps of training or calibration.
        vectors: the whole feature vector does.
        distinct: neither does, and the app is the first of the test with its package and with its vector.
    """

    packages: NDArray[np.bool_]
    vectors: NDArray[np.bool_]
    distinct: NDArray[np.bool_]


def duplicates(test: TrainingData, past: tuple[TrainingData, ...]) -> Duplicates:
    """Which apps of `test` are known from `past`, whose features are the same."""
    known_packages = {package for part in past for package in part.packages}
    known_vectors = {vector for part in past for vector in vectors(part.matrix)}
    own = vectors(test.matrix)
    packages = np.array([package in known_packages for package in test.packages], dtype=np.bool_)
    seen_vectors = np.array([vector in known_vectors for vector in own], dtype=np.bool_)
    first = _first(test.packages) & _first(np.array(own, dtype=object))
    return Duplicates(packages, seen_vectors, ~packages & ~seen_vectors & first)


def vectors(matrix: NDArray[np.float32]) -> list[bytes]:
    """A digest of each row: equal rows have equal ones, and others (but for 2^-128) have not."""
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in np.ascontiguousarray(matrix)]


def _first(values: NDArray[Any]) -> NDArray[np.bool_]:
    met: set[Any] = set()
    first = np.zeros(len(values), dtype=np.bool_)
    for row, value in enumerate(values):
        first[row] = value not in met
        met.add(value)
    return first
