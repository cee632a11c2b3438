"""What the adapter reads is what pyiceberg reads, whoever wrote the table and however its columns changed since."""

from __future__ import annotations

import datetime as dt
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionContext
from dbt.adapters.datafusion import scan
from dbt.adapters.datafusion.connections import Cursor
from dbt.adapters.datafusion.credentials import DataFusionCredentials
from dbt.adapters.datafusion.engine import Engine
from dbt.adapters.datafusion.staging import Staging
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriterV2
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.typedef import Record
from pyiceberg.types import LongType, StringType
from pyroaring import BitMap


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "a [folder] with %20 and *"
    folder.mkdir()
    return folder


@pytest.fixture
def catalog(place: Path) -> Iterator[Catalog]:
    opened = load_catalog("t", type="sql", uri=f"sqlite:///{place.parent}/c.db", warehouse=f"file://{place}/wh")
    opened.create_namespace("n")
    yield opened
    opened.close()


def read(table: Table) -> list[dict]:
    staging = Staging()
    try:
        rows = scan.frame(SessionContext(), table, staging).to_pylist()
    finally:
        staging.close()
    return sorted(rows, key=str)


def both_ways(table: Table) -> list[dict]:
    rows = read(table)
    assert rows == sorted(table.scan().to_arrow().to_pylist(), key=str)
    return rows


def test_columns_renamed_dropped_and_added_again_are_found_by_id(catalog: Catalog):
    table = catalog.create_table("n.t", schema=pa.schema([("a", pa.int32()), ("b", pa.string()), ("d", pa.date32())]))
    first = pa.table({"a": pa.array([1, 2], pa.int32()), "b": ["x", "y"], "d": [dt.date(2020, 1, 1), None]})
    table.append(first)
    with table.update_schema() as update:
        update.rename_column("b", "c")
        update.update_column("a", LongType())
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("d")
    with table.update_schema() as update:
        update.add_column("d", StringType())
        update.add_column("b", StringType())
    table.append(pa.table({"a": [2**40], "c": ["z"], "d": ["not a date"], "b": ["new"]}))
    assert both_ways(table) == [
        {"a": 1, "c": "x", "d": None, "b": None},
        {"a": 1099511627776, "c": "z", "d": "not a date", "b": "new"},
        {"a": 2, "c": "y", "d": None, "b": None},
    ]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_files_without_ids_in_another_column_order_are_found_by_the_name_mapping(
    catalog: Catalog, place: Path, scheme: str
):
    pq.write_table(pa.table({"B": ["p", "q"], "a": [5, 6]}), place / "foreign.parquet")
    table = catalog.create_table("n.t", schema=pa.schema([("a", pa.int64()), ("B", pa.string())]))
    table.add_files([f"{scheme}{place}/foreign.parquet"])
    assert both_ways(catalog.load_table("n.t")) == [{"a": 5, "B": "p"}, {"a": 6, "B": "q"}]


def test_rows_behind_position_deletes_are_not_read(catalog: Catalog, place: Path):
    table = catalog.create_table("n.t", schema=pa.schema([("a", pa.int64())]), properties={"format-version": "2"})
    table.append(pa.table({"a": [1, 2, 3]}))
    add_position_deletes(table, place / "deletes.parquet", [0, 2])
    assert both_ways(catalog.load_table("n.t")) == [{"a": 2}]


class DeleteManifestWriter(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class AddDeletes(_FastAppendFiles):
    def new_manifest_writer(self, spec: PartitionSpec) -> DeleteManifestWriter:
        schema = self._transaction.table_metadata.schema()
        return DeleteManifestWriter(spec, schema, self.new_manifest_output(), self._snapshot_id, "deflate")


def add_position_deletes(table: Table, path: Path, positions: list[int]) -> None:
    """Commit a delete file; pyiceberg reads them and does not write them by itself."""
    [task] = table.scan().plan_files()
    pq.write_table(pa.table({"file_path": [task.file.file_path] * len(positions), "pos": positions}), path)
    add_deletes(table, path, FileFormat.PARQUET, len(positions))


def add_deletion_vector(table: Table, path: Path, positions: list[int]) -> None:
    """Commit a deletion vector as format 3 has them: one roaring bitmap in a Puffin file."""
    [task] = table.scan().plan_files()
    bitmap = b"\xd1\xd3\x39\x64" + struct.pack("<qI", 1, 0) + BitMap(positions).serialize()
    blob = struct.pack(">I", len(bitmap)) + bitmap + struct.pack(">I", zlib.crc32(bitmap))
    about = {
        "type": "deletion-vector-v1", "fields": [], "snapshot-id": -1, "sequence-number": -1, "offset": 4,
        "length": len(blob), "properties": {"referenced-data-file": task.file.file_path, "cardinality": "2"},
    }  # fmt: skip
    footer = json.dumps({"blobs": [about], "properties": {}}).encode()
    path.write_bytes(b"PFA1" + blob + b"PFA1" + footer + struct.pack("<ii", len(footer), 0) + b"PFA1")
    add_deletes(table, path, FileFormat.PUFFIN, len(positions))


def add_deletes(table: Table, path: Path, kind: FileFormat, rows: int) -> None:
    deletes = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES, file_path=f"file://{path}", file_format=kind,
        partition=Record(), record_count=rows, file_size_in_bytes=path.stat().st_size, spec_id=0,
        column_sizes={}, value_counts={}, null_value_counts={}, nan_value_counts={}, lower_bounds={}, upper_bounds={},
        key_metadata=None, split_offsets=None, equality_ids=None, sort_order_id=None,
    )  # fmt: skip
    with (
        table.transaction() as transaction,
        AddDeletes(operation=Operation.DELETE, transaction=transaction, io=table.io) as update,
    ):
        update.append_data_file(deletes)


