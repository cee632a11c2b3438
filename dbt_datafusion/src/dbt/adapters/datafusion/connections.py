"""dbt's connections: one engine a process, one cursor a statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from dbt.adapters.contracts.connection import AdapterResponse, Connection, ConnectionState
from dbt.adapters.datafusion.actions import ACTIONS, response
from dbt.adapters.datafusion.engine import Engine, close_engines, open_engine
from dbt.adapters.datafusion.sqltext import split
from dbt.adapters.datafusion.sqltypes import sql_name
from dbt.adapters.datafusion.statements import parse
from dbt.adapters.exceptions import FailedToConnectError
from dbt.adapters.sql import SQLConnectionManager
from dbt_common.exceptions import DbtDatabaseError, DbtRuntimeError


class Cursor:
    """Runs one statement and holds what it returned."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rows: pa.Table | None = None
        self.response = AdapterResponse("OK")

    @property
    def description(self) -> list[tuple[str, str]] | None:
        """Name and SQL type of each column; None if the statement returns no rows."""
        return [(field.name, sql_name(field.type)) for field in self._rows.schema] if self._rows is not None else None

    def execute(self, sql: str, bindings: Any = None) -> None:
        """Run `sql`: one statement, or several with semicolons between them; the rows of the last are kept.

        Raises:
            ValueError: DataFusion refuses the query, or a name has not one schema and one table.
            pyiceberg.exceptions.PyIcebergError and others: the catalog refuses what it was asked.
        """
        if bindings:
            raise DbtRuntimeError("this adapter runs statements without bindings; seeds are stored without SQL")
        for part in split(sql, ";") or [""]:
            self._rows = None
            statement = parse(part)
            if statement.kind == "query":
                self._rows = self._engine.fetch(statement.query)
                self.response = response("SELECT", self._rows.num_rows)
            else:
                self.response = ACTIONS[statement.kind](self._engine, statement)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Every row, as Python values."""
        return self.fetchmany(None)

    def fetchmany(self, size: int | None) -> list[tuple[Any, ...]]:
        """The first `size` rows."""
        rows = self._rows.slice(0, size) if self._rows is not None else pa.table({})
        return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first row, if there is one."""
        return next(iter(self.fetchmany(1)), None)


class Handle:
    """What a dbt connection holds: the engine it shares with every other thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def cursor(self) -> Cursor:
        """A fresh cursor."""
        return Cursor(self.engine)

    def close(self) -> None:
        """Nothing to close: the engine is shared, and closed when the invocation ends."""

    def rollback(self) -> None:
        """Nothing to roll back: a statement is a commit, or nothing."""


class DataFusionConnectionManager(SQLConnectionManager):
    """Hands the process's engine to dbt's threads. There are no transactions: each statement commits by itself."""

    TYPE = "datafusion"

    @contextmanager
    def exception_handler(self, sql: str) -> Iterator[None]:
        """Say every failure of a statement as dbt's own error."""
        try:
            yield
        except DbtRuntimeError:
            raise
        except Exception as error:
            raise DbtDatabaseError(str(error) or type(error).__name__) from error

    @classmethod
    def open(cls, connection: Connection) -> Connection:
        """Give the connection its handle.

        Raises:
            FailedToConnectError: the catalog cannot be opened with the profile's properties.
        """
        if connection.state == ConnectionState.OPEN:
            return connection
        try:
            connection.handle = Handle(open_engine(connection.credentials))  # type: ignore[arg-type]
        except Exception as error:
            connection.state = ConnectionState.FAIL
            raise FailedToConnectError(f"cannot open the catalog: {error}") from error
        connection.state = ConnectionState.OPEN
        return connection

    def cleanup_all(self) -> None:
        """End of an invocation: the next one opens its catalog anew."""
        super().cleanup_all()
        close_engines()

    def cancel(self, connection: Connection) -> None:  # pyrefly: ignore[bad-override]  # the parent's only raises
        """DataFusion's Python API cannot stop a running query; it ends with the process."""

    @classmethod
    def get_response(cls, cursor: Cursor) -> AdapterResponse:
        """What the statement did."""
        return cursor.response

    @classmethod
    def data_type_code_to_name(cls, type_code: int | str) -> str:
        """Cursors describe their columns by SQL names already."""
        return str(type_code)

    def begin(self) -> Connection:
        """No transactions to begin."""
        return self.get_thread_connection()

    def commit(self) -> Connection:
        """No transactions to commit."""
        return self.get_thread_connection()

    def clear_transaction(self) -> None:
        """No transactions to clear."""
