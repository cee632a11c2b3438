"""Assets may be made from others that nobody has made yet, such as an evaluation from the models there are."""

from __future__ import annotations

import dagster as dg

from dfp_platform.resources import dagster_internals as internals
from tests.contract.test_dagster_internals import instance, launch, report, staleness

__all__ = ["instance"]  # a fixture


def test_what_was_made_without_an_input_is_fresh_until_that_is_made(instance: dg.DagsterInstance) -> None:
    launch(instance, "t/b")
    assert internals.latest_inputs(instance, ["t/b"])["t/b"] == {"t/a": internals.NEVER_MADE}
    assert staleness(instance) == {"t/a": "MISSING", "t/b": "FRESH", "t/c": "MISSING"}
    report(instance, "t/b", "t/b@1", t_a=(internals.NEVER_MADE, None))
    assert staleness(instance)["t/b"] == "FRESH"
    launch(instance, "t/a")
    assert staleness(instance)["t/b"] == "STALE"
