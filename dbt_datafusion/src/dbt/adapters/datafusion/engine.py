"""One DataFusion session over one Iceberg catalog: what a dbt process queries and writes through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

import pyarrow as pa
from dbt.adapters.datafusion import scan, write
from dbt.adapters.datafusion.credentials import DataFusionCredentials, parse_bytes
from dbt.adapters.datafusion.sqltypes import storable
from dbt.adapters.datafusion.write import Identifier
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

from datafusion import DataFrame, RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import Schema

if TYPE_CHECKING:
    from pyiceberg.table import Table

_MISSING_TABLE = re.compile(r"table '(?P<name>.+)' not found")
_ONLY_QUERIES = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)


class Engine:
    """A session and a catalog, safe for several threads.

    A query sees the tables as they are when it is planned: what it names is looked up in the catalog then, and held by
    its plan from there on, so a table may be replaced by a query that reads it.
    """

    def __init__(self, credentials: DataFusionCredentials) -> None:
        self.catalog = load_catalog(credentials.catalog_name, **credentials.catalog_properties)
        self.database = credentials.database
        self._session = _session(credentials)
        self._planning = RLock()

    def plan(self, sql: str) -> DataFrame:
        """Plan one query.

        Raises:
            ValueError: DataFusion's own complaint: a table or column that is not there, a type that does not fit, a
                statement that is no query.
        """
        with self._planning:
            registered: list[Identifier] = []
            try:
                return self._plan(sql, registered, views=())
            finally:
                for namespace, name in registered:
                    self._schema(namespace).deregister_table(name)

    def _plan(self, sql: str, registered: list[Identifier], views: tuple[Identifier, ...]) -> DataFrame:
        # DataFusion alone knows what in a text is a table: plan, add the table it misses, plan again.
        while True:
            try:
                return self._session.sql_with_options(sql, _ONLY_QUERIES)
            except Exception as error:
                identifier = self._missing(str(error))
                if identifier is None or identifier in registered:
                    raise
                if identifier in views:
                    raise ValueError(f"the view {'.'.join(identifier)} reads itself") from error
                table = write.load_if_exists(self.catalog, identifier)
                if table is None:
                    raise
                query = table.properties.get(write.VIEW_QUERY)
                rows = self._plan(query, registered, (*views, identifier)) if query else self._scan(table)
                self._schema(identifier[0]).register_table(identifier[1], rows)
                registered.append(identifier)

    def _scan(self, table: Table) -> DataFrame:
        return scan.frame(self._session, table)

    def _missing(self, complaint: str) -> Identifier | None:
        match = _MISSING_TABLE.search(complaint)
        if not match or not match["name"].startswith(f"{self.database}."):
            return None
        namespace, _, name = match["name"].removeprefix(f"{self.database}.").partition(".")
        return namespace, name

    def _schema(self, namespace: str) -> Schema:
        catalog = self._session.catalog(self.database)
        if namespace not in catalog.schema_names():
            catalog.register_schema(namespace, Schema.memory_schema())
        return catalog.schema(namespace)

    def fetch(self, sql: str) -> pa.Table:
        """The rows of one query, held in memory; nanoseconds are cut to microseconds, as in stored tables."""
        frame = self.plan(sql)
        # Batches of one result may differ in what they say of NULLs, as the two sides of a union do.
        kinds = [storable(field.type) if pa.types.is_timestamp(field.type) else field.type for field in frame.schema()]
        schema = pa.schema([pa.field(name, kind) for name, kind in zip(frame.schema().names, kinds, strict=True)])
        return pa.Table.from_batches([_as(schema, batch) for batch in frame.collect()], schema=schema)

    def create_table(self, identifier: Identifier, query: str) -> int:
        """Make a table hold exactly what `query` returns, by one commit. Returns the number of rows."""
        frame = self.plan(query)
        return write.replace(self.catalog, identifier, frame.schema(), _stream(frame))

    def create_view(self, identifier: Identifier, query: str) -> None:
        """Keep `query` under a name. It is planned once, so that one that cannot run is refused."""
        write.declare_view(self.catalog, identifier, self.plan(query).schema(), query)

    def insert(self, identifier: Identifier, columns: tuple[str, ...], query: str) -> int:
        """Add the rows of `query` to a table, by one commit. Returns their number.

        Args:
            columns: the table's columns that the query's columns are meant for, in order; empty: all of them.

        Raises:
            ValueError: not as many columns as the query has, or one the table lacks.
        """
        frame = self.plan(query)
        names = columns or tuple(scan.arrow_schema(self.catalog.load_table(identifier)).names)
        if len(names) != len(frame.schema().names):
            raise ValueError(f"{len(frame.schema().names)} columns selected for {len(names)} of {'.'.join(identifier)}")
        schema = pa.schema([field.with_name(name) for field, name in zip(frame.schema(), names, strict=True)])
        batches = (batch.rename_columns(list(names)) for batch in _stream(frame))
        return write.append(self.catalog, identifier, schema, batches)

    def store(self, identifier: Identifier, rows: pa.Table) -> int:
        """Make a table hold exactly `rows`, by one commit. Returns their number."""
        return write.replace(self.catalog, identifier, rows.schema, rows.to_batches())

    def truncate(self, identifier: Identifier) -> None:
        """Take every row from a table; its columns and its history stay."""
        write.replace(self.catalog, identifier, scan.arrow_schema(self.catalog.load_table(identifier)), [])

    def drop(self, identifier: Identifier, *, lenient: bool) -> None:
        """Drop a table or a view. With `lenient` it may be gone already."""
        try:
            self.catalog.drop_table(identifier)
        except NoSuchTableError:
            if not lenient:
                raise

    def rename(self, identifier: Identifier, new: Identifier) -> None:
        """Give a table or a view another name."""
        self.catalog.rename_table(identifier, new)

    def create_schema(self, namespace: str) -> None:
        """Make a namespace, unless it is there."""
        self.catalog.create_namespace_if_not_exists(namespace)

    def drop_schema(self, namespace: str) -> None:
        """Drop a namespace and every table in it. One that is not there is fine."""
        try:
            for identifier in self.catalog.list_tables(namespace):
                self.catalog.drop_table(identifier)
            self.catalog.drop_namespace(namespace)
        except NoSuchNamespaceError:
            return

    def close(self) -> None:
        """Give back what the catalog holds open. The engine is of no use afterwards."""
        self.catalog.close()

    def arrow_type(self, sql_type: str) -> pa.DataType:
        """The stored Arrow type that SQL calls `sql_type`."""
        return storable(self._session.sql(f"select cast(null as {sql_type}) as value").schema().field(0).type)


def _stream(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    for batch in frame.execute_stream():
        yield batch.to_pyarrow()


def _as(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [column.cast(field.type, safe=False) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _session(credentials: DataFusionCredentials) -> SessionContext:
    config = (
        SessionConfig()
        .with_create_default_catalog_and_schema(True)
        .with_default_catalog_and_schema(credentials.database, credentials.schema)
        .with_target_partitions(credentials.target_partitions)
        .with_batch_size(credentials.batch_size)
    )
    runtime = RuntimeEnvBuilder()
    if credentials.memory_limit:
        runtime = runtime.with_fair_spill_pool(parse_bytes(credentials.memory_limit))
    if credentials.spill_folder:
        Path(credentials.spill_folder).mkdir(parents=True, exist_ok=True)
        runtime = runtime.with_disk_manager_specified(credentials.spill_folder)
    return SessionContext(config, runtime)


_open: dict[str, Engine] = {}
_opening = Lock()


def open_engine(credentials: DataFusionCredentials) -> Engine:
    """The engine of these credentials in this process; it is opened once and lives until `close_engines`."""
    key = json.dumps(credentials.to_dict(), sort_keys=True, default=str)
    with _opening:
        if key not in _open:
            _open[key] = Engine(credentials)
        return _open[key]


def close_engines() -> None:
    """Close every engine of this process."""
    with _opening:
        for engine in _open.values():
            engine.close()
        _open.clear()
