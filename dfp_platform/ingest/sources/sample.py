"""Rows from the seeded generator: no real app among them."""

from __future__ import annotations

from collections.abc import Iterator

from dfp_platform.ingest.columns import BY_LANDED
from dfp_platform.ingest.origin import Origin
from dfp_platform.ingest.published import Batch
from dfp_platform.ingest.sample import GENERATOR, batches
from dfp_platform.ingest.sources.request import Delivery, Request


def deliver(request: Request) -> Delivery:
    """`request.rows` synthetic apps of one device."""
    note = f"SYNTHETIC: {request.rows:,} rows made by the generator {GENERATOR} with seed {request.seed}; no real app"
    return Delivery(Origin("sample", synthetic=True, note=note), _batches(request))


def _batches(request: Request) -> Iterator[Batch]:
    named = {landed: column.published for landed, column in BY_LANDED.items()}
    done = 0
    for rows in batches(request.device, rows=request.rows, seed=request.seed):
        yield Batch(f"{GENERATOR} (seed {request.seed})", range(done + 1, done + 1 + rows.height), rows, named)
        done += rows.height
        request.progress("sample", done, request.rows)
