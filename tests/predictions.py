"""Predictions for tests: a model that answers what it is told, and lakes that fail when they are told."""

from __future__ import annotations

from typing import Any

import numpy as np

from dfp_platform.errors import UnreachableError
from dfp_platform.serving.predictions import REQUEST, Answerer, Answers, Origin

FEATURES = ("sys_read", "sys_write", "perm_internet")


def answerer(**told: Any) -> Answerer:
    """A loaded model, the champion unless told otherwise."""
    known: dict[str, Any] = {
        "artifact": "mobile/autoencoder_onnx",
        "model": "autoencoder",
        "version": "3",
        "content": "c0ffee",
        "commit": "a" * 40,
        "threshold": 0.5,
        "features": FEATURES,
    }
    return Answerer(**{**known, **told})


def answers(
    by: Answerer, *scores: float, request: str = "r-1", origins: Origin | list[Origin] = REQUEST, first: int = 0
) -> Answers:
    """One app for each score; the vector of app n begins with n."""
    count = len(scores)
    vectors = np.full((count, len(by.features)), np.nan, dtype=np.float32)
    vectors[:, 0] = np.arange(first, first + count)
    told = np.array(scores, dtype=np.float32)
    return Answers(
        by=by,
        request=request,
        sha256=[f"{first + row:064x}" for row in range(count)],
        vectors=vectors,
        scores=told,
        labels=(told >= by.threshold).astype(np.int64),
        errors=told * 2,
        latency_ms=1.5,
        origins=origins,
    )


class UnsteadyLake:
    """A lake that does not answer while `gone`: every call is the error that it is told."""

    def __init__(self, lake: Any, error: Exception | None = None) -> None:
        self._lake, self.gone = lake, True
        self._error = error or UnreachableError("the lake does not answer", hint="wait", address="nowhere")

    def __getattr__(self, name: str) -> Any:
        if self.gone:
            raise self._error
        return getattr(self._lake, name)
