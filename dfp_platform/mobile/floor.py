"""The physical floor: the bare matrix products of a network, which whatever runs it has to compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_platform.mobile.artifact import network_of

Shapes = tuple[tuple[int, int], ...]
"""Inputs and outputs of each matrix product."""


class BareProducts:
    """One row times one matrix after another, in float32 by BLAS, into memory that is there already.

    Other number formats are held against it too: nothing that numpy or PyTorch have for one row of 8 or 16 bits is
    faster than this.
    """

    def __init__(self, shapes: Shapes) -> None:
        random = np.random.default_rng(0)
        weights = [random.standard_normal(shape, dtype=np.float32) for shape in shapes]
        inputs = [random.standard_normal((1, rows), dtype=np.float32) for rows, _ in shapes]
        outputs = [np.empty((1, columns), dtype=np.float32) for _, columns in shapes]
        self._products = list(zip(inputs, weights, outputs, strict=True))

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """The products once, whatever row is asked about; no score comes out."""
        for row, weights, out in self._products:
            np.dot(row, weights, out=out)
        return out[0]


def products_of(files: Mapping[str, bytes]) -> Shapes:
    """The matrix products of one answer of the network with these files (see `models.weights`).

    Raises:
        InputError: the model is no network.
    """
    import torch
    from torch import nn

    scorer = network_of(files, "phones")
    shapes: list[tuple[int, int]] = []

    def seen(layer: Any, _given: Any, _told: Any) -> None:
        shapes.append((layer.in_features, layer.out_features))

    hooks = [layer.register_forward_hook(seen) for layer in scorer.network.modules() if isinstance(layer, nn.Linear)]
    try:
        with torch.inference_mode():
            scorer.network(torch.zeros(1, len(scorer.card.features)))
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(shapes)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside, numpy multiplies on one thread."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
