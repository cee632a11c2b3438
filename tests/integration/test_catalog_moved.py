"""Tables of a lake whose folder was moved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionContext
from dbt.adapters.datafusion import scan as dbt_scan
from dbt.adapters.datafusion.staging import Staging

from dfp_platform.catalog import open_catalog, overwrite, query, register_files, scan
from dfp_platform.errors import ConfigurationError
from dfp_platform.lake import open_lake, relocate

APPS = pa.table({"sha256": ["a", "b"], "malware": [0, 1]})


@pytest.fixture
def born(tmp_path: Path) -> Path:
    lake = open_lake(tmp_path / "born", create=True)
    catalog = open_catalog(lake, "main")
    overwrite(catalog, "marts.apps", APPS)
    pq.write_table(APPS, tmp_path / "apps.parquet")
    lake.commit("main", {"raw/apps/0.parquet": tmp_path / "apps.parquet"}, message="land")
    register_files(catalog, "raw.apps", [lake.address("main", "raw/apps/0.parquet")])
    lake.tag("v1", "main")
    return tmp_path / "born"


@pytest.mark.parametrize("place", ["moved", "born-too", "deep/er"])
def test_a_moved_lake_is_read_and_written_where_it_is_once_it_is_relocated(born, place):
    new = born.parent / place
    new.parent.mkdir(exist_ok=True)
    shutil.move(born, new)
    with pytest.raises(ConfigurationError, match="moved"):
        open_lake(new)
    relocate(new)
    lake = open_lake(new)
    catalog = open_catalog(lake, "main")
    catalog.load_table("marts.apps").append(APPS)
    assert not born.exists()
    assert [scan(lake, ref, "marts.apps").num_rows for ref in ("v1", "main")] == [2, 4]
    assert query(lake, "main", "select count(*) as n from raw.apps").to_pylist() == [{"n": 2}]
    assert overwrite(catalog, "marts.apps", APPS).changed
    assert catalog.load_table("marts.apps").properties["gc.enabled"] == "false"


def test_a_lake_that_moved_twice_and_back_still_has_its_tables(born):
    other = born.parent / "other"
    shutil.move(born, other)
    relocate(other)
    open_catalog(open_lake(other), "main").create_table("marts.second", APPS.schema).append(APPS)
    shutil.move(other, born)
    relocate(born)
    lake = open_lake(born)
    assert scan(lake, "main", "marts.second").num_rows == scan(lake, "main", "marts.apps").num_rows == 2


def test_a_copy_is_a_lake_of_its_own(born):
    copy = born.parent / "copy"
    shutil.copytree(born, copy)
    relocate(copy)
    open_catalog(open_lake(copy), "main").load_table("marts.apps").append(APPS)
    assert scan(open_lake(born), "main", "marts.apps").num_rows == 2
    shutil.rmtree(born / "warehouse")
    assert scan(open_lake(copy), "main", "marts.apps").num_rows == 4


def test_dbt_reads_the_tables_of_a_moved_lake(born):
    new = born.parent / "moved"
    shutil.move(born, new)
    relocate(new)
    staging = Staging(str(born.parent / "spill"))
    found = dbt_scan.frame(SessionContext(), open_catalog(open_lake(new)).load_table("raw.apps"), staging)
    assert found.to_pylist() == APPS.to_pylist()
    staging.close()
