"""What runs by itself, part by part: each job makes some rooms of the line and publishes them like any other run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dfp_platform.assets.choices import CHECKS_REPORT, DRIFT_REPORT, TRAFFIC, TRAFFIC_REPORT, beyond_the_line
from dfp_platform.publishing.launch import MAIN_JOB
from dfp_platform.publishing.maintenance import maintain_job
from dfp_platform.resources.retrying import retries
from dfp_platform.settings import settings

INGEST = "ingest"
"""Raw apps and the tables that are built from them."""

FEATURES = "features"
"""The feature registry and the values that are served online."""

TRAIN = "train"
"""Features, models, champions, their judgement, their artifacts and their reports."""

MONITOR = "monitor"
"""What is looked at every day: live traffic, drift, checks."""

MAINTAIN = maintain_job.name
"""The lake's own care."""

WATCHED = (TRAFFIC, TRAFFIC_REPORT, DRIFT_REPORT, CHECKS_REPORT)
"""What the daily look makes, in no order."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the line that is made as one job.

    Attributes:
        rooms: first parts of the keys of what it makes.
        writes: what it shall not write beside another run, see `writing`.
        told: its description.
    """

    rooms: tuple[str, ...]
    writes: tuple[str, ...]
    told: str


_PARTS: Mapping[str, _Part] = {
    MAIN_JOB: _Part(
        ("raw", "tables", "features", "models", "mobile", "reports"),
        ("tables", "models"),
        "Raw apps to a measured model and its report, published in one commit. "
        "Tables by month are made whole, whichever partition is chosen.",
    ),
    INGEST: _Part(("raw", "tables"), ("tables",), "Take the source again: raw apps, and the tables built from them."),
    FEATURES: _Part(("features",), (), "Bring the registry and the values served online to what the tables hold."),
    TRAIN: _Part(
        ("features", "models", "mobile", "reports"),
        ("models",),
        "Train from what the tables hold: models, their judgement, their artifacts and their reports.",
    ),
}


def writing(*what: str, branch: str = "") -> dict[str, str]:
    """Run tags by which `dagster.yaml` lets only one run at a time write something of a branch; the others wait.

    Only what two runs cannot both publish is kept apart: models, whose champions and reports are judged together, and
    tables, which would be made twice from the same rows. All else goes side by side, and the gate settles it.

    Args:
        what: ``tables``, ``models``.
        branch: the branch it is published to; empty: the configured one.
    """
    return {f"lake/writes-{one}": branch or settings().branch for one in what}


def line_jobs() -> list[Any]:
    """The jobs over parts of the line, and the daily look."""
    beyond = dg.AssetSelection.assets(*(key.split("/") for key in beyond_the_line()))
    jobs = [
        dg.define_asset_job(
            name,
            dg.AssetSelection.key_prefixes(*part.rooms) - beyond,
            description=part.told,
            run_tags=writing(*part.writes),
            op_retry_policy=retries().policy(name),
        )
        for name, part in _PARTS.items()
    ]
    watched = dg.AssetSelection.assets(*(key.split("/") for key in WATCHED))
    told = "Look at live traffic, drift and checks."
    return [*jobs, dg.define_asset_job(MONITOR, watched, description=told, op_retry_policy=retries().policy(MONITOR))]
