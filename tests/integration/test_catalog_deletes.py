"""Content of tables with delete files, as Spark and Flink leave them. pyiceberg writes none: they are made by hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriterV2
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.typedef import Record

from dfp_platform.catalog import open_catalog, overwrite
from dfp_platform.catalog.partitions import partition_contents
from dfp_platform.lake import open_lake

APPS = pa.table({"sha256": ["a", "b", "c", "d"]})


class DeleteManifestWriter(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class RowDelta(_FastAppendFiles):
    """A snapshot that adds delete files."""

    def new_manifest_writer(self, spec):
        output = self.new_manifest_output()
        return DeleteManifestWriter(spec, self.schema(), output, self._snapshot_id, self._compression)


def delete(table, rows: pa.Table, content: DataFileContent, equality_ids: list[int] | None = None) -> None:
    path = f"{table.metadata.location}/data/delete-{table.metadata.last_sequence_number}.parquet"
    local = Path(path.removeprefix("file://"))
    pq.write_table(rows, local)
    file = DataFile.from_args(
        content=content,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=rows.num_rows,
        file_size_in_bytes=local.stat().st_size,
        spec_id=0,
        equality_ids=equality_ids,
        column_sizes={},
        value_counts={},
        null_value_counts={},
        nan_value_counts={},
        lower_bounds={},
        upper_bounds={},
        key_metadata=None,
        split_offsets=None,
        sort_order_id=None,
    )
    with table.transaction() as transaction:
        delta = RowDelta(operation=Operation.OVERWRITE, transaction=transaction, io=table.io)
        with delta:
            delta.append_data_file(file)


@pytest.fixture
def catalog(tmp_path):
    catalog = open_catalog(open_lake(tmp_path / "lake", create=True), "main")
    overwrite(catalog, "marts.apps", APPS)
    return catalog


def delete_positions(table, *positions: int) -> None:
    path = table.inspect.files().filter(pa.compute.field("content") == 0)["file_path"][0].as_py()
    rows = pa.table({"file_path": [path] * len(positions), "pos": pa.array(positions, pa.int64())})
    ids = {"file_path": b"2147483546", "pos": b"2147483545"}
    fields = [field.with_metadata({b"PARQUET:field_id": ids[field.name]}) for field in rows.schema]
    delete(table, rows.cast(pa.schema(fields)), DataFileContent.POSITION_DELETES)


def test_rows_behind_position_deletes_do_not_count(catalog):
    table = catalog.load_table("marts.apps")
    delete_positions(table, 1)
    assert table.scan().to_arrow()["sha256"].to_pylist() == ["a", "c", "d"]
    pointer = catalog.pointer("marts.apps")
    assert pointer.content == overwrite(catalog, "marts.anew", APPS.take([3, 2, 0])).content
    assert pointer.rows == 3


def test_rows_behind_position_deletes_do_not_count_in_their_partition(catalog):
    delete_positions(catalog.load_table("marts.apps"), 1)
    (held,) = partition_contents(catalog.lake, "main", "tables/marts/apps").values()
    assert (held.rows, held.content) == (3, catalog.pointer("marts.apps").content)


def test_what_comes_after_position_deletes_is_counted_right(catalog):
    table = catalog.load_table("marts.apps")
    delete_positions(table, 0, 1)
    table.append(APPS.slice(0, 1))
    assert catalog.pointer("marts.apps").content == overwrite(catalog, "marts.anew", APPS.take([2, 3, 0])).content
    assert not overwrite(catalog, "marts.apps", APPS.take([3, 0, 2])).changed
    assert overwrite(catalog, "marts.apps", APPS).changed
    assert catalog.pointer("marts.apps").content == overwrite(catalog, "marts.all", APPS).content
    assert catalog.load_table("marts.apps").scan().to_arrow().num_rows == 4
    assert catalog.load_table("marts.apps").current_snapshot().summary["total-position-deletes"] == "0"


def test_rows_that_pyiceberg_cannot_read_equal_no_others_until_they_are_replaced(catalog):
    before = catalog.pointer("marts.apps").content
    table = catalog.load_table("marts.apps")
    field = pa.field("sha256", pa.string()).with_metadata({b"PARQUET:field_id": b"1"})
    delete(table, pa.table({"sha256": ["a"]}, pa.schema([field])), DataFileContent.EQUALITY_DELETES, [1])
    unread = catalog.pointer("marts.apps")
    assert unread.rows_hash == ""
    table.append(APPS)
    assert len({before, unread.content, catalog.pointer("marts.apps").content}) == 3
    assert overwrite(catalog, "marts.apps", APPS).content == before
    summary = catalog.load_table("marts.apps").current_snapshot().summary
    assert (summary["total-delete-files"], summary["total-equality-deletes"]) == ("0", "0")
