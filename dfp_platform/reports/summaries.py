"""Figures of the report that are computed from rows: who is in the data, and how scores are spread."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

BINS = 48
_SPREAD_FOR_LOG = 10.0
"""Largest over median score from which a linear axis would show one bar and a void."""


def describe_dataset(table: pa.Table) -> dict[str, Any]:
    """Counts of apps in a table shaped as ``fct_training_dataset``.

    Returns:
        ``rows``; ``features`` (how many columns); ``devices``: per device its apps, malware, first and last day;
        ``periods``: per device and calendar month its benign apps and malware, oldest first.
    """
    from dfp_platform.schemas import FEATURE_PREFIXES

    columns = (table[name].to_pylist() for name in ("device", "highest_date", "malware"))
    apps = [(device, day, int(label)) for device, day, label in zip(*columns, strict=True)]
    counts = Counter((device, f"{day:%Y-%m}", label) for device, day, label in apps if day)
    devices = sorted({device for device, _, _ in apps})
    return {
        "rows": table.num_rows,
        "features": sum(name.startswith(FEATURE_PREFIXES) for name in table.column_names),
        "devices": [_device(device, [app for app in apps if app[0] == device]) for device in devices],
        "periods": [
            {"device": device, "month": month, "benign": counts[device, month, 0], "malware": counts[device, month, 1]}
            for device, month in sorted({(device, month) for device, month, _ in counts})
        ],
    }


def _device(name: str, apps: list[tuple[str, Any, int]]) -> dict[str, Any]:
    days = [day for _, day, _ in apps if day is not None]
    return {
        "device": name,
        "rows": len(apps),
        "malware": sum(label for _, _, label in apps),
        "first": min(days).isoformat() if days else None,
        "last": max(days).isoformat() if days else None,
    }


def score_distribution(
    model: str, scores: NDArray[np.float32], labels: NDArray[np.int8], *, threshold: float
) -> dict[str, Any]:
    """How the scores of benign apps and of malware are spread, counted in bins.

    Args:
        model: its name.
        scores: shape ``(apps,)``; more is more suspicious.
        labels: shape ``(apps,)``; 1 is malware.
        threshold: the score above which an app raises an alarm.
    Returns:
        ``scale`` (``log`` where scores are positive and spread widely, else ``linear``), ``edges`` (one more than bins;
        every score lies between the first and the last), ``benign`` and ``malware`` counts, ``threshold``.
    """
    finite = scores[np.isfinite(scores)].astype(np.float64)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    low, high = min(low, threshold), max(high, threshold)
    median = float(np.median(finite)) if finite.size else 0.0
    logarithmic = low > 0 and high > _SPREAD_FOR_LOG * median
    if high <= low:
        high = low + 1.0
    edges = np.geomspace(low, high, BINS + 1) if logarithmic else np.linspace(low, high, BINS + 1)
    edges[0], edges[-1] = low, high
    known = np.isfinite(scores)
    return {
        "model": model,
        "scale": "log" if logarithmic else "linear",
        "edges": [float(f"{edge:.6g}") for edge in edges],
        "benign": np.histogram(scores[known & (labels == 0)], edges)[0].tolist(),
        "malware": np.histogram(scores[known & (labels == 1)], edges)[0].tolist(),
        "threshold": float(threshold),
    }
