"""What was not made from what stands beside it: told by every kind of lake, whoever wrote to it and in what order."""

from __future__ import annotations

from random import Random

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.lake import Lake
from dfp_platform.publishing.staleness import contents_at, stale, upstream
from dfp_platform.resources.dagster_internals import Graph
from dfp_platform.sensors.looking import Looking
from dfp_platform.sensors.watching import Watch
from tests.contract.lakes import put
from tests.garbage import rows

GRAPH = Graph(
    dependencies={
        "raw/apps": (),
        "data/staged": ("raw/apps",),
        "data/training": ("data/staged",),
        "models/m": ("data/training",),
        "reports/r": ("models/m",),
    },
    required={},
    code_versions={},
)


def stale_at(lake: Lake, ref: str = "main") -> list[str]:
    head = lake.resolve(ref)
    return list(stale(lake, head, GRAPH, contents_at(lake, head, upstream(GRAPH, ["models/m"]))))


def made(lake: Lake) -> None:
    """Each asset in a commit of its own, from what lay there."""
    put(lake, raw__apps__1=b"one", raw__apps__2=b"two")
    put(lake, data__staged=b"s1")
    put(lake, data__training=b"t1")
    put(lake, models__m__card=b"m1", models__m__weights=b"w1")


def test_nothing_is_stale_where_each_was_made_after_its_inputs(lake: Lake) -> None:
    assert stale_at(lake) == []
    made(lake)
    assert stale_at(lake) == []


def test_an_input_that_changed_since_makes_its_reader_stale_and_no_other(lake: Lake) -> None:
    made(lake)
    put(lake, raw__apps__3=b"three")
    assert stale_at(lake) == ["data/staged"]
    put(lake, data__training=b"by hand")
    assert stale_at(lake) == ["data/staged", "models/m"]
    put(lake, models__m__weights=b"w2")
    assert stale_at(lake) == ["data/staged"], "one new file makes an asset new"
    put(lake, data__staged=b"s2")
    assert stale_at(lake) == ["data/training"]


def test_content_that_returned_makes_nothing_stale(lake: Lake) -> None:
    made(lake)
    before = lake.resolve("main")
    put(lake, data__training=b"t2")
    lake.revert("main", lake.resolve("main"))
    assert stale_at(lake) == []
    looking = Looking(GRAPH, ["models/m"])
    assert looking.look(lake, before).inputs == looking.look(lake, lake.resolve("main")).inputs


def test_what_a_merge_brings_together_was_made_from_what_its_branch_held(lake: Lake) -> None:
    made(lake)
    lake.create_branch("run-1")
    put(lake, "run-1", data__training=b"t2")
    put(lake, "run-1", models__m__card=b"m2")
    lake.merge("run-1", message="publish")
    assert stale_at(lake) == []
    lake.create_branch("run-2")
    put(lake, "run-2", models__m__card=b"m3")
    put(lake, data__training=b"t3")
    lake.merge("run-2", message="publish")
    assert stale_at(lake) == ["models/m"]


def test_what_is_not_there_is_stale_once_all_it_is_made_from_is(lake: Lake) -> None:
    put(lake, raw__apps__1=b"one")
    assert stale_at(lake) == ["data/staged"]


def test_a_table_that_was_only_written_anew_was_not_made_anew(lake: Lake) -> None:
    graph = Graph({"raw/apps": (), "tables/marts/apps": ("raw/apps",)}, {}, {})
    put(lake, raw__apps=b"one")
    catalog = open_catalog(lake)
    overwrite(catalog, "marts.apps", rows(0))
    table = catalog.load_table("marts.apps")
    put(lake, raw__apps=b"two")
    with table.update_schema() as update:
        update.update_column("number", doc="no content")
    head = lake.resolve("main")
    assert stale(lake, head, graph, contents_at(lake, head, graph.topological())) == ("tables/marts/apps",)


def test_branches_are_looked_at_by_pattern_without_those_of_runs_and_only_where_heads_moved(lake: Lake) -> None:
    made(lake)
    for branch in ("feature-x", "other", "run-1", "tx-1"):
        lake.create_branch(branch)
    looking = Looking(GRAPH, ["models/m"])
    seen = looking.looks(lake, ["*"], {}, draw=Random(1))
    assert list(seen) == ["feature-x", "main", "other"]
    assert set(seen.values()) == {seen["main"]}
    remembered = {branch: Watch(told) for branch, told in seen.items() if told}
    put(lake, "feature-x", data__training=b"t2")
    again = looking.looks(lake, ["main", "feature-*"], remembered, draw=Random(1))
    assert again["main"] is seen["main"]
    moved, stands = again["feature-x"], seen["main"]
    assert moved is not None
    assert stands is not None
    assert (moved.stale, moved.inputs == stands.inputs) == (("models/m",), False)
