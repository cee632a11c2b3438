"""The statements that change the catalog. DataFusion itself only runs queries here; these are ours to carry out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dbt.adapters.datafusion.sqltext import Reader, split, tokens, unquoted

Kind = Literal[
    "query",
    "create table",
    "create view",
    "create schema",
    "insert",
    "insert overwrite",
    "insert replace",
    "delete",
    "update",
    "merge",
    "alter table",
    "drop relation",
    "drop schema",
    "rename",
    "truncate",
    "transaction",
]

Evolution = Literal["", "evolution", "replacement"]
"""What a statement may do to its table's columns: nothing, add those that are new, or make them those of its query."""


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """One change of `alter table`, or one column of `create table`.

    Attributes:
        action: what is done to the column.
        kind: its SQL type, for `add` and `type`.
        new_name: for `rename`.
        required: `not null` was said.
    """

    action: Literal["add", "drop", "rename", "type"]
    name: str
    kind: str = ""
    new_name: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Clause:
    """One `when … then …` of a merge.

    Attributes:
        matched: `when matched`; else `when not matched`.
        condition: what must hold besides; `true` if nothing was said.
        columns: the columns that are set or inserted.
        values: an expression for each of them.
    """

    matched: bool
    condition: str
    action: Literal["update", "delete", "insert"]
    columns: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of SQL, taken apart as far as the catalog needs.

    Attributes:
        kind: what it does.
        name: the table, view or schema it is about, as its parts; empty for a query.
        query: the SELECT (or VALUES) to run; empty where there is none.
        columns: the target columns an INSERT names, or those that `replace using` compares.
        keys: the columns that `insert … replace using` compares.
        new_name: what RENAME renames to.
        replace: `or replace` was said.
        lenient: `if exists` or `if not exists` was said.
        changes: the columns that are defined or altered.
        partitioned_by: transforms such as ``month(day)``; None: nothing was said.
        sorted_by: columns or transforms with `desc` and `nulls first|last`; None: nothing was said.
        alias: what the target is called in `condition`, `values` and `clauses`.
        source_alias: what the source of a merge is called there.
        condition: which rows are meant; of a merge, which rows belong together.
        values: the expressions that UPDATE sets `columns` to.
        clauses: of a merge, in their order.
        evolution: whether the table's columns may change.
    """

    kind: Kind
    name: tuple[str, ...] = ()
    query: str = ""
    columns: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    new_name: tuple[str, ...] = ()
    replace: bool = False
    lenient: bool = False
    changes: tuple[ColumnChange, ...] = ()
    partitioned_by: tuple[str, ...] | None = None
    sorted_by: tuple[str, ...] | None = None
    alias: str = ""
    source_alias: str = ""
    condition: str = ""
    values: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()
    evolution: Evolution = ""


def parse(sql: str) -> Statement:
    """Take one statement apart. Whatever is none of ours is a query, for DataFusion to judge.

    >>> parse('create or replace table "marts"."apps" as select 1 as a').name
    ('marts', 'apps')

    Raises:
        ValueError: it begins as one of ours and does not go on as one.
    """
    reader = Reader(sql.strip().rstrip(";"))
    for words, read in _READERS:
        if reader.take(*words):
            statement = read(reader)
            break
    else:
        return Statement("query", query=reader.rest())
    if not reader.at_end():
        raise ValueError(f"not understood in {statement.kind.upper()}: {reader.rest()[:80]!r}")
    return statement


def names(text: str | None) -> tuple[str, ...]:
    """The identifiers of a list of columns."""
    return tuple(unquoted(token.text) for token in tokens(text or "") if token.kind in ("word", "quoted"))


def _lenient(reader: Reader) -> bool:
    return reader.take("if", "exists") or reader.take("if", "not", "exists")


def _rest(reader: Reader) -> str:
    return reader.until()


def _create_table(reader: Reader, *, replace: bool = False) -> Statement:
    lenient = _lenient(reader)
    name = reader.name()
    changes = tuple(_definition(part) for part in split(reader.bracketed() or "", ",") if not _is_constraint(part))
    partitioned = split(reader.bracketed() or "", ",") if reader.take("partitioned", "by") else None
    ordered = split(reader.bracketed() or "", ",") if reader.take("sorted", "by") else None
    query = _rest(reader) if reader.take("as") else ""
    if not query and not changes:
        raise ValueError(f"CREATE TABLE {'.'.join(name)} has neither columns nor a query")
    return Statement(
        "create table",
        name,
        query=query,
        replace=replace,
        lenient=lenient,
        changes=changes,
        partitioned_by=None if partitioned is None else tuple(partitioned),
        sorted_by=None if ordered is None else tuple(ordered),
    )


def _is_constraint(part: str) -> bool:
    return next(tokens(part)).word in {"constraint", "primary", "foreign", "unique", "check"}


def _definition(part: str) -> ColumnChange:
    reader = Reader(part)
    [name] = reader.name()
    kind = reader.until("not", "null", "primary", "unique", "references", "check", "default", "constraint")
    required = reader.take("not", "null")
    return ColumnChange("add", name, kind=kind, required=required)


def _create_view(reader: Reader, *, replace: bool = False) -> Statement:
    name = reader.name()
    reader.expect("as")
    return Statement("create view", name, query=_rest(reader), replace=replace)


def _insert(reader: Reader) -> Statement:
    evolution = _evolution(reader)
    overwrite = reader.take("overwrite")
    if overwrite:
        reader.take("table")
    else:
        reader.expect("into")
    name = reader.name()
    columns: tuple[str, ...] = ()
    if not reader.rest().lstrip("( \n\t").lower().startswith(("select", "with", "values")):
        columns = names(reader.bracketed())
    if overwrite or not reader.take("replace"):
        kind: Kind = "insert overwrite" if overwrite else "insert"
        return Statement(kind, name, query=_rest(reader), columns=columns, evolution=evolution)
    keys = names(reader.bracketed()) if reader.take("using") else ()
    condition = reader.bracketed() if reader.take("where") else None
    if not keys and condition is None:
        raise ValueError("REPLACE needs USING (columns), WHERE (condition), or both")
    query = _rest(reader)
    return Statement(
        "insert replace", name, query=query, columns=columns, keys=keys, condition=condition or "", evolution=evolution
    )


def _evolution(reader: Reader) -> Evolution:
    if reader.take("with", "schema", "evolution"):
        return "evolution"
    return "replacement" if reader.take("with", "schema", "replacement") else ""


def _delete(reader: Reader) -> Statement:
    name = reader.name()
    alias = reader.alias(unless=("where",)) or name[-1]
    condition = _rest(reader) if reader.take("where") else "true"
    return Statement("delete", name, alias=alias, condition=condition)


def _update(reader: Reader) -> Statement:
    name = reader.name()
    alias = reader.alias(unless=("set",)) or name[-1]
    reader.expect("set")
    columns, values = _assignments(reader.until("where", "from"))
    condition = _rest(reader) if reader.take("where") else "true"
    return Statement("update", name, alias=alias, columns=columns, values=values, condition=condition)


def _assignments(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    columns, values = [], []
    for part in split(text, ","):
        reader = Reader(part)
        columns.append(reader.name()[-1])
        reader.expect("=")
        values.append(_rest(reader))
    return tuple(columns), tuple(values)


def _merge(reader: Reader) -> Statement:
    evolution = _evolution(reader)
    reader.expect("into")
    name = reader.name()
    alias = reader.alias(unless=("using",)) or name[-1]
    reader.expect("using")
    source = reader.bracketed()
    query = source if source is not None else "select * from " + reader.until("as", "on")
    source_alias = reader.alias(unless=("on",))
    if source_alias is None:
        raise ValueError("the source of a MERGE needs an alias")
    reader.expect("on")
    condition = reader.until("when")
    clauses = []
    while reader.take("when"):
        clauses.append(_clause(reader))
    return Statement(
        "merge",
        name,
        query=query,
        alias=alias,
        source_alias=source_alias,
        condition=condition,
        clauses=tuple(clauses),
        evolution=evolution,
    )


def _clause(reader: Reader) -> Clause:
    matched = not reader.take("not")
    reader.expect("matched")
    if reader.take("by", "source"):
        raise ValueError("MERGE … WHEN NOT MATCHED BY SOURCE is not supported; use INSERT … REPLACE WHERE")
    condition = reader.until("then") if reader.take("and") else "true"
    reader.expect("then")
    if matched and reader.take("delete"):
        return Clause(True, condition, "delete")
    if matched:
        reader.expect("update", "set")
        columns, values = _assignments(reader.until("when"))
        return Clause(True, condition, "update", columns, values)
    reader.expect("insert")
    columns = names(reader.bracketed())
    reader.expect("values")
    values = tuple(split(reader.bracketed() or "", ","))
    if len(columns) != len(values):
        raise ValueError(f"MERGE inserts {len(values)} values into {len(columns)} columns")
    return Clause(False, condition, "insert", columns, values)


def _alter(reader: Reader) -> Statement:
    name = reader.name()
    if reader.take("rename", "to"):
        return Statement("rename", name, new_name=reader.name())
    changes = tuple(_change(Reader(part)) for part in split(_rest(reader), ","))
    return Statement("alter table", name, changes=changes)


def _change(reader: Reader) -> ColumnChange:
    if reader.take("add", "column") or reader.take("add"):
        _lenient(reader)
        return _definition(_rest(reader))
    if reader.take("drop", "column") or reader.take("drop"):
        [name] = reader.name()
        reader.take("cascade")
        change = ColumnChange("drop", name)
    elif reader.take("rename", "column"):
        [name] = reader.name()
        reader.expect("to")
        change = ColumnChange("rename", name, new_name=reader.name()[-1])
    else:
        reader.expect("alter", "column")
        [name] = reader.name()
        if not reader.take("set", "data", "type"):
            reader.expect("type")
        change = ColumnChange("type", name, kind=_rest(reader))
    if not reader.at_end():
        raise ValueError(f"not understood in ALTER TABLE: {reader.rest()[:80]!r}")
    return change


def _drop(kind: Kind) -> Callable[[Reader], Statement]:
    def read(reader: Reader) -> Statement:
        lenient = _lenient(reader)
        statement = Statement(kind, reader.name(), lenient=lenient)
        reader.take("cascade")
        return statement

    return read


def _create_schema(reader: Reader) -> Statement:
    lenient = _lenient(reader)
    return Statement("create schema", reader.name(), lenient=lenient)


def _truncate(reader: Reader) -> Statement:
    reader.take("table")
    return Statement("truncate", reader.name())


def _transaction(reader: Reader) -> Statement:
    return Statement("transaction")


_READERS: tuple[tuple[tuple[str, ...], Callable[[Reader], Statement]], ...] = (
    (("create", "or", "replace", "table"), lambda reader: _create_table(reader, replace=True)),
    (("create", "table"), _create_table),
    (("create", "or", "replace", "view"), lambda reader: _create_view(reader, replace=True)),
    (("create", "view"), _create_view),
    (("create", "schema"), _create_schema),
    (("insert",), _insert),
    (("delete", "from"), _delete),
    (("update",), _update),
    (("merge",), _merge),
    (("alter", "table"), _alter),
    (("alter", "view"), _alter),
    (("drop", "table"), _drop("drop relation")),
    (("drop", "view"), _drop("drop relation")),
    (("drop", "schema"), _drop("drop schema")),
    (("begin",), _transaction),
    (("commit",), _transaction),
    (("rollback",), _transaction),
    (("truncate",), _truncate),
)
