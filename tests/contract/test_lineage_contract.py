"""Whoever keeps the lake, the record of what stands at an asset is found by its content."""

from __future__ import annotations

import json

from dfp_platform.catalog.content import content_of
from dfp_platform.lake import Lake
from dfp_platform.resources.lineage import lineage_at, writing_of
from dfp_platform.resources.tracing import traced


def record(lake: Lake, asset: str, *inputs: str) -> dict[str, str]:
    read = {dep: content_of(lake, "main", dep) for dep in inputs}
    return {"run": "r", "lineage": json.dumps({asset: {"code_version": "1", "inputs": read}})}


def test_the_merge_that_ended_a_step_tells_what_the_step_wrote(lake: Lake) -> None:
    lake.commit("main", {"raw/apps": b"1"}, message="land", metadata=record(lake, "raw/apps"))
    with lake.transaction("main", message="build", metadata=record(lake, "tables/a", "raw/apps")) as branch:
        lake.commit(branch, {"tables/a": b"a"}, message="append a")
    built = lake.resolve("main")
    lake.commit("main", {"raw/apps": b"2"}, message="land", metadata=record(lake, "raw/apps"))
    found = writing_of(lake, "main", "tables/a")
    assert (found.kind, found.commit.id) == ("recorded", built)
    assert [(step.asset, step.kind) for step in traced(lake, "main", "tables/a")] == [
        ("tables/a", "recorded"),
        ("raw/apps", "recorded"),
    ]


def test_what_a_revert_brought_back_is_told_by_its_first_writer(lake: Lake) -> None:
    lake.commit("main", {"models/m/card": b"1"}, message="first", metadata=record(lake, "models/m"))
    before = writing_of(lake, "main", "models/m")
    lake.revert("main", lake.commit("main", {"models/m/card": b"2"}, message="second"))
    assert writing_of(lake, "main", "models/m") == before
    assert lineage_at(lake, "main", "models/m") == before.record


def test_files_that_both_sides_of_a_merge_brought_are_told_as_merged(lake: Lake) -> None:
    lake.create_branch("mine")
    lake.commit("main", {"models/m/a": b"1"}, message="a", metadata=record(lake, "models/m"))
    lake.commit("mine", {"models/m/b": b"2"}, message="b", metadata=record(lake, "models/m"))
    merged = lake.merge("mine", message="both")
    found = writing_of(lake, "main", "models/m")
    assert (found.kind, found.commit.id) == ("merged", merged)
