"""`dfp plan` says of published assets what Dagster's graph says of them, and beyond that what follows and how long."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import replace
from datetime import date
from typing import Any

from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from dfp_platform.catalog import content_at
from dfp_platform.publishing.planning import Asked, Partitions, Plan, planned
from dfp_platform.publishing.truth import tell_truth
from dfp_platform.resources.dagster_history import Estimate, estimate, steps_of_assets
from dfp_platform.resources.dagster_internals import Graph, key_of
from tests import toy_line
from tests.integration.test_publishing_partitions import EVENTS, FEBRUARY, JANUARY, MARCH, write
from tests.toy_harness import ASSETS, Toy, toy

__all__ = ["toy"]


def plan(toy: Toy, selection: Collection[str] = ASSETS, graph: Graph | None = None, **options: Any) -> Plan:
    return planned(toy.lake, "main", graph or toy.graph, selection, Asked(), **options)


def states(found: Plan) -> dict[str, str]:
    return {each.asset[-1]: each.state for each in found.assets}


def stale_in_the_ui(toy: Toy) -> set[str]:
    graph = toy_line.defs().resolve_asset_graph()
    resolver = CachingStaleStatusResolver(toy.instance, graph, LoadingContextForTest(toy.instance))
    return {asset for asset in ASSETS if resolver.get_status(key_of(asset)).value != "FRESH"}


def by_hand(toy: Toy, asset: str, text: bytes, **record: Any) -> None:
    """Somebody commits to the target: content, and what is recorded of it."""
    told = {asset: record} if record else {}
    changes = {f"{asset}/report.json": text}
    toy.lake.commit("main", changes, message="by hand", metadata={"lineage": json.dumps(told)})
    tell_truth(toy.instance, toy.lake, toy.graph)


def test_before_anything_was_made_everything_is_missing(toy: Toy) -> None:
    found = planned(None, "main", toy.graph, ASSETS, Asked())
    assert found.commit is None
    assert [each.causes[0].kind for each in found.assets] == ["missing"] * 3
    assert found.stale == ASSETS
    assert not (toy.home / "lake").exists(), "to plan makes no lake"


def test_a_plan_and_the_graph_in_the_ui_say_the_same(toy: Toy) -> None:
    first = toy.run()
    assert set(plan(toy).stale) == stale_in_the_ui(toy) == set()
    newer = replace(toy.graph, code_versions={**toy.graph.code_versions, "reports/c": "2"})
    assert states(plan(toy, ["reports/c"], newer)) == {"c": "stale"}
    by_hand(toy, "reports/a", b"other")
    found = plan(toy)
    assert set(found.stale) == stale_in_the_ui(toy) == {"reports/b"}
    assert states(found) == {"a": "fresh", "b": "stale", "c": "follows"}
    assert found.assets[1].causes[0].sentence == "reports/a has other content"
    assert found.assets[2].after == ("reports/b",)
    alone = plan(toy, ["reports/c"])
    assert (states(alone), alone.left_out) == ({"c": "fresh"}, ("reports/b",)), "stale, and not chosen"
    inputs = {"reports/a": content_at(toy.lake, "main", "reports/a")}
    by_hand(toy, "reports/b", b"of older code", code_version="0", inputs=inputs)
    found = plan(toy)
    assert set(found.stale) == stale_in_the_ui(toy) == {"reports/b", "reports/c"}
    assert found.assets[1].causes[0].sentence == "code version 0 → 1"
    assert planned(toy.lake, str(first.published_commit), toy.graph, ASSETS, Asked()).rebuilt == (), "an old state"
    assert toy.run().success
    assert set(plan(toy).stale) == stale_in_the_ui(toy) == set()


def test_times_come_from_the_newest_runs_and_say_of_how_many(toy: Toy) -> None:
    steps = steps_of_assets(toy_line.defs().resolve_asset_graph())
    assert steps["reports/a"] == ("reports__a", "reports__a_a_is_good")
    wanted = [step for asset in ASSETS for step in steps[asset]]
    assert estimate(toy.instance, wanted) == Estimate(unknown=tuple(sorted(wanted)))
    runs = [toy.run(selection=["reports/a"]).run_id for _ in range(2)]
    toy.turn("b", "fail")
    runs.append(toy.run(selection=["reports/a", "reports/b"]).run_id)
    for run_id, milliseconds in zip(runs, (4_000.0, 2_000.0, 9_000.0), strict=True):
        took(toy, run_id, "reports__a", milliseconds)
    found = estimate(toy.instance, ["reports__a", "reports__b"])
    assert (found.seconds, found.steps, found.runs) == (4.0, {"reports__a": 4.0}, 3), "a failed run has steps that did"
    assert found.unknown == ("reports__b",)


def took(toy: Toy, run_id: str, step: str, milliseconds: float) -> None:
    """Let a recorded step have taken so long."""
    database = toy.home / "dagster" / "history" / "runs" / f"{run_id}.db"
    with sqlite3.connect(database) as records:
        where = "step_key = ? and dagster_event_type = 'STEP_SUCCESS'"
        [(number, event)] = records.execute(f"select id, event from event_logs where {where}", (step,)).fetchall()
        told = json.loads(event)
        told["dagster_event"]["event_specific_data"]["duration_ms"] = milliseconds
        records.execute("update event_logs set event = ? where id = ?", (json.dumps(told), number))


def test_of_a_partitioned_table_the_partitions_that_older_code_made_are_named(toy: Toy) -> None:
    graph = Graph({EVENTS: ()}, {EVENTS: ()}, {EVENTS: "2"}, partitioned=frozenset({EVENTS}))

    def made(values: dict[date, int], code: str, **span: Any) -> None:
        lineage = json.dumps({EVENTS: {"code_version": code, "inputs": {}, **span}})
        with toy.lake.transaction("main", message="a run", metadata={"lineage": lineage}) as branch:
            write(toy.lake, values, branch=branch)

    made({JANUARY: 1, FEBRUARY: 2, MARCH: 3}, "1")
    made({FEBRUARY: 7}, "2", partitions=["2012-02-01", "2012-02-01"])
    [found] = planned(toy.lake, "main", graph, [EVENTS], Asked()).assets
    assert (found.state, found.partitions) == ("stale", Partitions(2, 3, "2012-01-01", "2012-03-01"))
    assert [cause.sentence for cause in found.causes] == ["code version 1 → 2"]
    made({JANUARY: 8, FEBRUARY: 8, MARCH: 8}, "2")
    [found] = planned(toy.lake, "main", graph, [EVENTS], Asked()).assets
    assert (found.state, found.partitions) == ("fresh", Partitions(0, 3))
