"""How a merge that cannot be done says so, alike in every keeper."""

from __future__ import annotations

from collections.abc import Sequence

from dfp_platform.errors import MergeConflictError
from dfp_platform.schemas import Conflict

_SHOWN = 5


def refuse_conflicts(conflicts: Sequence[Conflict], what: str) -> None:
    """Raise MergeConflictError if there are any; `what` could not be done, ``merge a into b``."""
    if conflicts:
        listed = "; ".join(f"{conflict.path}: {conflict.detail}" for conflict in conflicts[:_SHOWN])
        more = f" and {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
        raise MergeConflictError(
            f"cannot {what}: {listed}{more}",
            hint="make both sides agree, or say with `resolved` what shall stand at each path",
            conflicts=conflicts,
        )
