"""What each partition of a table holds: a content id and a number of rows of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import DataScan, FileScanTask
from pyiceberg.table.metadata import TableMetadata

from dfp_platform.catalog.content import table_content
from dfp_platform.catalog.lake_catalog import open_catalog
from dfp_platform.catalog.names import identifier_of
from dfp_platform.catalog.rows import sum_rows
from dfp_platform.catalog.table_sums import schema_hash, sum_files
from dfp_platform.lake.interface import Lake


@dataclass(frozen=True, slots=True)
class PartitionContent:
    """One partition: its content id, equal for equal rows in whatever files, and how many rows it has."""

    content: str
    rows: int


def partition_contents(lake: Lake, ref: str, path: str) -> dict[str, PartitionContent]:
    """The partitions of the table at a lake path, by their value as text (``2012-01-01``); empty if there is no table.

    Several partition fields are joined by ``/``. Files that this process knows are not read again.
    """
    catalog, name = open_catalog(lake, lake.resolve(ref)), identifier_of(path)
    if not catalog.table_exists(name):
        return {}
    table = catalog.load_table(name)
    tasks: dict[str, list[FileScanTask]] = defaultdict(list)
    for task in DataScan(table_metadata=table.metadata, io=table.io).plan_files():
        tasks[_text(task, table.metadata)].append(task)
    columns = schema_hash(table.schema())
    found = {}
    for partition, parts in sorted(tasks.items()):
        rows = sum_files((part.file for part in parts if not part.delete_files), table.metadata, table.io)
        if deleted := [part for part in parts if part.delete_files]:
            scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
            rows += sum_rows(scan.to_record_batches(deleted))
        content = table_content(schema=columns, rows=rows.rows, rows_hash=rows.to_text())
        found[partition] = PartitionContent(content, rows.rows)
    return found


def partition_rows(lake: Lake, ref: str, path: str) -> dict[str, int]:
    """Rows of each partition of the table at a lake path, as its manifests count them; no data file is read.

    Rows that delete files take away are counted still.
    """
    catalog, name = open_catalog(lake, lake.resolve(ref)), identifier_of(path)
    if not catalog.table_exists(name):
        return {}
    table, rows = catalog.load_table(name), defaultdict[str, int](int)
    for task in DataScan(table_metadata=table.metadata, io=table.io).plan_files():
        rows[_text(task, table.metadata)] += task.file.record_count
    return dict(rows)


def _text(task: FileScanTask, metadata: TableMetadata) -> str:
    spec, schema = metadata.specs()[task.file.spec_id], metadata.schema()
    kinds = spec.partition_type(schema).fields
    values = zip(spec.fields, kinds, task.file.partition._data, strict=True)
    return "/".join(field.transform.to_human_string(kind.field_type, value) for field, kind, value in values)
