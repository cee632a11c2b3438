"""Random histories of one Iceberg table, with the rows each branch must hold kept beside in plain Python."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import load_file_io
from pyiceberg.io.pyarrow import _dataframe_to_data_files, schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import DataScan
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType
from pyroaring import BitMap64

from dfp_platform.catalog.committing import INTENT
from dfp_platform.catalog.merging.deletes import write_vectors
from dfp_platform.catalog.merging.difference import TableReader
from dfp_platform.catalog.merging.manifests import TableFile, new_file
from dfp_platform.catalog.merging.snapshot import Change, SnapshotWriter, with_snapshot

PARTS = ("a", "b", "c")
COLUMNS = Schema(
    NestedField(1, "id", LongType(), required=False),
    NestedField(2, "part", StringType(), required=False),
    NestedField(3, "value", LongType(), required=False),
)
BY_PART = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "part"))

DELETED = pa.schema(
    [
        pa.field(name, kind, nullable=False, metadata={"PARQUET:field_id": id_})
        for name, kind, id_ in (("file_path", pa.string(), "2147483546"), ("pos", pa.int64(), "2147483545"))
    ]
)
"""Columns of a position delete file; engines find them by their ids."""

Row = frozenset
"""A row as its cells that are not null: a column that came later leaves old rows as they are."""


def row(cells: dict) -> Row:
    return Row((name, cell) for name, cell in cells.items() if cell is not None)


def part_of(found: Row) -> str:
    return dict(found)["part"]


@dataclass
class TableHistory:
    """One branch of a table: metadata, rows it must hold, partitions it replaced by its word or emptied silently."""

    metadata: TableMetadata
    folder: Path
    chance: random.Random
    ids: Iterable[int]
    rows: Counter = field(default_factory=Counter)
    replaced: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.io = load_file_io({}, str(self.folder))

    def branch(self) -> TableHistory:
        young = copy(self)
        young.rows, young.replaced, young.emptied, young.done = Counter(self.rows), set(), set(), []
        return young

    # -- what is there ------------------------------------------------------------------------------------------

    def files(self) -> list[TableFile]:
        reader = TableReader(self.io)
        return list(reader.live(reader.manifests(self.metadata.current_snapshot())))

    def data_files(self) -> list[TableFile]:
        return [file for file in self.files() if file.is_data]

    def deleted(self, files: Iterable[TableFile]) -> dict[str, BitMap64]:
        return TableReader(self.io).deletes.all_positions(file for file in files if not file.is_data)

    def living(self, file: TableFile, deleted: dict[str, BitMap64]) -> list[tuple[int, dict]]:
        """Rows of a data file that are not deleted, with their positions."""
        cells = pq.read_table(file.path.removeprefix("file://")).to_pylist()
        gone = deleted.get(file.path, BitMap64())
        return [(position, found) for position, found in enumerate(cells) if position not in gone]

    # -- what a writer does -------------------------------------------------------------------------------------

    def commit(self, operation: Operation, added=(), removed=(), writer=None, **properties: str) -> None:
        writer = writer or SnapshotWriter(self.metadata, self.io)
        properties = {name.replace("__", "."): value for name, value in properties.items()}
        snapshot = writer.write(Change(removed=tuple(removed), added=tuple(added)), operation, properties)
        self.metadata = with_snapshot(self.metadata, snapshot)

    def write(self, cells: list[dict]) -> list[TableFile]:
        schema = schema_to_pyarrow(self.metadata.schema())
        rows = pa.Table.from_pylist(cells, schema=schema)
        return [new_file(file, spec_id=0) for file in _dataframe_to_data_files(self.metadata, rows, self.io)]

    def fresh(self, part: str, count: int) -> list[dict]:
        extra = [found.name for found in self.metadata.schema().fields[3:]]
        return [
            {"id": next(self.ids), "part": part, "value": self.chance.randrange(9), **dict.fromkeys(extra, 1)}
            for _ in range(count)
        ]

    def append(self) -> None:
        parts = self.chance.sample(PARTS, self.chance.choice((1, 1, 2)))
        cells = [found for part in parts for found in self.fresh(part, self.chance.randint(1, 4))]
        self.commit(Operation.APPEND, self.write(cells))
        self.rows.update(row(found) for found in cells)

    def delete_by_position(self) -> None:
        self._merge_on_read(updates=False)

    def update_by_position(self) -> None:
        self._merge_on_read(updates=True)

    def _merge_on_read(self, *, updates: bool) -> None:
        files = self.files()
        deleted = self.deleted(files)
        data = [file for file in files if file.is_data and self.living(file, deleted)]
        if not data or self.metadata.format_version == 1:
            return
        file = self.chance.choice(data)
        living = self.living(file, deleted)
        chosen = self.chance.sample(living, self.chance.randint(1, max(1, len(living) // 2)))
        self.rows.subtract(row(found) for _, found in chosen)
        young = [{**found, "value": found["value"] + 100} for _, found in chosen] if updates else []
        self.rows.update(row(found) for found in young)
        self._commit_deletes(file, BitMap64(position for position, _ in chosen), files, self.write(young))

    def _commit_deletes(self, file: TableFile, positions: BitMap64, files: list[TableFile], young: list) -> None:
        stamp = {"lake__intent": "rows"} if self.chance.random() < 0.5 else {}
        if self.metadata.format_version == 2:
            deletes = self._position_deletes(file, positions)
            return self.commit(Operation.OVERWRITE, [*young, deletes], **stamp)
        old = [found for found in files if found.referenced == file.path]
        vector = positions | self.deleted(old).get(file.path, BitMap64())
        writer = SnapshotWriter(self.metadata, self.io)
        deletes = write_vectors(self.io, writer.new_path(".puffin"), {file.path: vector}, {file.path: file})
        return self.commit(Operation.OVERWRITE, [*young, *deletes], old, writer, **stamp)

    def _position_deletes(self, file: TableFile, positions: BitMap64) -> TableFile:
        place = f"{self.folder}/data/deletes-{next(self.ids)}.parquet"
        cells = {"file_path": [file.path] * len(positions), "pos": pa.array(positions, pa.int64())}
        rows = pa.table(cells, schema=DELETED)
        pq.write_table(rows, place)
        bounds = {2147483546: file.path.encode()} if self.chance.random() < 0.5 else {}
        made = DataFile.from_args(
            _table_format_version=3,
            content=DataFileContent.POSITION_DELETES,
            file_path=place,
            file_format=FileFormat.PARQUET,
            partition=file.file.partition,
            record_count=len(positions),
            file_size_in_bytes=Path(place).stat().st_size,
            lower_bounds=bounds,
            upper_bounds=bounds,
        )

        return new_file(made, spec_id=file.file.spec_id)

    def rewrite_a_file(self) -> None:
        """Copy-on-write: some rows of one file go or change, in a new file."""
        files = self.files()
        deleted = self.deleted(files)
        data = [file for file in files if file.is_data and self.living(file, deleted)]
        if not data:
            return
        file = self.chance.choice(data)
        young: list[dict] = []
        for _, found in self.living(file, deleted):
            fate = self.chance.choice(("stays", "stays", "goes", "changes"))
            if fate != "stays":
                self.rows[row(found)] -= 1
            if fate == "changes":
                found = {**found, "value": found["value"] + 100}
                self.rows[row(found)] += 1
            if fate != "goes":
                young.append(found)
        vectors = [found for found in files if found.is_vector and found.referenced == file.path]
        self.commit(Operation.OVERWRITE, self.write(young), [file, *vectors], lake__intent="rows")

    def replace_a_partition(self) -> None:
        part = self.chance.choice(PARTS)
        files = self.files()
        gone = [file for file in files if file.file.partition[0] == part]
        for file in gone:
            if file.is_data:
                self.rows.subtract(row(found) for _, found in self.living(file, self.deleted(files)))
        cells = self.fresh(part, self.chance.randint(1, 3))
        self.rows.update(row(found) for found in cells)
        stamps = ({"lake__intent": "partitions"}, {"replace-partitions": "true"}, {})
        stamp = self.chance.choice(stamps if any(file.is_data for file in gone) else stamps[:2])
        self.commit(Operation.OVERWRITE, self.write(cells), gone, **stamp)
        (self.replaced if stamp else self.emptied).add(part)

    def compact(self) -> None:
        """Files of one partition into one, without the rows deleted from them."""
        part = self.chance.choice(PARTS)
        files = self.files()
        here = [file for file in files if file.file.partition[0] == part]
        data = [file for file in here if file.is_data]
        if len(data) < 2:
            return
        chosen = data if self.chance.random() < 0.5 else self.chance.sample(data, 2)
        deleted = self.deleted(files)
        cells = [found for file in chosen for _, found in self.living(file, deleted)]
        paths = {file.path for file in chosen}
        spent = [file for file in here if not file.is_data and self.deleted([file]).keys() <= paths]
        self.commit(Operation.REPLACE, self.write(cells), [*chosen, *spent])

    def add_a_column(self) -> None:
        before = self.metadata.schema()
        next_id = self.metadata.last_column_id + 1
        name = f"extra{self.chance.randrange(1000)}"
        young = Schema(*before.fields, NestedField(next_id, name, LongType(), required=False), schema_id=next_id)
        change = {"schemas": [*self.metadata.schemas, young], "current_schema_id": next_id, "last_column_id": next_id}
        if self.metadata.format_version == 1:
            change["schema_"] = young
        self.metadata = self.metadata.model_copy(update=change)

    def set_a_property(self) -> None:
        properties = {**self.metadata.properties, f"note{self.chance.randrange(5)}": str(self.chance.randrange(100))}
        self.metadata = self.metadata.model_copy(update={"properties": properties})

    def act(self, steps: int) -> None:
        """Some random work."""
        for _ in range(steps):
            action = self.chance.choices([name for name, _ in ACTIONS], [weight for _, weight in ACTIONS])[0]
            action(self)
            self.done.append(action.__name__)
            self.rows = +self.rows


ACTIONS: list[tuple[Callable[[TableHistory], None], int]] = [
    (TableHistory.append, 5),
    (TableHistory.delete_by_position, 5),
    (TableHistory.update_by_position, 3),
    (TableHistory.rewrite_a_file, 3),
    (TableHistory.replace_a_partition, 1),
    (TableHistory.compact, 4),
    (TableHistory.add_a_column, 1),
    (TableHistory.set_a_property, 1),
]
"""What a writer may do, and how often."""

assert INTENT == "lake.intent"  # spelled out above as a keyword


def new_table(folder: Path, chance: random.Random, ids: Iterable[int], *, version: int) -> TableHistory:
    """An empty table by `part`, of an Iceberg format version."""
    (folder / "data").mkdir(parents=True)
    (folder / "metadata").mkdir()
    properties = {"format-version": str(version)}
    metadata = new_table_metadata(COLUMNS, BY_PART, UNSORTED_SORT_ORDER, str(folder), properties)
    if version == 3:
        metadata = metadata.model_copy(update={"next_row_id": 0})
    return TableHistory(metadata, folder, chance, ids)


def scanned(history: TableHistory, metadata: TableMetadata) -> Counter:
    """The rows of a state, as pyiceberg reads them."""
    rows = DataScan(table_metadata=metadata, io=history.io).to_arrow().to_pylist()
    return Counter(row(found) for found in rows)
