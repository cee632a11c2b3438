"""Which steps a hold-back records as failed, so that "re-execute from failure" does what is needed and no more."""

from __future__ import annotations

from typing import Any

from dfp_platform.publishing.gate import Reason
from dfp_platform.resources.dagster_internals import steps_by_asset, steps_by_check


def steps_to_fail(plan: Any, reasons: tuple[Reason, ...]) -> tuple[str, ...]:
    """Steps whose results contradict the target now, or whose verdict is missing; what follows them runs again too.

    Empty: nothing has to be made again, a re-execution only has to publish.
    """
    makers, judges = steps_by_asset(plan), steps_by_check(plan)
    steps: dict[str, None] = {}
    for reason in reasons:
        if reason.kind in ("conflict", "moved-input") and reason.asset in makers:
            steps[makers[reason.asset]] = None
        if reason.kind == "check":
            steps.update(dict.fromkeys(step for (asset, _), step in judges.items() if asset == reason.asset))
    return tuple(steps)
