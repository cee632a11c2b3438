"""Checks of features/online beside the one that compares bits: how old, how complete and how drifted features are."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from dfp_platform.resources.checks import completed
from dfp_platform.resources.lake import LakeResource
from dfp_platform.settings import settings

if TYPE_CHECKING:
    from dfp_platform.models.drift import FeatureDrift

ONLINE = ("features", "online")
WORST = 5
"""Features that a check names at most."""

_SPECS = [
    dg.AssetCheckSpec(
        "fresh",
        asset=ONLINE,
        description="The features' table took its content not too many days ago (old_after_days).",
    ),
    dg.AssetCheckSpec(
        "missing",
        asset=ONLINE,
        blocking=True,
        description="No feature lacks its value for many more apps than in what is published.",
    ),
    dg.AssetCheckSpec(
        "drift", asset=ONLINE, description="The newest apps' features lie like those of the older half, by PSI."
    ),
]


@dg.multi_asset_check(name="feature_quality", specs=_SPECS, can_subset=True)
def feature_quality(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
    """All three over one reading of the table."""
    from dfp_platform.features.quality import missing_before, newest_drift, served_features

    found = served_features(lake.store, lake.ref)
    told = {
        "fresh": lambda: fresh(found.written, found.newest, now=datetime.now(UTC), days=settings().old_after_days),
        "missing": lambda: missing(found.missing, missing_before(lake.store, lake.branch)),
        "drift": lambda: drift(newest_drift(found.matrix, found.features)),
    }
    wanted = {key.name for key in context.op_execution_context.selected_asset_check_keys}
    yield from (completed(lake, judge()) for name, judge in told.items() if name in wanted)


def fresh(written: datetime, newest: datetime, *, now: datetime, days: int) -> dg.AssetCheckResult:
    """Equal rows make no commit, so the age of the table's content is that of its last change.

    The newest app's date is told and not judged: it says how old the data set is, which does not change by itself. The
    figure counts whole spans of `days`, so that a verdict on equal features stays the same bytes until it turns.

    Args:
        days: how old it may be; 0: as old as it is.
    """
    from dfp_platform.features.quality import age_in_days

    age = age_in_days(written, now)
    return dg.AssetCheckResult(
        check_name="fresh",
        asset_key=dg.AssetKey(ONLINE),
        passed=not days or age < days,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "figure": float(age // days) if days else 0.0,
            "limit": 0.0,
            "unit": f"times {days} days without a change of the features",
            "features changed (days ago)": round(age, 3),
            "limit (days)": days,
            "newest app": newest.date().isoformat(),
            "newest app (days ago)": round(age_in_days(newest, now), 1),
        },
    )


def missing(now: Mapping[str, float], before: Mapping[str, float]) -> dg.AssetCheckResult:
    """A feature that stops coming is a broken feed, which no model shows by failing: it holds publication back."""
    from dfp_platform.features.quality import MISSING_RISE, missing_rise

    grown = missing_rise(now, before)
    worst = {name: f"{before[name]:.1%} → {now[name]:.1%}" for name in list(grown)[:WORST]}
    return dg.AssetCheckResult(
        check_name="missing",
        asset_key=dg.AssetKey(ONLINE),
        passed=max(grown.values(), default=0.0) <= MISSING_RISE,
        metadata={
            "figure": max(grown.values(), default=0.0),
            "limit": MISSING_RISE,
            "unit": "growth of the share of apps without a value",
            "worst": worst,
            "compared features": len(now.keys() & before.keys()),
            "missing values (share)": sum(now.values()) / len(now),
        },
    )


def drift(found: "FeatureDrift", *, check: str = "drift", asset: tuple[str, ...] = ONLINE) -> dg.AssetCheckResult:
    """What a check says of drift: the share of features beyond their limit, and which they are. It never blocks."""
    from dfp_platform.models.drift import DRIFTED_SHARE

    return dg.AssetCheckResult(
        check_name=check,
        asset_key=dg.AssetKey(asset),
        passed=found.share <= DRIFTED_SHARE,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "figure": found.share,
            "limit": DRIFTED_SHARE,
            "unit": "share of features that drifted",
            "worst (PSI)": found.named(WORST),
            "rows": found.rows,
            "held against": found.reference_rows,
        },
    )


checks = [feature_quality]
