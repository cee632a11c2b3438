"""`dfp lake gc`, `verify`, `expire`, `compact`: what a person and a script read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfp_platform.catalog import open_catalog
from dfp_platform.lake import Lake
from tests.garbage import age, days_ago, rows, table_files
from tests.unit.test_cli_lake import Dfp, dfp

__all__ = ["dfp"]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A table of three appends on main, and files of a branch that is gone."""
    from dfp_platform.lake import open_lake
    from dfp_platform.settings import settings

    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    monkeypatch.setenv("DFP_LAKE", str(tmp_path / "lake"))
    settings.cache_clear()
    with days_ago():
        made = open_lake(tmp_path / "lake", create=True)
        open_catalog(made).create_namespace("marts")
        table = open_catalog(made).create_table("marts.apps", rows().schema)
        for number in range(3):
            table.append(rows(number))
        made.create_branch("gone")
        open_catalog(made, "gone").load_table("marts.apps").append(rows(9))
        made.delete_branch("gone")
    age(made)
    yield made
    settings.cache_clear()


def test_gc_counts_unless_told_to_delete(lake: Lake, dfp: Dfp) -> None:
    before = table_files(lake)
    code, said, told = dfp("lake", "gc")
    assert code == 0
    assert said.splitlines()[0].split("\t")[:2] == ["table files", "4"]
    assert "--delete" in told
    assert table_files(lake) == before
    counted = json.loads(dfp("lake", "gc", "--json")[1])
    taken = json.loads(dfp("lake", "gc", "--delete", "--json")[1])
    assert counted["found"] == taken["found"]
    assert (counted["deleted"], taken["deleted"]) == (False, True)
    assert taken["total"]["bytes"] > 0
    assert len(before) - len(table_files(lake)) == 4
    assert json.loads(dfp("lake", "gc", "--json")[1])["total"]["files"] == 0
    assert dfp("lake", "verify")[1] == "the lake is whole\n"


def test_gc_refuses_a_negative_grace(lake: Lake, dfp: Dfp) -> None:
    code, _, told = dfp("lake", "gc", "--grace", "-1")
    assert code == 2
    assert "--grace" in told


def test_verify_names_a_missing_table_file_and_ends_with_1(lake: Lake, dfp: Dfp) -> None:
    missing = sorted(Path(lake.warehouse).rglob("*.parquet"))
    for file in missing:
        file.unlink()
    code, said, told = dfp("lake", "verify", "--json")
    assert code == 1
    assert len(json.loads(said)["problems"]) == 3, "three of the four are reached"
    assert "is missing" in told


def test_expire_and_compact_do_all_tables_or_the_named_ones(lake: Lake, dfp: Dfp) -> None:
    assert json.loads(dfp("lake", "compact", "marts.apps", "--json")[1]) == [
        {"table": "marts.apps", "before": 3, "after": 1}
    ]
    assert json.loads(dfp("lake", "expire", "--days", "0", "--json")[1]) == [
        {"table": "marts.apps", "before": 4, "after": 1}
    ]
    assert dfp("lake", "expire")[1] == "marts.apps\t1\t1\n"
    assert dfp("lake", "compact", "marts.none")[0] == 1
