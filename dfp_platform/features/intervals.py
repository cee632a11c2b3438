"""Which windows of time were materialized on this machine: what `feast materialize-incremental` goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dfp_platform.features.pointer import appearing

Intervals = Mapping[str, Sequence[Sequence[str]]]
"""By view, the windows as (start, end), each an RFC 3339 text."""


def kept_intervals(file: Path) -> Intervals:
    """The windows that `keep_intervals` stored; none if nothing was materialized here."""
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}


def keep_intervals(file: Path, registry: Any) -> None:
    """Store the windows that a registry message holds; the file appears whole, and only if they changed."""
    told = {
        view.spec.name: [
            [interval.start_time.ToJsonString(), interval.end_time.ToJsonString()]
            for interval in view.meta.materialization_intervals
        ]
        for view in registry.feature_views
        if view.meta.materialization_intervals
    }
    if told == kept_intervals(file):
        return
    with appearing(file) as part:
        part.write_text(json.dumps(told, sort_keys=True))


def with_intervals(registry: Any, intervals: Intervals) -> Any:
    """A registry message with these windows in its views; of views that it has not, nothing."""
    for view in registry.feature_views:
        for start, end in intervals.get(view.spec.name, ()):
            added = view.meta.materialization_intervals.add()
            added.start_time.FromJsonString(start)
            added.end_time.FromJsonString(end)
    return registry
