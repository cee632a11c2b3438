"""Statements that change some rows of a table: the files those rows lie in are written anew, by one commit.

Each first asks which data files hold a row that it means, then reads those files only. What it puts in is computed
once, into a staged file, so that an expression that gives another value each time (`now()`) agrees with itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from dbt.adapters.datafusion import scan, write
from dbt.adapters.datafusion.evolve import evolve_columns
from dbt.adapters.datafusion.sqltext import quoted
from dbt.adapters.datafusion.sqltypes import cast_name, storable_schema

if TYPE_CHECKING:
    from dbt.adapters.datafusion.engine import Engine
    from dbt.adapters.datafusion.statements import Clause, Statement
    from pyiceberg.table import Table

    from datafusion import DataFrame

_FILE = "__dbt_file"
"""Column of a target: the data file that a row lies in."""

_THERE = "__dbt_there"
"""Column of a source, true in every row: NULL where an outer join found no partner."""

_DEST = "dbt_internal_dest"
"""What `insert … replace where` calls its target."""


@dataclass(frozen=True)
class _Change:
    """A statement at work: its table as it was at the beginning, and the columns it shall have in the end."""

    engine: Engine
    table: Table
    have: pa.Schema
    want: pa.Schema

    @contextmanager
    def target(self, only: set[str] | None = None) -> Iterator[str]:
        """The table (or some data files of it) under a name for SQL, with the column `_FILE`."""
        with self.engine.registered(self.engine.scan(self.table, only=only, file_column=_FILE)) as name:
            yield name

    def counts(self, rows: str) -> dict[str, int]:
        """How many rows each data file has among `rows`, which is what follows FROM; `d` is the target."""
        result = self.engine.fetch(f"select d.{_FILE} as file, count(*) as n from {rows} group by d.{_FILE}")
        return dict(zip(result["file"].to_pylist(), result["n"].to_pylist(), strict=True))

    def columns(self, alias: str) -> str:
        """A select list of the columns the table shall have; those that are new are NULL."""
        return ", ".join(
            f"{alias}.{quoted(name)}" if name in self.have.names else f"null as {quoted(name)}"
            for name in self.want.names
        )

    def cast(self, name: str, value: str) -> str:
        """`value` as the type of a column."""
        kind = cast_name(self.want.field(name).type)
        return f"cast({value} as {kind})" if kind else value


def delete(engine: Engine, statement: Statement) -> int:
    """Take the rows that a condition holds for from a table. Returns their number."""
    table, change = _begin(engine, statement)
    alias = quoted(statement.alias)
    with change.target() as everything:
        gone = change.counts(f"(select * from {everything} as {alias} where {statement.condition}) as d")
    with change.target(set(gone)) as files:
        kept = engine.plan(
            f"select {change.columns(alias)} from {files} as {alias} where ({statement.condition}) is not true"
        )
        _commit(table, kept, gone)
    return sum(gone.values())


def update(engine: Engine, statement: Statement) -> int:
    """Set columns of the rows that a condition holds for. Returns their number."""
    table, change = _begin(engine, statement)
    _known(change.want, statement.columns, statement)
    alias = quoted(statement.alias)
    values = dict(zip(statement.columns, statement.values, strict=True))
    new = ", ".join(
        f"{change.cast(name, values[name])} as {quoted(name)}" if name in values else f"{alias}.{quoted(name)}"
        for name in change.want.names
    )
    with change.target() as everything:
        changed = change.counts(f"(select * from {everything} as {alias} where {statement.condition}) as d")
    with change.target(set(changed)) as files:
        rows = engine.plan(
            f"select {change.columns(alias)} from {files} as {alias} where ({statement.condition}) is not true "
            f"union all select {new} from {files} as {alias} where {statement.condition}"
        )
        _commit(table, rows, changed)
    return sum(changed.values())


def insert_replacing(engine: Engine, statement: Statement) -> int:
    """Put the rows of a query in place of those with the same keys, or those a condition holds for, or both.

    Returns the number of rows put in.
    """
    columns = statement.columns
    if not columns and not statement.evolution:
        columns = tuple(scan.arrow_schema(engine.catalog.load_table(engine.identifier(statement.name))).names)
    with _staged(engine, statement.query, columns) as (source, new):
        table, change = _begin(engine, statement, new)
        condition = statement.condition or "true"
        same = " and ".join(f"d.{quoted(key)} = s.{quoted(key)}" for key in statement.keys)
        chosen = f"(select * from {{}} as {_DEST} where {condition}) as d"
        with change.target() as everything:
            semi = f" left semi join {source} as s on {same}" if same else ""
            replaced = change.counts(chosen.format(everything) + semi)
        with change.target(set(replaced)) as files:
            kept = f"select {change.columns(_DEST)} from {files} as {_DEST} where ({condition}) is not true"
            if same:
                kept += (
                    f" union all select {change.columns('d')} from {chosen.format(files)} "
                    f"left anti join {source} as s on {same}"
                )
            inserted = ", ".join(
                quoted(name) if name in new.names else f"null as {quoted(name)}" for name in change.want.names
            )
            rows = engine.plan(f"{kept} union all select {inserted} from {source}")
            _commit(table, rows, replaced)
        return engine.fetch(f"select count(*) as n from {source}")["n"][0].as_py()


def merge(engine: Engine, statement: Statement) -> int:
    """Update, delete and insert rows as the clauses of a MERGE say. Returns how many rows it did something to.

    Raises:
        ValueError: more than one row of the source would change the same row of the table.
    """
    with _staged(engine, statement.query, ()) as (source, new):
        named = {name for clause in statement.clauses for name in clause.columns}
        table, change = _begin(engine, statement, pa.schema([field for field in new if field.name in named]))
        _known(change.want, tuple(named), statement)
        parts = _Merge(change, statement, source)
        with change.target() as everything:
            touched = parts.touched(everything)
            with change.target(set(touched)) as files:
                rows = engine.plan(" union all ".join([parts.kept(files), *parts.inserts(everything)]))
                before = engine.fetch(f"select count(*) as n from {files}")["n"][0].as_py()
                written = _commit(table, rows, touched)
            deleted = parts.deleted(everything)
        return sum(touched.values()) + written - (before - deleted)


@dataclass(frozen=True)
class _Merge:
    """The queries that a MERGE comes to. Its aliases are the statement's own."""

    change: _Change
    statement: Statement
    source: str

    def _clauses(self, *, matched: bool) -> list[Clause]:
        return [clause for clause in self.statement.clauses if clause.matched is matched]

    def _acting(self) -> str:
        """When a row of the source changes one of the target."""
        any_of = " or ".join(f"({clause.condition})" for clause in self._clauses(matched=True)) or "false"
        return f"({self.statement.condition}) and ({any_of})"

    def _joined(self, target: str, kind: str, condition: str) -> str:
        dest, source = quoted(self.statement.alias), quoted(self.statement.source_alias)
        return f"{target} as {dest} {kind} join {self.source} as {source} on {condition}"

    def touched(self, target: str) -> dict[str, int]:
        """How many rows of each data file are changed."""
        if not self._clauses(matched=True):
            return {}
        file = f"{quoted(self.statement.alias)}.{_FILE}"
        pairs = self.change.counts(f"(select {file} from {self._joined(target, 'inner', self._acting())}) as d")
        rows = self.change.counts(f"(select {file} from {self._joined(target, 'left semi', self._acting())}) as d")
        if pairs != rows:
            raise ValueError(
                f"MERGE: {sum(pairs.values())} rows of the source would change {sum(rows.values())} rows of "
                f"{'.'.join(self.statement.name)}; the keys of the source are not unique"
            )
        return rows

    def kept(self, files: str) -> str:
        """The rows of the data files that are written anew, changed and unchanged."""
        dest = quoted(self.statement.alias)
        there = f"{quoted(self.statement.source_alias)}.{_THERE}"
        clauses = self._clauses(matched=True)
        columns = []
        for name in self.change.want.names:
            old = f"{dest}.{quoted(name)}" if name in self.change.have.names else "null"
            if not any(name in clause.columns for clause in clauses):
                columns.append(f"{old} as {quoted(name)}")
                continue
            whens = " ".join(
                f"when {there} and ({clause.condition}) then {self._value(clause, name, old)}" for clause in clauses
            )
            columns.append(f"case {whens} else {old} end as {quoted(name)}")
        select = f"select {', '.join(columns)} from {self._joined(files, 'left', self._acting())}"
        return f"{select} where ({self._is_deleted()}) is not true"

    def _is_deleted(self) -> str:
        there = f"{quoted(self.statement.source_alias)}.{_THERE}"
        clauses = self._clauses(matched=True)
        if not any(clause.action == "delete" for clause in clauses):
            return "false"
        whens = " ".join(
            f"when {there} and ({clause.condition}) then {'true' if clause.action == 'delete' else 'false'}"
            for clause in clauses
        )
        return f"case {whens} else false end"

    def deleted(self, target: str) -> int:
        """How many rows are deleted."""
        if self._is_deleted() == "false":
            return 0
        query = f"select count(*) as n from {self._joined(target, 'left', self._acting())} where {self._is_deleted()}"
        return self.change.engine.fetch(query)["n"][0].as_py()

    def _value(self, clause: Clause, name: str, old: str) -> str:
        values = dict(zip(clause.columns, clause.values, strict=True))
        return self.change.cast(name, values[name]) if name in values else old

    def inserts(self, target: str) -> Iterator[str]:
        """The rows that are new, a query for each clause."""
        dest, source = quoted(self.statement.alias), quoted(self.statement.source_alias)
        taken: list[str] = []
        for clause in self._clauses(matched=False):
            columns = ", ".join(
                f"{self._value(clause, name, 'null')} as {quoted(name)}" for name in self.change.want.names
            )
            anti = f"{self.source} as {source} left anti join {target} as {dest} on ({self.statement.condition})"
            before = "".join(f" and ({condition}) is not true" for condition in taken)
            yield f"select {columns} from {anti} where ({clause.condition}){before}"
            taken.append(clause.condition)


