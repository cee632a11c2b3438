"""Random histories of a table on one branch, written by Spark, with the rows it must hold kept in plain Python."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import SparkSession

from tests.integration.table_histories import PARTS, Row, row

Cells = dict[str, Any]


@dataclass
class SparkHistory:
    """One table on one branch of the lake.

    Attributes:
        name: within the namespace `cases`.
        version: of Iceberg's table format.
        mode: how rows change: merge-on-read or copy-on-write.
        rows: cells of each row that must be there, by id.
        replaced: partitions it replaced by its word.
        columns: columns that were added to it.
    """

    spark: SparkSession
    catalog: str
    name: str
    version: int
    mode: str
    chance: random.Random
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    rows: dict[int, Cells] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    columns: tuple[str, ...] = ()
    done: list[str] = field(default_factory=list)

    @property
    def table(self) -> str:
        """Its address in Spark."""
        return f"{self.catalog}.cases.{self.name}"

    def counted(self) -> Counter[Row]:
        """Its rows as the oracle takes them."""
        return Counter(row(cells) for cells in self.rows.values())

    def branch(self, catalog: str) -> SparkHistory:
        """The same table on another branch, from where it stands now."""
        return replace(self, catalog=catalog, rows=dict(self.rows), replaced=set(), done=[])

    # -- what Spark does ----------------------------------------------------------------------------------------

    def create(self) -> None:
        """Three rows in each partition, in one statement; every other table gets more by a second one."""
        modes = ", ".join(f"'write.{verb}.mode'='{self.mode}'" for verb in ("update", "delete", "merge"))
        cells = [found for part in PARTS for found in self._fresh(part, 3)]
        self.spark.sql(
            f"create table {self.table} using iceberg partitioned by (part) "
            f"tblproperties ('format-version'='{self.version}', {modes}) as select * from {_values(cells)}"
        )
        self._keep(cells)
        if self.chance.random() < 0.5:
            self.insert()

    def insert(self) -> None:
        """An append to one partition or two."""
        parts = self.chance.sample(PARTS, self.chance.choice((1, 1, 2)))
        cells = [found for part in parts for found in self._fresh(part, self.chance.randint(1, 3))]
        self._insert("into", cells)

    def delete(self) -> None:
        """Some rows of one partition."""
        chosen = self._some()
        self.spark.sql(f"delete from {self.table} where {_among(chosen)}")
        for id_ in chosen:
            del self.rows[id_]

    def update(self) -> None:
        """Another value in some rows."""
        chosen = self._some()
        self.spark.sql(f"update {self.table} set value = value + 100 where {_among(chosen)}")
        self._change(chosen)

    def merge(self) -> None:
        """Other values in some rows, and new rows."""
        part = self.chance.choice(PARTS)
        chosen, young = self._some(part), self._fresh(part, self.chance.randint(1, 2))
        source = _values([*({"id": id_, "part": part, "value": 0} for id_ in chosen), *young])
        self.spark.sql(
            f"merge into {self.table} t using (select * from {source}) s on t.id = s.id and t.part = '{part}' "
            "when matched then update set t.value = t.value + 100 "
            f"when not matched then insert ({', '.join(('id', 'part', 'value', *self.columns))}) "
            f"values ({', '.join(('s.id', 's.part', 's.value', *('null' for _ in self.columns)))})"
        )
        self._change(chosen)
        self._keep(young)

    def overwrite(self) -> None:
        """A partition as a whole, which Spark states in the snapshot."""
        part = self.chance.choice(PARTS)
        cells = self._fresh(part, 2)
        self.rows = {id_: found for id_, found in self.rows.items() if found["part"] != part}
        self._insert("overwrite", cells)
        self.replaced.add(part)

    def compact(self) -> None:
        """All files anew, the same rows."""
        self.spark.sql(
            f"call {self.catalog}.system.rewrite_data_files(table => 'cases.{self.name}', "
            "options => map('rewrite-all', 'true'))"
        )

    def add_column(self) -> None:
        """A column, and a row that has a value in it."""
        name = f"extra_{self.catalog}_{len(self.columns)}"
        self.spark.sql(f"alter table {self.table} add column {name} bigint")
        self.columns += (name,)
        [cells] = self._fresh(self.chance.choice(PARTS), 1)
        self._insert("into", [{**cells, name: 7}])

    def act(self, steps: int) -> None:
        """Some random work."""
        for _ in range(steps):
            action = self.chance.choices([name for name, _ in ACTIONS], [weight for _, weight in ACTIONS])[0]
            self.done.append(action.__name__)
            action(self)

    def _insert(self, how: str, cells: list[Cells]) -> None:
        names = ("id", "part", "value", *self.columns)
        listed = ", ".join(f"({', '.join(_literal(found.get(name)) for name in names)})" for found in cells)
        self.spark.sql(f"insert {how} {self.table} ({', '.join(names)}) values {listed}")
        self._keep(cells)

    # -- rows ---------------------------------------------------------------------------------------------------

    def _fresh(self, part: str, count: int) -> list[Cells]:
        return [{"id": next(self.ids), "part": part, "value": self.chance.randrange(9)} for _ in range(count)]

    def _some(self, part: str | None = None) -> list[int]:
        here = [id_ for id_, found in self.rows.items() if part in (None, found["part"])]
        return self.chance.sample(here, min(len(here), self.chance.choice((1, 1, 2))))

    def _change(self, ids: list[int]) -> None:
        for id_ in ids:
            self.rows[id_] = {**self.rows[id_], "value": self.rows[id_]["value"] + 100}

    def _keep(self, cells: list[Cells]) -> None:
        self.rows.update((found["id"], found) for found in cells)


ACTIONS: list[tuple[Callable[[SparkHistory], None], int]] = [
    (SparkHistory.insert, 5),
    (SparkHistory.delete, 5),
    (SparkHistory.update, 3),
    (SparkHistory.merge, 3),
    (SparkHistory.overwrite, 1),
    (SparkHistory.compact, 2),
    (SparkHistory.add_column, 1),
]
"""What a writer may do, and how often."""


def _literal(cell: int | str | None) -> str:
    return "cast(null as bigint)" if cell is None else f"'{cell}'" if isinstance(cell, str) else f"{cell}L"


def _values(cells: list[Cells]) -> str:
    listed = ", ".join(f"({found['id']}L, '{found['part']}', {found['value']}L)" for found in cells)
    return f"values {listed} as s(id, part, value)"


def _among(ids: list[int]) -> str:
    return f"id in ({', '.join(map(str, ids)) or '-1'})"


def rows_of(texts: list[str]) -> Counter[Row]:
    """Rows that an engine wrote as one JSON object each."""
    return Counter(row(json.loads(text)) for text in texts)
