"""Whoever keeps the lake, its doors can be tried, and nothing of that stays."""

from __future__ import annotations

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.lake import Lake
from dfp_platform.probes import tried
from dfp_platform.probes.lake import DOORS
from dfp_platform.settings import Settings
from tests.garbage import rows


def test_every_door_of_a_lake_is_open_and_is_left_as_it_was(lake: Lake) -> None:
    lake.commit("main", {"raw/a.bin": b"big" * 10_000, "small": b"1"}, message="1")
    overwrite(open_catalog(lake), "marts.apps", rows(1, 2))
    before = lake.branches(), list(lake.list("main"))
    found = [tried(door, Settings(_env_file=None, lake=lake.uri)) for door in DOORS]
    assert [(each.door, each.status) for each in found] == [(door.name, "ok") for door in DOORS], found
    assert (lake.branches(), list(lake.list("main"))) == before
