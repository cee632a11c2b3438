"""How old data, online features and the line's models may be before their pages say so. Nothing fails by it."""

from datetime import timedelta

import dagster as dg

from dfp_platform.settings import settings


def freshness() -> dg.FreshnessPolicy | None:
    """Old after `Settings.old_after_days` without a run that made it, overdue after twice as many; None: never."""
    days = timedelta(days=settings().old_after_days)
    return dg.FreshnessPolicy.time_window(fail_window=2 * days, warn_window=days) if days else None
