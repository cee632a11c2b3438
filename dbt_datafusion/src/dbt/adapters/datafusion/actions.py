"""What each statement that is no query does."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
from dbt.adapters.contracts.connection import AdapterResponse
from dbt.adapters.datafusion import layout, rows, write
from dbt.adapters.datafusion.engine import Engine
from dbt.adapters.datafusion.statements import Kind, Statement


def response(code: str, count: int) -> AdapterResponse:
    """What a statement did to how many rows."""
    return AdapterResponse(f"{code} {count}", code=code, rows_affected=count)


def _create_table(engine: Engine, statement: Statement) -> AdapterResponse:
    identifier = engine.identifier(statement.name)
    if not statement.replace and engine.catalog.table_exists(identifier):
        if statement.lenient:
            return AdapterResponse("CREATE TABLE")
        raise ValueError(f"{'.'.join(identifier)} is there already; say `create or replace`")
    definition = write.Definition(
        required=[column.name for column in statement.changes if column.required],
        partitioned_by=_terms(statement.partitioned_by),
        sorted_by=_terms(statement.sorted_by),
    )
    if statement.query:
        return response("CREATE TABLE", engine.create_table(identifier, statement.query, definition))
    columns = pa.schema([pa.field(column.name, engine.arrow_type(column.kind)) for column in statement.changes])
    return response("CREATE TABLE", write.replace(engine.catalog, identifier, engine.frame(columns, []), definition))


def _terms(texts: tuple[str, ...] | None) -> list[layout.Term] | None:
    return None if texts is None else [layout.term(text) for text in texts]


def _create_view(engine: Engine, statement: Statement) -> AdapterResponse:
    engine.create_view(engine.identifier(statement.name), statement.query)
    return AdapterResponse("CREATE VIEW", code="CREATE VIEW")


def _insert(engine: Engine, statement: Statement) -> AdapterResponse:
    count = engine.insert(
        engine.identifier(statement.name),
        statement.columns,
        statement.query,
        evolution=statement.evolution,
        overwrite=statement.kind == "insert overwrite",
    )
    return response("INSERT", count)


def _rows(code: str, change: Callable[[Engine, Statement], int]) -> Callable[[Engine, Statement], AdapterResponse]:
    return lambda engine, statement: response(code, change(engine, statement))


def _alter(engine: Engine, statement: Statement) -> AdapterResponse:
    engine.alter_table(engine.identifier(statement.name), statement.changes)
    return AdapterResponse("ALTER TABLE")


def _drop(engine: Engine, statement: Statement) -> AdapterResponse:
    engine.drop(engine.identifier(statement.name), lenient=statement.lenient)
    return AdapterResponse("DROP")


def _rename(engine: Engine, statement: Statement) -> AdapterResponse:
    new = statement.new_name if len(statement.new_name) > 1 else (*statement.name[:-1], statement.new_name[-1])
    engine.rename(engine.identifier(statement.name), engine.identifier(new))
    return AdapterResponse("RENAME")


def _truncate(engine: Engine, statement: Statement) -> AdapterResponse:
    engine.truncate(engine.identifier(statement.name))
    return AdapterResponse("TRUNCATE")


def _create_schema(engine: Engine, statement: Statement) -> AdapterResponse:
    engine.create_schema(statement.name[-1])
    return AdapterResponse("CREATE SCHEMA")


def _drop_schema(engine: Engine, statement: Statement) -> AdapterResponse:
    engine.drop_schema(statement.name[-1])
    return AdapterResponse("DROP SCHEMA")


def _no_transaction(engine: Engine, statement: Statement) -> AdapterResponse:
    # dbt says `commit` before hooks that are to run outside a transaction; every statement is one of its own here.
    return AdapterResponse("OK")


ACTIONS: dict[Kind, Callable[[Engine, Statement], AdapterResponse]] = {
    "create table": _create_table,
    "create view": _create_view,
    "create schema": _create_schema,
    "insert": _insert,
    "insert overwrite": _insert,
    "insert replace": _rows("INSERT", rows.insert_replacing),
    "delete": _rows("DELETE", rows.delete),
    "update": _rows("UPDATE", rows.update),
    "merge": _rows("MERGE", rows.merge),
    "alter table": _alter,
    "drop relation": _drop,
    "drop schema": _drop_schema,
    "rename": _rename,
    "truncate": _truncate,
    "transaction": _no_transaction,
}
