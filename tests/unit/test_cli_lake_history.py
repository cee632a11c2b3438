"""`dfp lake diff`, `merge --dry-run`, `log --graph`, `import`, `protect`, on tables and on files."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.collection import collect_garbage
from dfp_platform.catalog.verification import table_damages
from dfp_platform.errors import ReadOnlyError
from dfp_platform.lake import Lake, open_lake
from dfp_platform.settings import settings
from tests.garbage import age, numbers, rows, swept
from tests.local_servers import free_port
from tests.unit.test_cli_lake import Dfp, dfp

__all__ = ["dfp"]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A table on main, which a branch changed."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    monkeypatch.setenv("DFP_LAKE", str(tmp_path / "lake"))
    settings.cache_clear()
    made = open_lake(tmp_path / "lake", create=True)
    overwrite(open_catalog(made), "marts.apps", rows(1, 2, 3, 3))
    made.create_branch("mine")
    more = pa.table({"number": pa.array([2, 3, 9, 10], pa.int64()), "score": [0.1, None, 0.2, 0.3]})
    overwrite(open_catalog(made, "mine"), "marts.apps", more)
    overwrite(open_catalog(made, "mine"), "marts.fresh", rows(5))
    made.commit("mine", {"models/w": b"0" * 100}, message="weights")
    yield made
    settings.cache_clear()


def test_a_difference_of_tables_counts_rows_and_names_columns(lake: Lake, dfp: Dfp) -> None:
    found = {entry["path"]: entry for entry in json.loads(dfp("lake", "diff", "main..mine", "--json")[1])}
    assert found["tables/marts/apps"]["table"] == {
        "table": "marts.apps",
        "kind": "changed",
        "rows_before": 4,
        "rows_after": 4,
        "rows_added": 3,
        "rows_removed": 3,
        "schema": ["+ score double"],
    }
    fresh = found["tables/marts/fresh"]["table"]
    assert (fresh["kind"], fresh["rows_added"], fresh["rows_removed"]) == ("added", 1, 0)
    assert "table" not in found["models/w"]
    back = {entry["path"]: entry for entry in json.loads(dfp("lake", "diff", "mine..main", "--json")[1])}
    assert back["tables/marts/apps"]["table"]["schema"] == ["- score double"]
    assert back["tables/marts/fresh"]["table"]["kind"] == "removed"
    said = dfp("lake", "diff", "main", "mine")[1]
    assert "~\tmarts.apps\t4 rows; +3 -3; + score double\t4 rows\n" in said
    assert "+\tmodels/w\t100 B\t\n" in said


def test_an_append_adds_rows_and_a_compaction_none(lake: Lake, dfp: Dfp) -> None:
    lake.create_branch("appended")
    open_catalog(lake, "appended").load_table("marts.apps").append(rows(3, 4))
    dfp("lake", "compact", "--branch", "appended")
    table = json.loads(dfp("lake", "diff", "main..appended", "--json")[1])[0]["table"]
    assert (table["rows_added"], table["rows_removed"], table["rows_after"]) == (2, 0, 6)
    lake.create_branch("again", "appended")
    open_catalog(lake, "again").load_table("marts.apps").delete("number = 3")
    table = json.loads(dfp("lake", "diff", "appended..again", "--json")[1])[0]["table"]
    assert (table["rows_added"], table["rows_removed"]) == (0, 3)
    table = json.loads(dfp("lake", "diff", "appended..again", "--no-rows", "--json")[1])[0]["table"]
    assert (table["rows_added"], table["rows_before"], table["rows_after"]) == (None, 6, 3)


def test_a_merge_can_be_rehearsed_and_leaves_no_trace(lake: Lake, dfp: Dfp) -> None:
    before = lake.branches()
    code, said, _ = dfp("lake", "merge", "mine", "--dry-run")
    assert code == 0
    assert "marts.apps\t4 rows; +3 -3" in said
    told = json.loads(dfp("lake", "merge", "mine", "--dry-run", "--json")[1])
    assert (told["commit"], len(told["changes"])) == (lake.resolve("main"), 3)
    assert lake.branches() == before
    lake.commit("main", {"models/w": b"1"}, message="other weights")
    code, _, told = dfp("lake", "merge", "mine", "--dry-run")
    assert code == 1
    assert "models/w" in told
    assert set(lake.branches()) == set(before)


def test_the_graph_shows_merges_and_where_refs_stand(lake: Lake, dfp: Dfp) -> None:
    lake.commit("main", {"other": b"1"}, message="meanwhile")
    lake.merge("mine", message="publish mine")
    lake.tag("v1", "main")
    lines = dfp("lake", "log", "--graph")[1].splitlines()
    assert re.fullmatch(r"\*\t[0-9a-f]{12}\t[-0-9 :]+\t\(main, v1\) publish mine", lines[0])
    assert lines[1].startswith("|\\")
    assert any("(mine) weights" in line for line in lines)


def test_branches_tell_age_changes_and_protection(lake: Lake, dfp: Dfp) -> None:
    dfp("lake", "protect", "main")
    lines = {line.split("\t")[0]: line.split("\t") for line in dfp("lake", "branches")[1].splitlines()}
    assert lines["mine"][4] == "2 tables, 1 object"
    assert re.fullmatch(r"\d+ (s|min)", lines["mine"][3])
    assert "main (protected)" in lines


def test_a_protected_branch_takes_merges_only_and_is_not_deleted(lake: Lake, dfp: Dfp) -> None:
    assert json.loads(dfp("lake", "protect", "mine", "--json")[1]) == ["mine"]
    assert dfp("lake", "branch", "mine", "--delete")[0] == 1
    with pytest.raises(ReadOnlyError, match="protected"):
        lake.commit("mine", {"a": b"1"}, message="direct")
    with pytest.raises(ReadOnlyError, match="protected"):
        open_catalog(lake, "mine").load_table("marts.fresh").append(rows(1))
    lake.commit("main", {"a": b"1"}, message="on main")
    head = lake.merge("main", "mine", message="a merge")
    lake.revert("mine", head)
    assert json.loads(dfp("lake", "protect", "mine", "--remove", "--json")[1]) == []
    lake.commit("mine", {"a": b"1"}, message="direct")
    assert dfp("lake", "protect", "none")[0] == 1


def test_files_are_imported_without_a_copy_and_become_read_only(lake: Lake, dfp: Dfp, tmp_path: Path) -> None:
    folder = tmp_path / "delivery"
    (folder / "deep").mkdir(parents=True)
    (folder / "big.bin").write_bytes(b"big" * 10_000)
    (folder / "deep" / "small.txt").write_text("small")
    told = json.loads(dfp("lake", "import", str(folder), "--to", "raw/delivery", "--json")[1])
    assert told["paths"] == ["raw/delivery/big.bin", "raw/delivery/deep/small.txt"]
    assert lake.read("main", "raw/delivery/deep/small.txt") == b"small"
    kept = Path(lake.address("main", "raw/delivery/big.bin"))
    assert kept.stat().st_ino == (folder / "big.bin").stat().st_ino
    assert (folder / "big.bin").stat().st_mode & 0o222 == 0
    assert dfp("lake", "import", str(folder / "big.bin"), "--to", "raw/one.bin")[0] == 0
    assert lake.read("main", "raw/one.bin") == b"big" * 10_000
    assert lake.verify() == []
    assert dfp("lake", "import", str(tmp_path / "none"), "--to", "raw/x")[0] == 1
    assert dfp("lake", "import", str(folder))[0] == 1


def test_a_file_that_is_collected_as_garbage_stays_where_it_was_imported_from(
    lake: Lake, dfp: Dfp, tmp_path: Path
) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(b"big" * 10_000)
    lake.create_branch("gone")
    dfp("lake", "import", str(file), "--to", "raw/big.bin", "--branch", "gone")
    kept = Path(lake.address("gone", "raw/big.bin"))
    lake.delete_branch("gone")
    time.sleep(2.2)
    swept(lake, grace_hours=0)
    assert (kept.exists(), file.read_bytes()) == (False, b"big" * 10_000)


def test_an_iceberg_table_is_imported_by_its_folder_and_its_files_stay_there(
    lake: Lake, dfp: Dfp, tmp_path: Path
) -> None:
    elsewhere = open_lake(tmp_path / "elsewhere", create=True)
    overwrite(open_catalog(elsewhere), "marts.apps", rows(7))
    open_catalog(elsewhere).load_table("marts.apps").append(rows(8))
    folder = open_catalog(elsewhere).load_table("marts.apps").location().removeprefix("file://")
    told = json.loads(dfp("lake", "import", folder, "--table", "bought.apps", "--json")[1])
    assert told == {"branch": "main", "table": "bought.apps", "rows": 2}
    assert numbers(lake, "main", "bought.apps") == [7, 8]
    open_catalog(lake).load_table("bought.apps").append(rows(9))
    assert numbers(elsewhere, "main") == [7, 8]
    age(lake)
    collect_garbage(open_lake(lake.uri), delete=True)
    assert numbers(lake, "main", "bought.apps") == [7, 8, 9]
    assert table_damages(lake) == []
    code, _, said = dfp("lake", "import", folder, "--table", "bought.apps")
    assert (code, "already" in said) == (1, True)


def test_parquet_files_become_a_table_where_they_lie(lake: Lake, dfp: Dfp, tmp_path: Path) -> None:
    for number in range(2):
        pq.write_table(rows(number), tmp_path / f"part-{number}.parquet")
    files = [str(file) for file in sorted(tmp_path.glob("*.parquet"))]
    told = json.loads(dfp("lake", "import", *files, "--table", "raw.parts", "--json")[1])
    assert told["rows"] == 2
    assert numbers(lake, "main", "raw.parts") == [0, 1]
    assert dfp("lake", "import", str(tmp_path / "lake" / "leases"), "--table", "raw.none")[0] == 1


def test_a_revert_whose_promotions_fail_says_that_it_stands(
    lake: Lake, dfp: Dfp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever did it again took the revert back."""
    lake.commit("main", {"features/online/report.json": b'{"version": "v1-0"}'}, message="published")
    lake.commit("main", {"reports/a": b"1"}, message="a bad one")
    monkeypatch.setenv("DFP_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("DFP_FEATURE_STORE", "plain")
    settings.cache_clear()
    code, _, told = dfp("lake", "revert", "main")
    assert (code, lake.exists("main", "reports/a")) == (1, False)
    assert f"main is at {lake.resolve('main')[:12]} already, so do not do it again" in told
    assert "does not answer" in told