def test_rows_behind_a_deletion_vector_are_not_read(catalog: Catalog, place: Path):
    table = catalog.create_table("n.t", schema=pa.schema([("a", pa.int64())]))
    table.append(pa.table({"a": [1, 2, 3]}))
    add_deletion_vector(table, place / "vector.puffin", [0, 1])
    assert both_ways(catalog.load_table("n.t")) == [{"a": 3}]


def test_a_file_with_deletes_is_copied_once_and_the_copy_goes_with_the_engine(
    engine: Engine, catalog: Catalog, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Beside it a file without deletes, which is read where it lies; and such a table can be changed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = catalog.create_table("n.t", schema=pa.schema([("a", pa.int64())]))
    table.append(pa.table({"a": [1, 2, 3]}))
    add_position_deletes(table, place / "deletes.parquet", [0, 2])
    catalog.load_table("n.t").append(pa.table({"a": [7]}))
    for _ in range(2):
        assert engine.fetch("select sum(a) as a from n.t").to_pylist() == [{"a": 9}]
    assert len(list(tmp_path.glob("dbt-staged-*/*.parquet"))) == 1
    Cursor(engine).execute("update n.t set a = a * 10 where a < 5")
    assert sorted(catalog.load_table("n.t").scan().to_arrow()["a"].to_pylist()) == [7, 20]
    engine.close()
    assert list(tmp_path.glob("dbt-staged-*")) == []


def test_nested_columns_and_every_plain_type_come_through(catalog: Catalog):
    row = {
        "i": 1, "f": 1.5, "at": dt.datetime(2020, 1, 1, 1, 1, 1, 5), "utc": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        "v": [1.0, 2.0], "yes": True, "raw": b"x", "s": {"x": 1, "y": ["a"]},
    }  # fmt: skip
    schema = pa.schema(
        [
            ("i", pa.int32()), ("f", pa.float32()), ("at", pa.timestamp("us")), ("utc", pa.timestamp("us", "UTC")),
            ("v", pa.list_(pa.float32())), ("yes", pa.bool_()), ("raw", pa.binary()),
            ("s", pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))])),
        ]
    )  # fmt: skip
    table = catalog.create_table("n.t", schema=schema)
    table.append(pa.Table.from_pylist([row, dict.fromkeys(row)], schema=schema))
    assert both_ways(table)[0] == row


def test_a_table_without_rows_has_its_columns(catalog: Catalog):
    table = catalog.create_table("n.t", schema=pa.schema([("a", pa.int64()), ("b", pa.string())]))
    assert scan.frame(SessionContext(), table, Staging()).schema().names == ["a", "b"]
    assert both_ways(table) == []


@pytest.fixture
def engine(place: Path, catalog: Catalog) -> Iterator[Engine]:
    properties = {"type": "sql", "uri": f"sqlite:///{place.parent}/c.db", "warehouse": f"file://{place}/wh"}
    opened = Engine(DataFusionCredentials(database="lake", schema="n", catalog=properties, catalog_name="t"))
    yield opened
    opened.close()


def test_a_table_may_be_replaced_by_a_query_that_reads_it(engine: Engine):
    engine.create_table(("n", "t"), "select 1 as a union all select 2")
    assert engine.create_table(("n", "t"), "select a * 10 as a from n.t where a > 1") == 1
    assert engine.fetch("select a from lake.n.t").to_pylist() == [{"a": 20}]


def test_a_table_another_process_wrote_is_seen_by_the_next_query(engine: Engine, catalog: Catalog):
    engine.create_table(("n", "t"), "select 1 as a")
    assert engine.fetch("select sum(a) as a from n.t").to_pylist() == [{"a": 1}]
    catalog.load_table("n.t").append(pa.table({"a": [41]}))
    assert engine.fetch("select sum(a) as a from n.t").to_pylist() == [{"a": 42}]


def test_a_big_result_is_written_in_files_of_the_asked_size_and_in_its_order(engine: Engine, catalog: Catalog):
    catalog.create_table(
        "n.t", schema=pa.schema([("a", pa.int64())]), properties={"write.target-file-size-bytes": "200000"}
    )
    engine.create_table(("n", "t"), "select value as a from generate_series(300000, 1, -1) as g(value)")
    files = [task.file for task in catalog.load_table("n.t").scan().plan_files()]
    assert len(files) > 1
    rows = pa.concat_tables(
        pq.read_table(file.file_path.removeprefix("file://")) for file in sorted(files, key=lambda file: file.file_path)
    )
    assert rows["a"].to_pylist() == list(range(300_000, 0, -1))


def test_statements_that_would_go_around_the_catalog_are_refused(engine: Engine, tmp_path: Path):
    for statement in ("create external table x stored as csv location '/x'", f"copy (select 1) to '{tmp_path}/x.csv'"):
        with pytest.raises(ValueError, match="not supported"):
            engine.fetch(statement)
    assert not (tmp_path / "x.csv").exists()


def test_the_sides_of_a_union_may_differ_in_what_they_say_of_nulls(engine: Engine):
    query = "select a, 'x' as b from (values (1), (null)) as t(a) union all select 2, 'y'"
    assert len(engine.fetch(query)) == 3
    assert engine.create_table(("n", "t"), query) == 3


def test_points_in_time_are_cut_to_microseconds(engine: Engine):
    query = "select timestamp '2020-01-01T00:00:00.123456789' as at"
    expected = [{"at": dt.datetime(2020, 1, 1, microsecond=123456)}]
    assert engine.fetch(query).to_pylist() == expected
    engine.create_table(("n", "t"), query)
    assert engine.fetch("select at from n.t").to_pylist() == expected
