"""What Spark does as steps of runs: a session at the run's branch, large archives, compaction. `make engines`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from shutil import copyfileobj
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal
from pyiceberg.transforms import IdentityTransform

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.collection import collect_garbage
from dfp_platform.catalog.content import content_of
from dfp_platform.errors import ConfigurationError, InputError
from dfp_platform.ingest import land, origin, register
from dfp_platform.ingest.origin import origins
from dfp_platform.ingest.sample import write_csv
from dfp_platform.ingest.slices import Terms
from dfp_platform.lake import Lake, open_lake
from dfp_platform.publishing.launch import run_job
from dfp_platform.publishing.maintenance import maintain_job
from dfp_platform.resources.dagster_internals import ASSET_JOB, project_instance
from dfp_platform.resources.spark_ingest import ingested
from dfp_platform.resources.spark_session import spark_session
from dfp_platform.settings import PROJECT_ROOT, settings
from tests.conformance.spark_session import LEAVES_SOCKETS
from tests.garbage import age
from tests.ingest_files import Rows, edited, sample_rows, without, write_rows, zipped
from tests.unit.test_cli_lake import Dfp, dfp

__all__ = ["dfp"]

DATASET = "kronodroid_real_device"

pytestmark = [
    pytest.mark.timeout(600),
    *(pytest.mark.filterwarnings(warning) for warning in LEAVES_SOCKETS),
]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """The lake of these settings, with Spark on one core."""
    monkeypatch.setenv("DFP_HOME", str(tmp_path))
    monkeypatch.setenv("DFP_SPARK_MASTER", "local[2]")
    settings.cache_clear()
    yield open_lake(settings().lake_uri, create=True)
    settings.cache_clear()


@pytest.fixture
def instance(lake: Lake, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with project_instance(PROJECT_ROOT, tmp_path / "dagster") as recorded:
        yield recorded


def ids(lake: Lake, table: str, ref: str = "main") -> list[int]:
    return sorted(open_catalog(lake, ref).load_table(table).scan().to_arrow()["id"].to_pylist())


def test_an_asset_works_with_spark_on_the_branch_of_its_run(lake: Lake, instance: dg.DagsterInstance):
    overwrite(open_catalog(lake), "marts.once", pa.table({"id": [1, 2]}))
    done = run_job(
        job=ASSET_JOB, selection=["tables/marts/twice"], instance=instance, module="tests.conformance.spark_line"
    )
    assert done.success, done.failed
    assert ids(lake, "marts.twice") == [1, 1, 2, 2, 3, 3]
    assert lake.show("main").metadata["run"] == done.run_id


def halves(folder: Path, rows: Rows) -> list[str]:
    """The rows in two files, the second one packed."""
    middle = len(rows) // 2
    first = write_rows(folder / "first.csv", rows[:middle])
    return [str(first), str(zipped(folder / "second.zip", "second.csv", [rows[0], *rows[middle:]]))]


def little(cache: Path) -> dict[str, Any]:
    """What a landing of a file has to be told and does not look at."""
    return {"sample_rows": 1, "seed": 7, "cache": cache}


def landed(lake: Lake, branch: str, path: Path) -> str:
    """Content of the raw table that a landing of a file makes on a new branch."""
    lake.create_branch(branch)
    land(lake, branch, DATASET, source=str(path), **little(path.parent))
    return register(lake, branch, DATASET).content


def refused(work: Callable[[], object]) -> InputError:
    with pytest.raises(InputError) as error:
        work()
    return error.value


def rows_at(lake: Lake, ref: str) -> pl.DataFrame:
    table = open_catalog(lake, ref).load_table(f"raw.{DATASET}")
    return pl.DataFrame(pl.from_arrow(table.scan().to_arrow())).sort("sha256")


def test_spark_makes_the_table_that_a_landing_makes_and_refuses_what_that_refuses(lake: Lake, tmp_path: Path):
    large = write_csv(tmp_path / "large.csv", rows=9_000, seed=7, device="real_device")
    more = sample_rows(tmp_path, rows=40, seed=8)
    whole = write_rows(tmp_path / "whole.csv", more)
    with whole.open("ab") as all_rows, large.open("rb") as others:
        others.readline()
        copyfileobj(others, all_rows)
    bad = write_rows(tmp_path / "bad.csv", edited(more, {(9, "Malware"): "2", (39, "read"): "many"}))
    twice = write_rows(tmp_path / "twice.csv", [*more, more[7]])
    lake.create_branch("dev")
    landed(lake, "landed", whole)
    with spark_session(lake, "dev") as session:
        packed = zipped(tmp_path / "more.zip", "more.csv", more)
        made = ingested(session, DATASET, [str(packed), str(large)], terms=Terms(), slice_bytes=1_000_000)
        assert (made.rows, [file.name for file in made.files]) == (9_040, ["more.zip", "large.csv"])
        assert session.table(f"raw.{DATASET}.files").count() > 2  # the large file was read in slices
        assert session.table(f"raw.{DATASET}.snapshots").count() == 1
        assert_frame_equal(rows_at(lake, "dev"), rows_at(lake, "landed"))
        assert content_of(lake, "dev", f"tables/raw/{DATASET}") == content_of(lake, "landed", f"tables/raw/{DATASET}")
        for number, file in enumerate((bad, twice)):
            mine = refused(lambda file=file: ingested(session, DATASET, [str(file)], terms=Terms()))
            theirs = refused(lambda file=file, number=number: landed(lake, f"refused-{number}", file))
            assert (str(mine), mine.fields) == (str(theirs), theirs.fields)
            if file == bad:
                assert_frame_equal(rows_at(lake, "dev"), rows_at(lake, "landed"))
        with pytest.raises(ConfigurationError, match="has a Spark session already"), spark_session(lake, "main"):
            pass
        first = ingested(session, DATASET, [str(packed)], terms=Terms())
        counted = [
            [*row, str(number) if number else "statx"]
            for number, row in enumerate(sample_rows(tmp_path, rows=5, seed=9))
        ]
        later = write_rows(tmp_path / "later.csv", counted)
        terms = Terms(new_syscalls=("statx",))
        second = ingested(session, DATASET, [str(later)], terms=terms, beside=(first,))
        again = ingested(session, DATASET, [str(later)], terms=terms, beside=(first, second))
        assert again.load_id == second.load_id
        loads = rows_at(lake, "dev").group_by("load_id").agg(pl.len(), pl.col("sys_statx").sum()).sort("load_id")
        assert loads.rows() == [(first.load_id, 40, 0), (second.load_id, 5, 15)]


def test_a_run_of_the_job_publishes_what_spark_read_and_an_offending_file_changes_nothing(
    lake: Lake, dfp: Dfp, tmp_path: Path
):
    rows = sample_rows(tmp_path, rows=60)
    files = halves(tmp_path, rows)
    code, said, told = dfp("spark", "ingest", *files, "--json")  # they become the first load
    assert code == 0, told
    assert json.loads(said)["success"]
    made = origin(lake, "main", DATASET)
    assert [file.sha256 for file in made.files] == [sha256(Path(file).read_bytes()).hexdigest() for file in files]
    assert (made.rows, made.synthetic, made.source) == (60, False, "file")
    raw, table = f"raw/{DATASET}", f"tables/raw/{DATASET}"
    assert json.loads(lake.show("main").metadata["published"]) == [raw, table]
    more = write_rows(tmp_path / "more.csv", sample_rows(tmp_path, rows=10, seed=8))
    assert dfp("spark", "ingest", str(more), "--append")[0] == 0
    assert [load.rows for load in origins(lake, "main", DATASET)] == [60, 10]
    assert rows_at(lake, "main")["load_id"].value_counts(sort=True)["count"].to_list() == [60, 10]
    assert all(field.doc for field in open_catalog(lake).load_table(f"raw.{DATASET}").schema().fields[:-1])
    before = lake.resolve("main")
    code, _, told = dfp("spark", "ingest", str(write_rows(tmp_path / "bad.csv", without(rows, "Malware"))))
    assert code == 1
    assert "bad.csv: column 'Malware' is missing" in told
    assert lake.resolve("main") == before
    assert register(lake, "main", DATASET).changed is False
    with pytest.raises(InputError, match="stand in the table alone"):
        land(lake, "main", DATASET, source=str(more), write_disposition="append", **little(tmp_path))


@pytest.fixture
def table(lake: Lake) -> str:
    """Four small files that name an order, the oldest rows at a tag, and all of them on another branch."""
    catalog = open_catalog(lake)
    catalog.create_namespace("marts")
    made = catalog.create_table("marts.apps", pa.schema([("id", pa.int64()), ("name", pa.string())]))
    with made.update_sort_order() as order:
        order.desc("id", IdentityTransform())
    for number in range(4):
        made.append(pa.table({"id": [number, number + 4], "name": [f"app {number}", f"app {number + 4}"]}))
        if number == 1:
            lake.tag("v1", "main")
    lake.create_branch("other")
    age(lake)
    return "marts.apps"


def files(lake: Lake, table: str, ref: str = "main") -> list[str]:
    return [task.file.file_path for task in open_catalog(lake, ref).load_table(table).scan().plan_files()]


def test_what_spark_compacted_and_we_expired_other_refs_still_read(lake: Lake, table: str):
    old = files(lake, table)
    options = {"snapshot_days": 0.0, "delete": True, "grace_hours": 0.0, "history_days": 0.0, "engine": "spark"}
    config = {"ops": {name: {"config": options} for name in ("maintain_tables", "collect_lake_garbage")}}
    with dg.DagsterInstance.ephemeral() as ephemeral:
        assert maintain_job.execute_in_process(run_config=config, instance=ephemeral).success
    metadata = open_catalog(lake).load_table(table).metadata
    assert [snapshot.summary.operation.value for snapshot in metadata.snapshots] == ["replace"]
    [big] = files(lake, table)
    assert pq.read_table(big)["id"].to_pylist() == [7, 6, 5, 4, 3, 2, 1, 0], "the order of the table"
    assert ids(lake, table) == ids(lake, table, "other") == list(range(8))
    assert ids(lake, table, "v1") == [0, 1, 4, 5]
    assert sorted(files(lake, table, "other")) == sorted(old)
    for name in ("other", "v1"):
        (lake.delete_branch if name == "other" else lake.delete_tag)(name)
    for number in range(2):
        lake.commit("main", {"later": b"%d" % number}, message="the branch moves on")
    time.sleep(1.2)  # commits know whole seconds
    collect_garbage(lake, delete=True, grace_hours=0, history_days=0)
    assert not any(Path(file.removeprefix("file://")).exists() for file in old), "nothing needs them any more"
    assert ids(lake, table) == list(range(8))


def test_dfp_lake_compact_takes_the_same_options_on_spark(lake: Lake, table: str, dfp: Dfp):
    lake.create_branch("dev")
    compact = ("lake", "compact", table, "--branch", "dev", "--json", "--engine")
    on_spark = json.loads(dfp(*compact, "spark")[1])
    assert on_spark == [{"table": table, "before": 4, "after": 1}]
    assert (len(files(lake, table)), len(files(lake, table, "dev"))) == (4, 1)
    assert ids(lake, table, "dev") == list(range(8))
    assert json.loads(dfp(*compact, "spark")[1]) == [{"table": table, "before": 1, "after": 1}]
    code, _, told = dfp(*compact, "trino")
    assert code == 1
    assert "use one of pyiceberg, spark" in told
