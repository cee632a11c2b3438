"""Pages of partitions say what the lake holds of each, whoever wrote it."""

from __future__ import annotations

import json
from datetime import date

import pyarrow as pa
import pytest

from dfp_platform.catalog import open_catalog, overwrite_partitions
from dfp_platform.catalog.partitions import partition_contents
from dfp_platform.lake.interface import Lake
from dfp_platform.publishing.partition_pages import tell_in_a_process, told_so_far
from dfp_platform.publishing.truth import ABSENT, lineage_of_partitions, tell_partitions
from dfp_platform.resources.dagster_internals import Graph, report_materialization
from dfp_platform.resources.dagster_partitions import latest_partition_versions
from tests.toy_harness import Toy, toy

__all__ = ["toy"]

EVENTS = "tables/marts/events"
GRAPH = Graph(dependencies={EVENTS: ()}, required={}, code_versions={}, partitioned=frozenset({EVENTS}))
JANUARY, FEBRUARY, MARCH = (date(2012, month, 1) for month in (1, 2, 3))


def write(lake: Lake, values: dict[date, int], *, branch: str = "main") -> None:
    rows = pa.table({"month": pa.array(values, pa.date32()), "value": pa.array(values.values(), pa.int64())})
    overwrite_partitions(open_catalog(lake, branch), "marts.events", rows, partition=["month"])


@pytest.fixture
def written(toy: Toy) -> Toy:
    write(toy.lake, {JANUARY: 1, FEBRUARY: 2})
    return toy


def test_a_partition_has_a_content_of_its_own_that_knows_no_files(written: Toy) -> None:
    lake = written.lake
    before = partition_contents(lake, "main", EVENTS)
    assert {part: held.rows for part, held in before.items()} == {"2012-01-01": 1, "2012-02-01": 1}
    write(lake, {FEBRUARY: 7})
    changed = partition_contents(lake, "main", EVENTS)
    assert changed["2012-01-01"] == before["2012-01-01"]
    assert changed["2012-02-01"] != before["2012-02-01"]
    write(lake, {FEBRUARY: 2})
    assert partition_contents(lake, "main", EVENTS) == before, "other files, equal rows"
    assert partition_contents(lake, "main", "tables/marts/nothing") == {}


def test_each_page_is_made_equal_to_what_the_lake_holds_and_then_left_alone(written: Toy) -> None:
    instance, lake = written.instance, written.lake
    stated = {"code_version": None, "inputs": {}, "metadata": {}}
    report_materialization(instance, EVENTS, content="of a run that was held back", partition="2012-02-01", **stated)
    report_materialization(
        instance, EVENTS, content="held back too, and nowhere else", partition="2012-03-01", **stated
    )
    assert tell_partitions(instance, lake, GRAPH, at_most=1) == {EVENTS: 1}
    assert tell_partitions(instance, lake, GRAPH, at_most=100) == {EVENTS: 2}
    held = {part: found.content for part, found in partition_contents(lake, "main", EVENTS).items()}
    assert latest_partition_versions(instance, EVENTS) == {**held, "2012-03-01": ABSENT}
    assert tell_partitions(instance, lake, GRAPH, at_most=100) == {}
    write(lake, {MARCH: 3})
    assert tell_partitions(instance, lake, GRAPH, at_most=100) == {EVENTS: 1}


def test_a_process_of_its_own_tells_the_pages_once(written: Toy) -> None:
    instance, lake = written.instance, written.lake
    before = told_so_far(instance, lake, GRAPH)
    assert tell_in_a_process(instance, GRAPH) == {EVENTS: 2}
    held = {part: found.content for part, found in partition_contents(lake, "main", EVENTS).items()}
    assert latest_partition_versions(instance, EVENTS) == held
    after = told_so_far(instance, lake, GRAPH)
    assert after != before
    assert tell_in_a_process(instance, GRAPH) == {}
    assert told_so_far(instance, lake, GRAPH) == after, "so a sensor need not ask again"
    write(lake, {MARCH: 3})
    assert told_so_far(instance, lake, GRAPH) != after


def test_the_lineage_of_a_partition_is_that_of_the_run_that_made_it(written: Toy) -> None:
    lake = written.lake
    for part, source in (("2012-01-01", "a"), ("2012-02-01", "b")):
        lineage = json.dumps({EVENTS: {"inputs": {"raw": source}, "partitions": [part, part]}})
        with lake.transaction("main", message="a run", metadata={"lineage": lineage}) as branch:
            write(lake, {date.fromisoformat(part): 5}, branch=branch)
    found = lineage_of_partitions(lake, "main", EVENTS, ["2012-01-01", "2012-02-01", "2012-03-01"])
    assert {part: said["inputs"]["raw"] for part, said in found.items()} == {"2012-01-01": "a", "2012-02-01": "b"}
    whole = json.dumps({EVENTS: {"inputs": {"raw": "c"}}})
    with lake.transaction("main", message="a run of all", metadata={"lineage": whole}) as branch:
        write(lake, {JANUARY: 6}, branch=branch)
    found = lineage_of_partitions(lake, "main", EVENTS, ["2012-01-01", "2012-02-01"])
    assert {part: said["inputs"]["raw"] for part, said in found.items()} == {"2012-01-01": "c", "2012-02-01": "c"}