def _begin(engine: Engine, statement: Statement, new: pa.Schema | None = None) -> tuple[_Started, _Change]:
    """Load the table, and let its columns follow `new` as far as the statement allows."""
    table = engine.catalog.load_table(engine.identifier(statement.name))
    if write.VIEW_QUERY in table.properties:
        raise ValueError(f"{'.'.join(statement.name)} is a view; its rows cannot be changed")
    transaction = table.transaction()
    if new is not None:
        evolve_columns(transaction, new, statement.evolution)
    have, want = scan.arrow_schema(table), scan.stored_schema(transaction.table_metadata.schema())
    if new is not None:
        _known(want, tuple(new.names), statement)
    return _Started(table, transaction), _Change(engine, table, have, want)


@dataclass(frozen=True)
class _Started:
    table: Table
    transaction: write.Transaction


def _commit(started: _Started, rows: DataFrame, touched: dict[str, int]) -> int:
    old = [file for file in write.data_files(started.table) if file.file_path in touched]
    return write.commit(started.transaction, rows, old, intent="rows", checked=True)


@contextmanager
def _staged(engine: Engine, query: str, columns: tuple[str, ...]) -> Iterator[tuple[str, pa.Schema]]:
    """The rows of a query, computed once, under a name for SQL; and their columns in storable types."""
    frame = engine.renamed(engine.plan(query), columns)
    schema = storable_schema(frame.schema())
    with engine.staged(frame, _THERE) as name:
        yield name, schema


def _known(want: pa.Schema, names: tuple[str, ...], statement: Statement) -> None:
    if unknown := [name for name in names if name not in want.names]:
        raise ValueError(f"{'.'.join(statement.name)} has no column {', '.join(unknown)}")
